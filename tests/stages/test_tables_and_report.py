"""tables and report through their command lines, on small made-up runs."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")
pytest.importorskip("pandas")
pytest.importorskip("yaml")

from d3talker.artifacts import save_arrays, save_json

ROOT = Path(__file__).resolve().parents[2]
PAPER = ROOT / "config" / "paper_tables.yaml"
METRICS = ("psnr", "psnr_head", "psnr_mouth", "ssim", "lip_distance", "mouth_corr", "fps_coarse")
METRICS += ("mouth_energy_corr", "av_offset_frames", "train_seconds", "fps")
METRICS += ("ssim_face", "flicker")
NEED_WEIGHTS = ("lpips", "lmd", "sync_c", "sync_d", "sync_offset", "aue_lower", "aue_upper")
NEED_WEIGHTS += ("mouth_driver_corr",)


def stage(name, *arguments):
    command = [sys.executable, ROOT / "stages" / f"{name}.py", *arguments, "--paper", PAPER]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True)


def save_landmarks(path, frames):
    valid = np.ones(frames, bool)
    save_arrays(path, valid=valid, mouth_openness=np.linspace(0, 0.1, frames, dtype=np.float32))


@pytest.fixture
def results(tmp_path):
    """A results folder with one self-driven run of one person, and one refused video."""
    run = tmp_path / "anna" / "d3talker" / "10s" / "self"
    about = {"identity": "anna", "variant": "d3talker", "secs": 10, "drive": "self"}
    about["frames"] = 25
    metrics = about | dict.fromkeys(METRICS, 1.5) | dict.fromkeys(NEED_WEIGHTS)
    metrics |= {"preset": "quick", "backends": {}, "versions": {"hardware": "2 CPU cores"}}
    metrics |= {"train_seconds_by_stage": {"adapt": 1.5}}
    save_json(
        run / "metrics.json", metrics | {"missing": dict.fromkeys(NEED_WEIGHTS, "no weights")}
    )
    timing = {"first_frame": 75, "frames": 25, "milliseconds": {"refine": 9.0}}
    save_json(run / "render.json", about | timing)
    save_landmarks(run / "landmarks.npz", 25)
    header = "stage,iteration,loss,l1,dssim,psnr,gaussians\n"
    (run / "compare.mp4").write_bytes(b"0" * 1_500_000)
    (run.parent / "avatar.curves.csv").write_text(header + "adapt,50,0.2,,,28,9000\n")
    clip = {"identity": "anna", "source": "a.mp4", "seconds": 4.0, "size": 64, "fps": 25}
    clip |= {"test": [75, 100], "note": None, "warnings": []}
    save_json(tmp_path / "anna" / "ingest.json", clip)
    save_landmarks(tmp_path / "anna" / "landmarks.npz", 100)
    sync = {"verdict": "in step", "sound_moved_ms": 0, "picture_after_sound": None}
    save_json(tmp_path / "anna" / "sync.json", sync)
    save_json(tmp_path / "bert" / "refused.json", {"refused": "bert.mp4: has no audio stream"})
    return tmp_path


def test_tables_writes_numbers_and_a_page(results):
    metrics = results / "anna" / "d3talker" / "10s" / "self" / "metrics.json"
    folder = results / "tables"
    out = ["--out-csv", folder / "t.csv", "--out-md", folder / "t.md"]
    out += ["--out-tex", folder / "t.tex"]
    done = stage("tables", "--table", "table1", "--metrics", metrics, *out)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO((folder / "t.csv").read_text())))
    (row,) = (row for row in rows if row["source"] == "measured, one video")
    assert (row["method"], row["identity"], row["psnr"]) == ("d3talker", "anna", "1.5")
    assert row["metrics_file"] == "anna/d3talker/10s/self/metrics.json"
    assert row["render_file"] == "anna/d3talker/10s/self/render.mp4"
    assert "toprule" in (folder / "t.tex").read_text()
    page = (folder / "t.md").read_text()
    assert "timed on 2 CPU cores" in page and "LPIPS: no weights." in page


def test_an_unknown_table_is_an_error_for_people(results):
    metrics = results / "anna" / "d3talker" / "10s" / "self" / "metrics.json"
    out = ["--out-csv", results / "t.csv", "--out-md", results / "t.md"]
    out += ["--out-tex", results / "t.tex"]
    done = stage("tables", "--table", "table9", "--metrics", metrics, *out)
    assert done.returncode == 2
    assert "no table 'table9'; there are table1" in done.stderr


def test_report_finds_what_lies_beside_the_metrics(results):
    metrics = results / "anna" / "d3talker" / "10s" / "self" / "metrics.json"
    ingest = [results / "anna" / "ingest.json", results / "bert" / "refused.json"]
    out = results / "report.html"
    record = results / "benchmarks" / "anna" / "track.tsv"
    record.parent.mkdir(parents=True)
    record.write_text("s\th:m:s\tmax_rss\n77.5\t0:01:17\t345.6\n")
    weights = results / "base.safetensors"
    weights.write_bytes(b"")
    origin = ["--benchmarks", results / "benchmarks", "--weights", weights]
    origin += ["--changed", '{"seed": 3}', "--meanings", '{"d3talker": "in full"}']
    origin += ["--remarks", "known to the base"]
    done = stage("report", "--ingest", *ingest, "--metrics", metrics, *origin, "--out", out)
    assert done.returncode == 0, done.stderr
    page = out.read_text()
    assert '"src": "anna/d3talker/10s/self/compare.mp4"' in page and "1.5 MB" in page
    assert "bert.mp4: has no audio stream" in page
    assert "Training loss" in page
    assert "2 CPU cores" in page
    # The SHA-256 of nothing.
    assert "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" in page
    for text in ("<td>78</td><td>346</td>", "<dt>seed</dt>", "d3talker: in full.", "known to"):
        assert text in page


def test_weights_that_are_not_there_are_named(results):
    out, refused = results / "report.html", results / "bert" / "refused.json"
    arguments = ["--ingest", refused, "--metrics", "--weights", results / "gone.safetensors"]
    done = stage("report", *arguments, "--out", out)
    assert done.returncode == 2 and "gone.safetensors: cannot be read" in done.stderr
    assert not out.exists()


def test_when_every_video_is_refused_the_report_says_why(results):
    refused, out = results / "bert" / "refused.json", results / "report.html"
    done = stage("report", "--ingest", refused, "--metrics", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "bert.mp4: has no audio stream" in out.read_text()

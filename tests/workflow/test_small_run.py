"""The whole workflow, with real stages, on a demo person and on a real clip."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")
pytest.importorskip("snakemake")

from workflow import base  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
TINY = Path(__file__).with_name("tiny.yaml")


def run(videos: Path, results: Path, *arguments: str, config: Path = TINY) -> str:
    """Run the workflow with a configuration as small as tiny.yaml; return what it printed."""
    command = [sys.executable, str(ROOT / "workflow" / "run.py"), "--videos", str(videos)]
    command += ["--configfile", str(config)]
    command += [f"--args=--config results={results}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout


def environment(name: str) -> str:
    return str(ROOT / ".envs" / name / "bin" / "python")


@pytest.fixture(scope="module")
def demo_people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    command = [environment("media"), str(ROOT / "stages" / "make_demo_people.py")]
    command += ["--out", str(folder), "--size", "192", "--seconds", "5", "--people", "2"]
    subprocess.run(command, check=True)
    return folder


def check_results(results: Path, name: str) -> None:
    metrics = json.loads((results / name / "d3talker/3s/self/metrics.json").read_text())
    floor = json.loads((results / name / "static/3s/self/metrics.json").read_text())
    assert metrics["psnr"] > 15
    assert metrics["frames"] == floor["frames"] > 0
    assert metrics["preset"] == "quick"
    assert (results / name / "d3talker/3s/self/compare.mp4").stat().st_size > 0
    assert (results / "tables/table1.csv").exists()
    assert name in (results / "report.html").read_text()


def test_a_demo_person_becomes_a_talking_head(demo_people, tmp_path):
    results = tmp_path / "results"
    (target,) = demo_people.glob("*.mp4")
    output = run(demo_people, results, "--audios", str(demo_people / "audio"))
    check_results(results, target.stem)
    (sound,) = (demo_people / "audio").iterdir()
    cross = results / target.stem / "d3talker" / "3s" / sound.stem
    assert (cross / "render.mp4").stat().st_size > 0
    assert json.loads((cross / "metrics.json").read_text())["psnr"] is None
    assert "report:" in output


def test_the_first_seconds_of_a_real_clip_and_the_base_become_a_talking_head(tmp_path):
    data = os.environ.get("D3_DATA")
    if not data:
        pytest.skip("D3_DATA names no folder with real clips")
    videos = tmp_path / "videos"
    videos.mkdir()
    cut(Path(data) / "videos" / "cnn2.mp4", videos / "cnn2.mp4", seconds=6)
    config = yaml.safe_load(TINY.read_text()) | {"pretrain": {"base": "resources"}}
    for stage in base.STAGES:
        del config["train"][stage]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    run(videos, tmp_path / "results", config=tmp_path / "config.yaml")
    check_results(tmp_path / "results", "cnn2")
    assert not (tmp_path / "results" / "pretrained").exists()


def cut(video: Path, out: Path, seconds: int) -> None:
    """Copy the first seconds of a clip."""
    program = "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())"
    ffmpeg = subprocess.run(
        [environment("media"), "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()
    subprocess.run(
        [ffmpeg, "-loglevel", "error", "-i", str(video), "-t", str(seconds), str(out)], check=True
    )

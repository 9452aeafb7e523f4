"""evaluate and compare on a small made-up person, through their command lines."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("skimage")
pytest.importorskip("ffmpeg")
pytest.importorskip("cv2")

from d3talker.artifacts import load_arrays, load_json, save_arrays, save_images, save_json
from d3talker.face.model import LIPS_INNER, LIPS_OUTER
from d3talker.face.parsing import FACE
from d3talker.metrics import openface
from d3talker.metrics.lips import SAMPLES_PER_FRAME
from d3talker.video import probe, read_frames, write_video, write_wav

ROOT = Path(__file__).resolve().parents[2]
STAGES = ROOT / "stages"
SIZE, FRAMES, START = 64, 120, 60
LATE = 3  # frames by which the rendered mouth lags


def stage(name, *arguments):
    command = [sys.executable, STAGES / f"{name}.py", *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True)


def frames_with(opening, shade):
    """A grey head with a dark mouth as high as `opening`."""
    for value in opening:
        frame = np.full((SIZE, SIZE, 3), 60, np.uint8)
        frame[8:56, 12:52] = shade
        frame[40 : 42 + int(60 * value), 24:40] = 20
        yield frame


def save_landmarks(path, opening):
    points = np.zeros((len(opening), 478, 3), np.float32)
    points[:, :, :2] = np.random.default_rng(3).uniform(10, 54, (478, 2))
    points[:, [*LIPS_OUTER, *LIPS_INNER], :2] = 32, 40
    points[:, LIPS_OUTER[:10], 0] += 8
    points[:, LIPS_INNER[:10], 1] += 60 * opening[:, None]
    valid = np.ones(len(opening), bool)
    save_arrays(path, points=points, valid=valid, mouth_openness=opening.astype(np.float32))


@pytest.fixture(scope="module")
def person(tmp_path_factory):
    """Folder with a clip of 120 frames, and a render of the last 60 whose mouth is late."""
    folder = tmp_path_factory.mktemp("person")
    noise = np.random.default_rng(0).normal(size=FRAMES + 12)
    opening = 0.1 + 0.03 * np.convolve(noise, np.hanning(5), "valid")[:FRAMES]
    test = np.roll(opening, LATE)[START:]
    write_video(folder / "video.mp4", frames_with(opening, 150), crf=10)
    loudness = np.repeat(opening / opening.max(), SAMPLES_PER_FRAME)
    write_wav(
        folder / "audio.wav", loudness * np.random.default_rng(1).uniform(-1, 1, len(loudness))
    )
    write_video(folder / "render.mp4", frames_with(test, 153), audio=folder / "audio.wav")
    save_landmarks(folder / "landmarks.npz", opening)
    save_landmarks(folder / "render.npz", test)
    labels = np.zeros((SIZE, SIZE), np.uint8)
    labels[8:56, 12:52] = FACE
    save_images(folder / "parsing.zip", [labels] * FRAMES)
    save_json(folder / "ingest.json", {"test": [START, FRAMES], "frames": FRAMES})
    return folder


def evaluate(folder, drive="self", variant="d3talker", more=(), **rendered):
    """Run the stage; more: other options; rendered: changes of render.json."""
    about = {"identity": "anna", "variant": "d3talker", "secs": 10, "drive": drive}
    about |= {"preset": "quick", "first_frame": START, "frames": FRAMES - START}
    about |= {
        "fps": 8.5,
        "fps_coarse": 12.0,
        "train_seconds": 100.0,
        "train_seconds_by_stage": {"fit_static": 40.0, "adapt": 60.0},
        "backends": {},
        "versions": {},
    }
    save_json(folder / "render.json", about | rendered)
    names = {"render": "render.mp4", "render-json": "render.json", "render-landmarks": "render.npz"}
    names |= {"video": "video.mp4", "landmarks": "landmarks.npz", "labels": "parsing.zip"}
    names |= {"ingest": "ingest.json", "audio": "audio.wav", "out": "metrics.json"}
    arguments = [part for name, file in names.items() for part in (f"--{name}", folder / file)]
    arguments += ["--drive", drive, "--identity", "anna", "--variant", variant]
    arguments += ["--face-model", ROOT / "resources" / "face_model.npz", *more]
    return stage("evaluate", *arguments, "--secs", 10, "--preset", "quick")


KEYS = {
    *("identity", "variant", "secs", "drive", "frames", "psnr", "psnr_ci", "psnr_head"),
    *("psnr_mouth", "psnr_mouth_ci", "ssim", "ssim_ci", "ssim_face", "flicker", "lpips", "lmd"),
    *("lip_distance", "lip_distance_ci", "aue_lower", "aue_upper", "sync_c", "sync_d"),
    *("sync_offset", "mouth_corr", "mouth_corr_ci", "mouth_driver_corr", "mouth_driver_corr_ci"),
    *("mouth_energy_corr", "av_offset_frames", "av_offset_against", "fps", "fps_coarse"),
    *("train_seconds", "train_seconds_by_stage", "preset", "backends", "versions", "missing"),
}
NOT_GIVEN = {"lpips", "lmd", "sync_c", "sync_d", "sync_offset", "aue_lower", "aue_upper"}
NOT_GIVEN |= {"mouth_driver_corr", "mouth_driver_corr_ci"}


def test_a_self_driven_render_is_measured_against_the_test_frames(person):
    done = evaluate(person)
    assert done.returncode == 0, done.stderr
    metrics = load_json(person / "metrics.json")
    assert set(metrics) == KEYS
    # The head is 3 grey levels too bright, and covers 47 % of the frame.
    assert metrics["psnr_head"] < metrics["psnr"] < 45
    assert metrics["ssim"] > 0.9
    assert metrics["lip_distance"] > 0
    assert metrics["av_offset_frames"] == LATE
    assert 0 < metrics["ssim_face"] < 1 and metrics["flicker"] > 0
    for name in ("mouth_corr", "psnr", "psnr_mouth", "ssim", "lip_distance"):
        low, high = metrics[f"{name}_ci"]
        assert low < metrics[name] < high, name
    assert metrics["fps"] == 8.5
    assert set(metrics["missing"]) == NOT_GIVEN
    assert all(metrics[name] is None for name in metrics["missing"])


def test_what_the_encoder_loses_is_no_error_of_the_render(person, tmp_path):
    shutil.copytree(person, tmp_path, dirs_exist_ok=True)
    noise = np.random.default_rng(2).integers(0, 256, (FRAMES, SIZE, SIZE, 3), np.uint8)
    write_video(tmp_path / "video.mp4", noise, crf=4)
    write_video(tmp_path / "render.mp4", read_frames(tmp_path / "video.mp4")[START:])
    assert evaluate(tmp_path).returncode == 0
    metrics = load_json(tmp_path / "metrics.json")
    assert metrics["ssim"] == 1
    assert metrics["psnr"] is None and "identical" in metrics["missing"]["psnr"]


def test_another_voice_is_measured_against_its_loudness_only(person):
    done = evaluate(person, drive="speech", first_frame=70)
    assert done.returncode == 0, done.stderr
    metrics = load_json(person / "metrics.json")
    assert set(metrics) == KEYS
    for name in ("psnr", "psnr_head", "psnr_mouth", "ssim", "lip_distance", "mouth_corr"):
        assert metrics[name] is None and "no true frames" in metrics["missing"][name]
    assert -1 <= metrics["mouth_energy_corr"] <= 1
    assert metrics["av_offset_against"] == "speech loudness"
    assert "lies beside" in metrics["missing"]["mouth_driver_corr"]


def test_another_voice_is_measured_against_the_mouth_of_who_speaks_it(person, tmp_path):
    opening = load_arrays(person / "render.npz")[0]["mouth_openness"]
    save_landmarks(tmp_path / "driver.npz", np.roll(np.pad(opening, (0, 60), "wrap"), -LATE))
    more = ["--driver-landmarks", tmp_path / "driver.npz"]
    done = evaluate(person, drive="speech", more=more)
    assert done.returncode == 0, done.stderr
    metrics = load_json(person / "metrics.json")
    assert set(metrics) == KEYS
    assert metrics["mouth_driver_corr"] < 0.9
    assert metrics["av_offset_frames"] == LATE
    assert metrics["av_offset_against"] == "driving speaker"
    save_landmarks(tmp_path / "driver.npz", opening)  # half as long as the sound
    assert evaluate(person, drive="speech", more=more).returncode == 0
    missing = load_json(person / "metrics.json")["missing"]
    assert "60 frames, but its sound 120" in missing["mouth_driver_corr"]


def test_scores_of_others_are_taken_over(person, tmp_path):
    points = np.random.default_rng(4).uniform(0, SIZE, (FRAMES - START, 68, 2))
    truth = points.copy()
    truth[:, 48:, 0] += np.resize([4, -4], 20)  # every mouth point 4 px off, their mean is not
    seen = np.ones(FRAMES - START, bool)
    save_arrays(tmp_path / "r.npz", {"first_frame": 0}, points=points, valid=seen)
    save_arrays(tmp_path / "t.npz", {"first_frame": START}, points=truth, valid=seen)
    save_json(tmp_path / "s.json", {"sync_c": 3.5, "sync_d": 9.5, "offset": -1, "tracks": 1})
    units = [f"AU{unit}_r" for unit in openface.UNITS]
    for name, level, rows in (("r", 1.0, FRAMES - START), ("t", 3.0, FRAMES)):
        lines = [", ".join(units)] + [", ".join([f"{level}"] * 17)] * rows
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
    more = ["--fan-render", tmp_path / "r.npz", "--fan-truth", tmp_path / "t.npz"]
    more += ["--syncnet", tmp_path / "s.json"]
    more += ["--openface-render", tmp_path / "r.csv", "--openface-truth", tmp_path / "t.csv"]
    done = evaluate(person, more=more)
    assert done.returncode == 0, done.stderr
    metrics = load_json(person / "metrics.json")
    assert set(metrics) == KEYS
    assert metrics["lmd"] == pytest.approx(4)
    assert (metrics["sync_c"], metrics["sync_d"], metrics["sync_offset"]) == (3.5, 9.5, -1)
    assert (metrics["aue_lower"], metrics["aue_upper"]) == (4 * 9, 4 * 8)
    assert set(metrics["missing"]) == {"lpips", "mouth_driver_corr", "mouth_driver_corr_ci"}
    save_json(tmp_path / "s.json", {"missing": "no face", "tracks": 0})
    assert evaluate(person, more=more).returncode == 0
    assert load_json(person / "metrics.json")["missing"]["sync_d"] == "no face"


def test_training_frames_are_never_measured(person):
    done = evaluate(person, first_frame=START - 10)
    assert done.returncode == 2
    assert "outside the test part" in done.stderr


def test_the_render_of_another_variant_is_refused(person):
    done = evaluate(person, variant="instag")
    assert done.returncode == 2
    assert "render.json" in done.stderr and "instag" in done.stderr


def test_a_timing_that_was_not_possible_has_a_reason(person):
    assert evaluate(person, drive="speech", fps=None).returncode == 0
    metrics = load_json(person / "metrics.json")
    assert metrics["fps"] is None and "too short" in metrics["missing"]["fps"]


def test_compare_puts_truth_render_and_error_side_by_side_with_sound(person):
    save_json(person / "render.json", {"first_frame": START, "frames": FRAMES - START})
    files = ["--render", "render.mp4", "--render-json", "render.json", "--video", "video.mp4"]
    files = [part if part.startswith("--") else person / part for part in files]
    done = stage("compare", *files, "--out", person / "compare.mp4")
    assert done.returncode == 0, done.stderr
    frames = read_frames(person / "compare.mp4")
    assert frames.shape == (FRAMES - START, SIZE, 3 * SIZE, 3)
    assert abs(frames[0, 16, 32].astype(int) - 150).max() <= 2
    assert abs(frames[0, 16, SIZE + 32].astype(int) - 153).max() <= 2
    # Around the head both are alike, so the map is black; in it they differ by 3 of 48 levels.
    outside, inside = frames[0, 4, 2 * SIZE + 4], frames[0, 16, 2 * SIZE + 32]
    assert outside.max() <= 12 < inside.max() <= 60
    assert probe(person / "compare.mp4").has_audio

"""Videos of other programs: taken if they show the test frames, else refused in words."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("imageio_ffmpeg")
pytest.importorskip("ffmpeg")

from media_clips import run_stage, write_tone

from d3talker.artifacts import save_json
from d3talker.video import probe, read_frames, write_video

FRAMES, TEST, SIZE = 60, (40, 60), 64


def frames(count: int, first: int = 0, size: int = SIZE) -> list[np.ndarray]:
    """Frames of one grey each, which tells their number."""
    return [np.full((size, size, 3), 20 + 3 * (first + i), np.uint8) for i in range(count)]


@pytest.fixture
def take(tmp_path: Path):
    """Bring a video of the given frames into the run's layout: the finished process."""
    save_json(tmp_path / "ingest.json", {"frames": FRAMES, "size": SIZE, "test": TEST})
    write_tone(tmp_path / "audio.wav", FRAMES / 25)

    def run(shown: list[np.ndarray], fps: int = 25):
        write_video(tmp_path / "other.mp4", shown, fps=fps, crf=1)
        return run_stage(
            "external", "--external", tmp_path / "other.mp4", "--clip", "results/anna/video.mp4",
            "--ingest", tmp_path / "ingest.json", "--audio", tmp_path / "audio.wav",
            "--method", "ER-NeRF", "--identity", "anna", "--variant", "external_ER-NeRF",
            "--secs", "10", "--out-video", tmp_path / "render.mp4",
            "--out-json", tmp_path / "render.json",
        )  # fmt: skip

    return run


@pytest.mark.parametrize("shown", [frames(20, first=40), frames(FRAMES)], ids=["test part", "all"])
def test_the_test_frames_are_taken_with_the_clips_sound(take, tmp_path, shown):
    done = take(shown)
    assert done.returncode == 0, done.stderr
    greys = read_frames(tmp_path / "render.mp4").mean(axis=(1, 2, 3))
    assert np.abs(greys - [20 + 3 * n for n in range(*TEST)]).max() < 1.5
    assert probe(tmp_path / "render.mp4").has_audio
    rendered = json.loads((tmp_path / "render.json").read_text())
    assert (rendered["first_frame"], rendered["frames"], rendered["drive"]) == (40, 20, "self")
    assert rendered["fps"] is rendered["train_seconds"] is None
    assert "did not tell" in rendered["missing"]["fps"]
    assert rendered["backends"] == {"external": "ER-NeRF"}


@pytest.mark.parametrize(
    ("shown", "fps", "found"),
    [
        (
            frames(19),
            25,
            "19 frames instead of 20, the test part (frames 40 to 59 of the clip), or",
        ),
        (frames(20), 30, "30 frames per second instead of 25"),
        (frames(20, size=32), 25, "32x32 pixels instead of 64x64"),
    ],
)
def test_what_does_not_fit_is_told_with_what_is_needed(take, tmp_path, shown, fps, found):
    done = take(shown, fps)
    assert done.returncode == 2
    assert found in done.stderr and "give the other program results/anna/video.mp4" in done.stderr
    assert not (tmp_path / "render.mp4").exists()

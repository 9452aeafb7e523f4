"""Which frames of a clip train and which test."""

from collections.abc import Mapping

FPS = 25
TEST_FRAMES = 300  # 12 s, spec 1.9
TRAIN_FRAMES = 250  # 10 s, the paper's main setting


def test_range(frames: int) -> tuple[int, int]:
    """Test frames [start, stop) of a clip of `frames` frames.

    The last 300 frames, as in the paper; a clip too short for those and 10 s of training keeps
    its last quarter.
    """
    if frames >= TRAIN_FRAMES + TEST_FRAMES:
        return frames - TEST_FRAMES, frames
    return frames - frames // 4, frames


def test_part(ingest: Mapping) -> tuple[int, int]:
    """Test frames [start, stop) of the clip of an ingest.json: its own, or as `test_range`."""
    start, stop = ingest.get("test") or test_range(ingest["frames"])
    return start, stop


def train_range(ingest: Mapping, secs: int | None) -> tuple[int, int]:
    """Training frames [0, stop): the first `secs` seconds before the test part; None: all of it.

    ingest: content of the clip's ingest.json. A pre-training person (`secs` None) is never tested,
    so every frame trains.
    """
    if secs is None:
        return 0, ingest["frames"]
    return 0, min(secs * FPS, test_part(ingest)[0])

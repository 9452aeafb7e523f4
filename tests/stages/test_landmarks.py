"""The landmarks stage: clip in, landmarks.npz out."""

import numpy as np
import pytest

pytest.importorskip("mediapipe")

from media_clips import astronaut_frames, run_stage

from d3talker.artifacts import load_arrays
from d3talker.video import write_video


@pytest.fixture
def clip(tmp_path):
    frames = astronaut_frames(30)
    frames[10:13] = [np.zeros_like(frames[0])] * 3
    write_video(tmp_path / "clip.mp4", frames)
    return tmp_path / "clip.mp4"


def test_artifact_has_the_fields_of_the_contract_and_bridges_gaps(clip, tmp_path):
    for name in ("a.npz", "b.npz"):
        done = run_stage("landmarks", "--video", clip, "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
    arrays, meta = load_arrays(tmp_path / "a.npz")
    assert meta["size"] == 384
    assert {name: (a.shape, a.dtype.name) for name, a in arrays.items()} == {
        "points": ((30, 478, 3), "float32"),
        "valid": ((30,), "bool"),
        "eye_openness": ((30, 2), "float32"),
        "mouth_openness": ((30,), "float32"),
    }
    assert np.flatnonzero(~arrays["valid"]).tolist() == [10, 11, 12]
    points = arrays["points"]
    assert np.allclose(points[11], (points[9] + points[13]) / 2, atol=1e-3)
    again, _ = load_arrays(tmp_path / "b.npz")
    assert np.array_equal(points, again["points"])


def test_a_clip_without_a_face_is_refused_unless_allowed(tmp_path):
    write_video(tmp_path / "grey.mp4", np.full((5, 64, 64, 3), 128, np.uint8))
    arguments = ("--video", tmp_path / "grey.mp4", "--out", tmp_path / "l.npz")
    done = run_stage("landmarks", *arguments)
    assert done.returncode == 2 and "no face in 5 of 5 frames" in done.stderr
    assert not (tmp_path / "l.npz").exists()
    done = run_stage("landmarks", *arguments, "--max-missing", "1")
    assert done.returncode == 0, done.stderr
    arrays, _ = load_arrays(tmp_path / "l.npz")
    assert not arrays["valid"].any() and not arrays["points"].any()

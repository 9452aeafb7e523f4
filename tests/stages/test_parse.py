"""The parse stage: clip and landmarks in, labels, clean plate and torso out."""

import numpy as np
import pytest

pytest.importorskip("mediapipe")

from media_clips import astronaut_frames, run_stage

from d3talker.artifacts import load_arrays, load_image, load_images
from d3talker.face import parsing
from d3talker.video import read_frames, write_video

FRAMES = 20


@pytest.fixture(scope="module")
def parsed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parse")
    write_video(folder / "clip.mp4", astronaut_frames(FRAMES), crf=10)
    for name, arguments in {
        "landmarks": ["--out", folder / "landmarks.npz"],
        "parse": ["--landmarks", folder / "landmarks.npz", "--out-labels", folder / "parsing.zip",
                  "--out-background", folder / "background.png",
                  "--out-torso", folder / "torso.zip"],
    }.items():  # fmt: skip
        done = run_stage(name, "--video", folder / "clip.mp4", *arguments)
        assert done.returncode == 0, done.stderr
    return folder


def test_shapes_and_values(parsed):
    labels = load_images(parsed / "parsing.zip")
    torso = load_images(parsed / "torso.zip")
    assert labels.shape == (FRAMES, 384, 384) and labels.dtype == np.uint8
    assert labels.max() <= parsing.CLOTH
    assert torso.shape == (FRAMES, 384, 384, 4)
    assert set(np.unique(torso[..., 3])) == {0, 255}
    assert load_image(parsed / "background.png").shape == (384, 384, 3)


def test_face_lies_at_the_landmarks_and_clothes_below(parsed):
    labels = load_images(parsed / "parsing.zip")
    points = load_arrays(parsed / "landmarks.npz")[0]["points"]
    for frame, mesh in zip(labels, points, strict=True):
        nose_x, nose_y = mesh[4, :2].astype(int)
        assert frame[nose_y, nose_x] == parsing.FACE
        assert frame[int(mesh[10, 1]) - 15, nose_x] == parsing.HAIR
        assert frame[-20, nose_x] in (parsing.CLOTH, parsing.NECK)


def test_labels_are_steady_in_time(parsed):
    labels = load_images(parsed / "parsing.zip")
    area = parsing.head_mask(labels).sum((1, 2)) / parsing.head_mask(labels).sum((1, 2)).mean()
    assert np.abs(np.diff(area)).max() < 0.03


def test_backdrop_equals_the_frame_outside_the_head(parsed):
    frame = read_frames(parsed / "clip.mp4", 7, 8)[0]
    labels, torso = (load_images(parsed / n, [7])[0] for n in ("parsing.zip", "torso.zip"))
    behind = parsing.backdrop(frame, labels, torso, load_image(parsed / "background.png"))
    head = parsing.head_mask(labels)
    assert np.array_equal(behind[~head], frame[~head])
    assert np.abs(behind[head].astype(int) - frame[head]).mean() > 10


def test_landmarks_of_another_clip_are_refused(parsed, tmp_path):
    write_video(tmp_path / "other.mp4", astronaut_frames(5))
    done = run_stage(
        "parse", "--video", tmp_path / "other.mp4", "--landmarks", parsed / "landmarks.npz",
        "--out-labels", tmp_path / "l.zip", "--out-background", tmp_path / "b.png",
        "--out-torso", tmp_path / "t.zip",
    )  # fmt: skip
    assert done.returncode == 2 and "make the landmarks again" in done.stderr
    assert not (tmp_path / "l.zip").exists()

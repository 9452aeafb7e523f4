"""The parse stage: clip and landmarks in, labels, clean plate and torso out."""

import numpy as np
import pytest

pytest.importorskip("mediapipe")

from dataclasses import replace

import cv2
from media_clips import astronaut_frames, run_stage

from d3talker.artifacts import load_arrays, load_image, load_images
from d3talker.demo import people
from d3talker.demo.head import EYE_DISTANCE, deform
from d3talker.demo.portrait import head_mask, load_portrait
from d3talker.demo.render import Scene, draw
from d3talker.face import parsing
from d3talker.face.model import LOWER_LIP, UPPER_LIP
from d3talker.video import read_frames, write_video

FRAMES = 20


@pytest.fixture(scope="module")
def parsed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parse")
    write_video(folder / "clip.mp4", astronaut_frames(FRAMES), crf=10)
    parse(folder)
    return folder


def parse(folder):
    """Run landmarks and parse on clip.mp4 of `folder`."""
    for name, arguments in {
        "landmarks": ["--out", folder / "landmarks.npz"],
        "parse": ["--landmarks", folder / "landmarks.npz", "--out-labels", folder / "parsing.zip",
                  "--out-background", folder / "background.png",
                  "--out-torso", folder / "torso.zip"],
    }.items():  # fmt: skip
        done = run_stage(name, "--video", folder / "clip.mp4", *arguments)
        assert done.returncode == 0, done.stderr


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


def label_picture(scene: Scene, portrait) -> Scene:
    """`scene` in colours that tell what a pixel shows: red the head, blue all but the mouth."""
    alpha = scene.person[..., 3]
    head = cv2.resize(head_mask(portrait), alpha.shape, interpolation=cv2.INTER_AREA)
    person = np.dstack([alpha * head, 0 * alpha, alpha, alpha]).astype(np.float32)
    blue = np.zeros_like(scene.background) + np.float32([0, 0, 1])
    return replace(scene, person=person, teeth=0 * scene.teeth, background=blue)


def overlap(ours: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Intersection over union of masks (T,H,W) bool, per frame."""
    return (ours & true).sum((1, 2)) / (ours | true).sum((1, 2))


@pytest.fixture(scope="module", params=[0, 1])
def demo(request, tmp_path_factory):
    """A parsed demo person in ten frames around an open mouth, and true masks (10,512,512)."""
    folder = tmp_path_factory.mktemp("demo")
    person, rng = people.CAST[request.param], np.random.default_rng([0, request.param])
    scene = people.build_person(person, 512, rng)
    performance = people.perform(person.voice, 4.0, rng)
    lips = np.array([deform(scene.head, e)[[UPPER_LIP, LOWER_LIP]] for e in performance.expression])
    opening = np.linalg.norm(lips[:, 0] - lips[:, 1], axis=1)
    first = int(np.convolve(opening, np.ones(10), "valid").argmax())
    R, t = people.poses(scene.head, performance)
    labelled = label_picture(scene, load_portrait(person.mirrored))
    frames, mouths, heads = [], [], []
    for i in range(first, first + 10):
        frames.append(draw(scene, performance.expression[i], R[i], t[i]))
        truth = draw(labelled, performance.expression[i], R[i], t[i])
        mouths.append(truth[..., 2] < 128)
        heads.append(truth[..., 0] > 127)
    write_video(folder / "clip.mp4", frames, crf=14)
    parse(folder)
    is_open = opening[first : first + 10] > 0.05 * EYE_DISTANCE
    return load_images(folder / "parsing.zip"), np.array(mouths), np.array(heads), is_open


def test_inner_mouth_of_demo_people_is_found(demo):
    labels, mouths, _, is_open = demo
    assert is_open.sum() >= 5
    assert overlap(parsing.mouth_mask(labels), mouths)[is_open].mean() > 0.8


def test_head_of_demo_people_is_found(demo):
    labels, mouths, heads, _ = demo
    assert overlap(parsing.head_mask(labels), heads | mouths).min() > 0.95

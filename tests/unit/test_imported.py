"""Cameras, split and masks of dataset folders of other programs."""

import json

import numpy as np
import pytest

pytest.importorskip("cv2")

from d3talker import artifacts
from d3talker.cli import InputError
from d3talker.export.dataset import camera_to_world, parsing_image, transforms
from d3talker.face import parsing
from d3talker.imported.cameras import chosen_test, head_to_camera, read_cameras
from d3talker.imported.masks import labels_of

SIZE, FOCAL = 64, 120.0


def poses(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Heads that turn to the side before the camera: R (T,3,3), t (T,3)."""
    angle = np.linspace(-0.4, 0.4, frames)
    R = np.tile(np.eye(3), (frames, 1, 1))
    R[:, 0, 0] = R[:, 2, 2] = np.cos(angle)
    R[:, 0, 2], R[:, 2, 0] = np.sin(angle), -np.sin(angle)
    t = np.stack([angle / 10, -angle / 20, 0.6 + angle / 10], axis=1)
    return np.diag([1.0, -1, -1]) @ R, t


def write(folder, count, train, tested, **changes):
    """Both files, of cameras of `count` frames; `changes` of transforms_val.json."""
    matrices = camera_to_world(*poses(count))
    for name, part in (("train", train), ("val", tested)):
        content = transforms(matrices, part, FOCAL, SIZE) | (changes if name == "val" else {})
        artifacts.save_json(folder / f"transforms_{name}.json", content)


def test_the_exporters_matrices_become_its_poses_again(tmp_path):
    R, t = poses(60)
    again = head_to_camera(camera_to_world(R, t))
    assert np.allclose(again[0], R, atol=1e-12) and np.allclose(again[1], t, atol=1e-12)
    write(tmp_path, 60, range(40), [*range(40, 60), 59])
    cameras = read_cameras(tmp_path, SIZE)
    assert np.allclose(cameras.R, R) and np.allclose(cameras.t, t) and cameras.focal == FOCAL


@pytest.mark.parametrize(
    ("frames", "first", "tested", "test"),
    [
        # Ours, whose last entry stands there twice; process.py; InsTaG's split.py.
        (400, 100, [*range(100, 400), 399], (100, 400)),
        (330, 300, range(300, 330), (300, 329)),
        (400, 99, range(99, 400), (99, 399)),
    ],
)
def test_what_the_programs_test_is_tested_here(tmp_path, frames, first, tested, test):
    write(tmp_path, frames, range(first), tested)
    cameras = read_cameras(tmp_path, SIZE)
    assert cameras.test == test and len(cameras.R) == frames


@pytest.mark.parametrize(
    ("train", "tested", "changes", "message"),
    [
        ([*range(10), *range(12, 40)], range(40, 60), {}, r"no camera of 2 frames \(10, 11\)"),
        (range(50), range(40, 60), {}, r"train\.json: trains on 10 frames \(40, 41.* at frame 40"),
        (range(40), [*range(40, 50), *range(52, 60)], {}, "one stretch of the clip"),
        (range(59), [59], {}, "fewer than two frames"),
        (range(20), range(20, 60), {}, "20 frames train; at least 25"),
        (range(40), range(40, 60), {"focal_len": 130.0}, "focal_len is 130, but 120 in"),
        (range(40), range(40, 60), {"cx": 225}, "cx and cy are 225 and 32, but .* 64x64"),
        (range(40), range(40, 60), {"frames": 3}, "is not laid out as"),
        (range(40), range(40, 60), {"focal_len": 0}, "no focal length"),
    ],
)
def test_cameras_that_cannot_be_used_are_refused(tmp_path, train, tested, changes, message):
    write(tmp_path, 60, train, tested, **changes)
    with pytest.raises(InputError, match=message):
        read_cameras(tmp_path, SIZE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: (2 * m).tolist(), "frame 3 is no rotation"),
        (lambda m: (m @ np.diag([1, 1, -1, 1])).tolist(), "frame 3 is no rotation"),
        (lambda m: (m @ np.diag([1, -1, -1, 1])).tolist(), "behind the camera in frame 3"),
        (lambda m: m[:3].tolist(), "frame 3 is no rotation"),
    ],
)
def test_a_matrix_that_is_no_camera_is_named(tmp_path, change, message):
    write(tmp_path, 60, range(40), range(40, 60))
    path = tmp_path / "transforms_train.json"
    content = json.loads(path.read_text())
    entry = content["frames"][3]
    entry["transform_matrix"] = change(np.array(entry["transform_matrix"]))
    artifacts.save_json(path, content)
    with pytest.raises(InputError, match=message):
        read_cameras(tmp_path, SIZE)


def test_sound_of_another_frame_is_refused(tmp_path):
    write(tmp_path, 60, range(40), range(40, 60))
    path = tmp_path / "transforms_train.json"
    path.write_text(path.read_text().replace('"aud_id": 7', '"aud_id": 8'))
    with pytest.raises(InputError, match="aud_id is not img_id in frame 7"):
        read_cameras(tmp_path, SIZE)


def test_another_test_part_may_be_asked_for():
    assert chosen_test("anna", 100, 30) == (70, 100)
    with pytest.raises(InputError, match="anna: 90 test frames were asked for, but it has 100"):
        chosen_test("anna", 100, 90)


def test_colours_and_teeth_become_the_labels_that_they_were_made_of():
    labels = np.random.default_rng(0).integers(0, 7, (20, 30)).astype(np.uint8)
    found, unknown = labels_of(parsing_image(labels), labels == parsing.TEETH)
    assert (found == labels).all() and not unknown.any()


def test_teeth_count_in_the_face_and_the_mouth_alone():
    labels = np.array([[parsing.FACE, parsing.INNER_MOUTH, parsing.CLOTH]], np.uint8)
    found, _ = labels_of(parsing_image(labels), np.ones((1, 3), bool))
    assert found.tolist() == [[parsing.TEETH, parsing.TEETH, parsing.CLOTH]]


def test_other_colours_are_none_of_theirs():
    image = parsing_image(np.zeros((2, 2), np.uint8))
    image[0, 1] = (0, 0, 254)
    image[1, 0] = (100, 0, 0)
    assert labels_of(image, None)[1].tolist() == [[False, True], [True, False]]

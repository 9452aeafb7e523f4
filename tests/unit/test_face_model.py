"""The face model that the project ships."""

import os
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from d3talker.artifacts import ArtifactError, save_arrays
from d3talker.face import model as face
from d3talker.face.landmarks import track_faces
from d3talker.face.model import FaceModel
from d3talker.face.reconstruction import reconstruction_error

PATH = Path(__file__).parents[2] / "resources" / "face_model.npz"
MODEL = FaceModel.load(PATH)


def test_mean_face_is_metric_upright_and_faces_the_camera():
    mean = MODEL.mean
    corners = np.linalg.norm(mean[face.LEFT_EYE_CORNER] - mean[face.RIGHT_EYE_CORNER])
    assert corners == pytest.approx(0.09, abs=1e-4)
    assert mean[face.LEFT_EYE_CORNER, 0] > 0  # the person's left is on the image's right
    assert mean[face.RIGHT_BROW, 1].mean() > mean[face.LIPS_OUTER, 1].mean()
    assert mean[1, 2] > 0.07  # the nose points to the camera


def test_mean_face_is_symmetric():
    for right, left in ((33, 263), (61, 291), (234, 454), (105, 334)):
        np.testing.assert_allclose(MODEL.mean[right] * [-1, 1, 1], MODEL.mean[left], atol=1e-5)


def test_file_is_small():
    assert PATH.stat().st_size < 2e6


def test_zero_coefficients_give_the_mean():
    zero = MODEL.vertices(np.zeros(len(MODEL.identity)), np.zeros((5, len(MODEL.expression))))
    np.testing.assert_array_equal(zero, np.repeat(MODEL.mean[None], 5, axis=0))


def test_lower_components_leave_brows_alone_and_upper_ones_leave_the_mouth():
    lower, upper = MODEL.expression[: MODEL.lower], MODEL.expression[MODEL.lower :]
    brows = np.concatenate([face.LEFT_BROW, face.RIGHT_BROW])
    mouth = np.concatenate([face.LIPS_INNER, face.LIPS_OUTER, face.JAW[4:-4]])
    assert np.abs(lower[:, brows]).max() < 1e-9
    assert np.abs(upper[:, mouth]).max() < 1e-9


def test_first_component_opens_the_mouth():
    gap = MODEL.expression[0, face.UPPER_LIP, 1] - MODEL.expression[0, face.LOWER_LIP, 1]
    assert gap > 0.003


def test_lips_are_together_at_rest():
    gap = np.linalg.norm(MODEL.mean[face.UPPER_LIP] - MODEL.mean[face.LOWER_LIP])
    assert gap < 0.002


def test_mesh_is_closed_but_for_the_outline_and_wound_alike():
    assert np.bincount(MODEL.region).tolist() == [852, 28, 18]
    directed = Counter((int(t[i]), int(t[(i + 1) % 3])) for t in MODEL.triangles for i in range(3))
    assert max(directed.values()) == 1
    edges = Counter(e for t in MODEL.triangles for e in combinations(sorted(t.tolist()), 2))
    assert list(edges.values()).count(1) == 36
    corners = MODEL.mean[MODEL.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (normals[:, 2] > 0).mean() > 0.98


def test_what_the_bases_can_make_is_reconstructed_whatever_its_pose_and_scale():
    rng = np.random.default_rng(0)
    faces = MODEL.vertices(
        rng.normal(size=len(MODEL.identity)), rng.normal(size=(20, len(MODEL.expression)))
    )
    turn = np.array([[0.8, 0, -0.6], [0, 1, 0], [0.6, 0, 0.8]])
    seen = 700 * faces @ turn.T * [1, -1, -1] + [250, 260, 10]
    assert reconstruction_error(MODEL, seen) < 2e-3
    bent = seen + rng.normal(scale=0.02 * 700 * 0.09 / np.sqrt(8 / np.pi), size=seen.shape)
    assert reconstruction_error(MODEL, bent) == pytest.approx(0.02, rel=0.1)


def test_a_person_whom_the_model_never_saw_is_reconstructed():
    data = os.environ.get("D3_DATA")
    if not data:
        pytest.skip("D3_DATA names no folder with real clips")
    pytest.importorskip("mediapipe")
    from d3talker.face.mediapipe_models import FaceMesh
    from d3talker.video import iter_frames

    clip = Path(data) / "videos" / "cnn2.mp4"
    points, valid = track_faces(iter_frames(clip, 0, 250), FaceMesh(), face.POINTS)
    assert valid.all()
    assert reconstruction_error(MODEL, points[::5]) < 0.015


def test_wrong_file_is_named(tmp_path):
    save_arrays(tmp_path / "x.npz", mean=MODEL.mean)
    with pytest.raises(ArtifactError, match=r"x\.npz.*expression"):
        FaceModel.load(tmp_path / "x.npz")

"""Poses of another tracker are kept, whatever head space they are in."""

import numpy as np
import pytest

pytest.importorskip("numba")
from scipy.spatial.transform import Rotation
from test_tracking import FOCAL, GAP, MODEL, clip  # noqa: F401

from d3talker.face.given_cameras import HeadSpace, bring_here, find_head_space
from d3talker.face.tracking import TrackSettings, project, track_face, tracked_faces

SETTINGS = TrackSettings(focal=FOCAL)
# Of a model in another unit, with its centre at the nose and its face turned upwards.
ELSEWHERE = HeadSpace(
    1.3, Rotation.from_euler("xyz", [12, -3, 2], True).as_matrix(), [0, 0.02, 0.1]
)


def moved_there(R, t, space):
    """The inverse of `bring_here`."""
    turned = R @ space.R.T
    return turned, space.scale * t - turned @ np.array(space.shift)


def test_a_head_space_is_found_by_the_cameras_in_it(clip):  # noqa: F811
    truth, _, valid, own = clip
    given = moved_there(truth["R"], truth["t"], ELSEWHERE)
    back = bring_here(*given, ELSEWHERE)
    assert np.allclose(back[0], truth["R"]) and np.allclose(back[1], truth["t"])
    found = find_head_space(given, (own.R, own.t), valid)
    turn = Rotation.from_matrix(found.R.T @ ELSEWHERE.R).magnitude()
    assert np.degrees(turn) < 2 and abs(found.scale / ELSEWHERE.scale - 1) < 0.03
    assert np.abs(found.shift - ELSEWHERE.shift).max() < 0.02


def test_a_head_that_keeps_still_is_measured_in_metres():
    R, t = np.tile(np.diag([1.0, -1, -1]), (50, 1, 1)), np.tile([0.0, 0, 0.6], (50, 1))
    found = find_head_space((R, t + np.array([0, 0, 0.1])), (R, t), np.ones(50, bool))
    assert found.scale == pytest.approx(1, abs=0.01)
    assert np.allclose(found.shift, [0, 0, 0.1], atol=0.01)


def test_cameras_of_another_head_space_move_as_they_did_and_fit_the_face(clip):  # noqa: F811
    truth, points, valid, _ = clip
    given = moved_there(truth["R"], truth["t"], ELSEWHERE)
    track = track_face(MODEL, points, valid, 512, SETTINGS, (), given)
    change = track.R @ track.R[0].T
    assert np.allclose(change, given[0] @ given[0][0].T, atol=1e-9)
    pixels = project(tracked_faces(MODEL, track, slice(None)), track.R, track.t, FOCAL) + 256
    seen = np.linalg.norm(pixels - truth["pixels"], axis=2)
    assert seen[valid].mean() < 0.5
    assert seen[GAP].mean() < 3  # the cameras are known there too, and the expression is bridged


def test_cameras_of_our_own_head_space_are_kept_as_they_are(clip):  # noqa: F811
    _, points, valid, own = clip
    given = own.R, own.t
    track = track_face(MODEL, points, valid, 512, SETTINGS, (), given)
    assert (track.R == own.R).all() and (track.t == own.t).all()
    assert np.abs(track.expression - own.expression)[valid].mean() < 0.05
    assert track.reprojection_error[valid].mean() < 1.01 * own.reprojection_error[valid].mean()

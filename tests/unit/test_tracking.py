"""The tracker recovers known heads from their projected points."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")
from scipy.spatial.transform import Rotation

from benchmarks.tracking import compare, rotation_jitter
from d3talker.face.model import LIPS_INNER, LIPS_OUTER, RIGID, FaceModel
from d3talker.face.normal_equations import frame_equations, point_equations
from d3talker.face.tracking import (
    HEAD_TO_CAMERA,
    head_points,
    mouth_opening,
    project,
    solve_banded,
    track_face,
)

MODEL = FaceModel.load(Path(__file__).parents[2] / "resources" / "face_model.npz")
FRAMES, FOCAL, NOISE = 120, 1000.0, 0.7
GAP = slice(60, 70)


def smooth_curves(count: int, fastest: float, seed: int) -> np.ndarray:
    """Curves (FRAMES,count) of about unit variance, of waves up to `fastest` Hz."""
    rng = np.random.default_rng(seed)
    time = np.arange(FRAMES)[:, None] / 25
    speeds = rng.uniform(0.1, fastest, (4, count))
    waves = [np.sin(2 * np.pi * (speed * time + rng.random(count))) for speed in speeds]
    return np.sum(waves, axis=0) / np.sqrt(2)


@pytest.fixture(scope="module")
def clip():
    """A person who nods and talks: truth, landmarks with noise, frames in the gap unseen."""
    rng = np.random.default_rng(0)
    turn = smooth_curves(3, 0.6, 1) * [0.06, 0.1, 0.04]
    place = smooth_curves(3, 0.6, 2) * 0.01 + (0, 0, 0.65)
    truth = {
        "R": HEAD_TO_CAMERA @ Rotation.from_rotvec(turn).as_matrix(),
        "t": place,
        "expression": smooth_curves(len(MODEL.expression), 2.0, 3),
    }
    person = rng.normal(size=len(MODEL.identity))
    truth["faces"] = MODEL.vertices(person, truth["expression"])
    pixels = project(truth["faces"], truth["R"], truth["t"], FOCAL)
    truth["pixels"] = pixels + 256
    camera = truth["faces"] @ truth["R"].transpose(0, 2, 1)
    depth = FOCAL / 0.65 * (camera - camera.mean(1, keepdims=True))[..., 2:]
    points = np.concatenate([truth["pixels"], depth], axis=2)
    points += rng.normal(scale=NOISE, size=points.shape)
    valid = np.ones(FRAMES, bool)
    valid[GAP] = False
    points[GAP] = points[GAP.start - 1]  # as a detector would leave them
    return truth, points, valid, track_face(MODEL, points, valid, 512)


def degrees_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.degrees(Rotation.from_matrix(a @ b.transpose(0, 2, 1)).magnitude())


def test_pose_is_recovered_up_to_the_unobservable_mean_orientation(clip):
    truth, _, valid, track = clip
    offset = Rotation.from_matrix(truth["R"].transpose(0, 2, 1) @ track.R).mean().as_matrix()
    assert degrees_between(track.R @ offset.T, truth["R"])[valid].max() < 1.0
    assert np.degrees(Rotation.from_matrix(offset).magnitude()) < 5


def test_reprojection_is_better_than_the_noise_of_a_landmark(clip):
    truth, _, valid, track = clip
    faces = track.shape + np.tensordot(track.expression, MODEL.expression, 1)
    error = np.linalg.norm(project(faces, track.R, track.t, FOCAL) + 256 - truth["pixels"], axis=2)
    assert error[valid].mean() < 0.5 * NOISE


def test_expression_follows_the_truth(clip):
    truth, _, valid, track = clip
    for component in range(4):
        pair = track.expression[valid, component], truth["expression"][valid, component]
        assert np.corrcoef(*pair)[0, 1] > 0.95


def test_missing_frames_are_bridged(clip):
    truth, _, valid, track = clip
    assert np.isnan(track.reprojection_error[~valid]).all()
    assert np.isfinite(track.reprojection_error[valid]).all()
    bone = project(track.shape[None, RIGID].repeat(FRAMES, 0), track.R, track.t, FOCAL) + 256
    error = np.linalg.norm(bone - truth["pixels"][:, RIGID], axis=2).mean(1)
    held = np.linalg.norm(
        truth["pixels"][GAP, RIGID] - truth["pixels"][GAP.start - 1, RIGID], axis=2
    )
    assert error[GAP].mean() < 0.5 * held.mean()


def test_nothing_is_smoothed_across_a_jump_cut(clip):
    _, points, valid, _ = clip
    cut = 30
    order = np.r_[0:cut, 80:FRAMES]
    told, untold, apart = (
        track_face(MODEL, points[order], valid[order], 512, jump_cuts=cuts)
        for cuts in ([cut], [], [cut, len(order) - 1])
    )
    around = slice(cut - 2, cut + 2)
    assert told.reprojection_error[around].max() < 1.2 * np.median(told.reprojection_error)
    assert untold.reprojection_error[around].max() > 1.5 * told.reprojection_error[around].max()
    assert np.isfinite(apart.R).all() and np.isfinite(apart.expression).all()


def test_tracked_pose_jitters_less_than_landmarks(clip):
    _, points, _, track = clip
    bone = project(track.shape[None, RIGID].repeat(FRAMES, 0), track.R, track.t, FOCAL)
    before_gap = slice(0, GAP.start)

    def jitter(pixels):
        return np.linalg.norm(np.diff(pixels[before_gap], 2, axis=0), axis=2).mean()

    assert jitter(bone) < 0.5 * jitter(points[:, RIGID, :2])


def test_rotations_jitter_less_than_half_of_pnp_and_points_fit_as_well(clip):
    _, points, _, track = clip
    ours, *others = compare(MODEL, track, points, 512)
    assert ours.jitter < 0.5 * min(row.jitter for row in others)
    assert ours.error < 1.1 * min(row.error for row in others)


def test_jitter_counts_changes_of_speed_only():
    steady = Rotation.from_rotvec(np.outer(np.arange(10), [0, 0.1, 0])).as_matrix()
    every = np.ones(10, bool)
    assert rotation_jitter(steady, every) == pytest.approx(0, abs=1e-6)
    steady[5] = steady[4]
    assert rotation_jitter(steady, every) > 1
    assert rotation_jitter(steady, np.arange(10) != 5) == pytest.approx(0, abs=1e-6)


def test_frames_whose_mouth_is_covered_are_excluded_and_bridged_and_none_is_shifted(clip):
    _, points, valid, track = clip
    covered = slice(20, 28)
    lips = np.r_[LIPS_INNER, LIPS_OUTER]
    bent = points.copy()
    bent[covered, lips, :2] += np.random.default_rng(1).normal(scale=8, size=(8, len(lips), 2))
    again = track_face(MODEL, bent, valid, 512)
    assert np.flatnonzero(~again.valid).tolist() == [*range(20, 28), *range(60, 70)]
    assert np.isfinite(again.reprojection_error[covered]).all()
    assert degrees_between(again.R, track.R).max() < 1
    mouth = mouth_opening(head_points(MODEL, again, bent, 512))
    usual = mouth_opening(head_points(MODEL, track, points, 512))
    assert mouth[covered].max() < 1.2 * usual.max()
    assert np.corrcoef(mouth[again.valid], usual[again.valid])[0, 1] > 0.99


def test_lip_gap_is_measured_in_metres_without_the_pose(clip):
    truth, points, valid, track = clip
    seen = mouth_opening(head_points(MODEL, track, points, 512))
    assert np.corrcoef(seen[valid], mouth_opening(truth["faces"])[valid])[0, 1] > 0.95


def test_frame_size_only_scales_the_focal_length(clip):
    _, points, valid, track = clip
    half = track_face(MODEL, points / 2, valid, 256)
    assert half.focal == track.focal / 2
    np.testing.assert_allclose(half.R, track.R, atol=1e-6)
    np.testing.assert_allclose(half.reprojection_error, track.reprojection_error / 2, atol=1e-6)


def test_gradients_are_those_of_the_squared_residuals(clip):
    truth, points, _, track = clip
    model = MODEL.astype(np.float64)
    weights = np.full((2, len(model.mean)), 1 / len(model.mean))
    target = points[:2, :, :2] - 256
    state = replace(track, R=truth["R"][:2], t=truth["t"][:2], expression=track.expression[:2])
    no_outliers = 1e6

    def energy(R, t, expression, shape):
        faces = shape + np.tensordot(expression, model.expression, 1)
        residual = project(faces, R, t, FOCAL) - target
        return 0.5 * (weights[..., None] * residual**2).sum()

    given = (state.shape, model.expression, state.R, state.t, state.expression)
    _, by_frame = frame_equations(*given, target, weights, FOCAL, no_outliers)
    _, by_point = point_equations(*given, target, weights, FOCAL, no_outliers)

    def moved(step):
        turn = Rotation.from_rotvec([0, step, 0]).as_matrix()
        R, t, expression, shape = state.R, state.t, state.expression, state.shape
        return np.array(
            [
                energy(turn @ R, t, expression, shape),
                energy(R, t + np.array([0, 0, step]), expression, shape),
                energy(R, t, expression + step * (np.arange(len(model.expression)) == 0), shape),
                energy(R, t, expression, shape + np.array([step, 0, 0])),
            ]
        )

    step = 1e-6
    numeric = (moved(step) - moved(-step)) / (2 * step)
    turn_y, t_z, coefficient = by_frame[:, [1, 5, 6]].sum(0)
    analytic = [turn_y, t_z, coefficient, by_point[:, 0].sum()]
    np.testing.assert_allclose(numeric, analytic, rtol=1e-4, atol=1e-4)


def test_banded_solve_agrees_with_a_dense_one():
    rng = np.random.default_rng(0)
    frames, unknowns = 6, 3
    root = rng.normal(size=(frames, unknowns, unknowns))
    blocks, right = root @ root.transpose(0, 2, 1), rng.normal(size=(frames, unknowns))
    smooth = np.array([1.0, 2.0, 3.0])
    steady = np.array([1.0, 0.0, 1.0, 1.0])
    second = np.diff(np.eye(frames), 2, axis=0)
    dense = np.kron(second.T @ (steady[:, None] * second), np.diag(smooth))
    for i, block in enumerate(blocks):
        part = slice(i * unknowns, (i + 1) * unknowns)
        dense[part, part] += block
    expected = np.linalg.solve(dense, right.ravel()).reshape(frames, unknowns)
    np.testing.assert_allclose(solve_banded(blocks, right, smooth, steady), expected, rtol=1e-5)

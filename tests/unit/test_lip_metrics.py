"""Lip metrics: known shifts, known distances, and reasons instead of NaN."""

import numpy as np
import pytest

from d3talker.metrics import lips
from d3talker.metrics.scores import Scores, Undefined


@pytest.fixture
def opening():
    """Mouth opening of 200 frames that looks like speech: noise without fast changes."""
    noise = np.random.default_rng(1).normal(size=220)
    return 0.1 + 0.02 * np.convolve(noise, np.hanning(7), "same")[10:210]


def test_correlation_is_scipys(opening):
    stats = pytest.importorskip("scipy.stats")
    other = opening + np.random.default_rng(2).normal(0, 0.02, len(opening))
    assert lips.pearson(opening, other) == pytest.approx(stats.pearsonr(opening, other)[0])


def test_frames_without_a_face_are_left_out(opening):
    gaps = opening.copy()
    gaps[50:60] = np.nan
    assert lips.pearson(gaps, 3 * opening + 1) == pytest.approx(1)


@pytest.mark.parametrize("late", [-15, -3, 0, 2, 15])
def test_a_mouth_that_comes_late_has_that_offset(opening, late):
    assert lips.best_lag(np.roll(opening, late), opening) == late


def test_a_mouth_that_does_not_move_has_a_reason_and_no_correlation(opening):
    scores = Scores()
    still = np.full_like(opening, 0.3, dtype=np.float32)
    scores.measure("mouth_corr", lambda: lips.pearson(still, opening))
    scores.measure("av_offset_frames", lambda: lips.best_lag(still, opening))
    scores.measure("mouth_corr_ci", lambda: lips.correlation_interval(still, opening))
    assert set(scores.values.values()) == {None}
    assert all("constant" in reason for reason in scores.missing.values())


def test_a_correlation_needs_a_second_of_faces(opening):
    few = np.full_like(opening, np.nan)
    few[:24] = opening[:24]
    with pytest.raises(Undefined, match="24 frames"):
        lips.pearson(few, opening)


def test_the_interval_holds_the_correlation_and_shrinks_with_more_frames(opening):
    noise = np.random.default_rng(3).normal(0, 0.02, len(opening))
    low, high = lips.correlation_interval(opening, opening + noise)
    assert low < lips.pearson(opening, opening + noise) < high
    short = lips.correlation_interval(opening[:50], (opening + noise)[:50])
    assert short[1] - short[0] > high - low


def test_unrelated_mouths_have_an_interval_around_zero(opening):
    low, high = lips.correlation_interval(opening, np.random.default_rng(4).permutation(opening))
    assert low < 0 < high


def lip_distance(render, truth, valid):
    return lips.mean_distance(lips.lip_distances(render, truth, valid))


def test_lip_distance_ignores_where_the_mouth_is():
    rng = np.random.default_rng(5)
    truth = rng.uniform(0, 512, (4, 478, 3))
    valid = np.ones(4, bool)
    moved = truth + np.array([7, -3, 2])
    assert lip_distance(moved, truth, valid) == pytest.approx(0, abs=1e-9)


def test_lip_distance_is_in_pixels():
    truth = np.zeros((1, 478, 3))
    wide = truth.copy()
    wide[0, lips.LIPS[::2], 0] = 3
    wide[0, lips.LIPS[1::2], 0] = -3
    assert lip_distance(wide, truth, np.ones(1, bool)) == pytest.approx(3)


def test_lip_distance_without_a_common_face_is_undefined():
    with pytest.raises(Undefined, match="face"):
        lip_distance(np.zeros((2, 478, 3)), np.zeros((2, 478, 3)), np.zeros(2, bool))


def test_lmd_is_that_of_the_twenty_mouth_points_of_fan():
    truth = np.random.default_rng(6).uniform(0, 512, (3, 68, 2))
    render = truth + np.array([40, -9])  # the head elsewhere
    render[:, :48] += 100  # the rest of the face does not count
    render[0, 48] += [0, 20]  # one point of 20: it and, by the mean, all others move
    render[1, 60] += 1000  # a frame without a face
    distances = lips.fan_distances(render, truth, np.array([True, False, True]))
    assert distances[0] == pytest.approx((19 + 19 * 1) / 20)  # 20 - 20/20, and 20/20 for the others
    assert np.isnan(distances[1]) and distances[2] == pytest.approx(0, abs=1e-9)
    assert lips.mean_distance(distances) == pytest.approx(distances[0] / 2)


def test_speech_energy_is_one_loudness_per_frame():
    sound = np.zeros(3 * 640, np.float32)
    sound[640:1280] = 0.1
    sound[1280:] = 1
    assert lips.speech_energy(sound) == pytest.approx([-60, -20, 0], abs=1e-5)

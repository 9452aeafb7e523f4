"""Intervals of means: as wide as theory says, and wider where neighbouring frames are alike."""

import numpy as np
import pytest

from d3talker.metrics.bootstrap import BLOCK, RESAMPLES, block_picks, mean_interval
from d3talker.metrics.scores import Undefined


def test_a_resample_is_blocks_of_neighbours_on_a_circle():
    picks = block_picks(100)
    assert picks.shape == (RESAMPLES, 100) and picks.min() == 0 and picks.max() == 99
    steps = np.diff(picks, axis=1) % 100
    inside = np.arange(1, 100) % BLOCK != 0
    assert (steps[:, inside] == 1).all()
    counts = np.bincount(picks.ravel(), minlength=100)
    assert counts.min() > 0.9 * RESAMPLES  # ends are drawn as often as the middle


def test_of_independent_frames_it_is_the_normal_interval():
    values = np.random.default_rng(0).normal(30, 2, 1500)
    low, high = mean_interval(values)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * 2 / np.sqrt(1500), rel=0.25)


def test_frames_alike_make_it_wider():
    values = np.random.default_rng(1).normal(size=300)
    slow = np.repeat(np.random.default_rng(1).normal(size=30), 10)
    widths = [np.ptp(mean_interval(v)) for v in (values, slow)]
    assert widths[1] > 2 * widths[0]


def test_frames_without_a_value_are_left_out_and_too_few_are_too_few():
    values = np.full(60, np.nan)
    values[:40] = 5
    assert mean_interval(values) == [5, 5]
    with pytest.raises(Undefined, match="20 frames only"):
        mean_interval(values[20:])
    values[3] = np.inf
    with pytest.raises(Undefined, match="infinite"):
        mean_interval(values)

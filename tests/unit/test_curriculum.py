"""Mouths that open ever wider, then blinks: which frames may be drawn when."""

import numpy as np
import pytest

from d3talker.train.curriculum import FrameScores, allowed_frames, frame_scores
from d3talker.train.settings import Curriculum

OPENINGS = np.arange(101.0)  # px: 0 closed, 100 wide open
SCORES = FrameScores(OPENINGS, (OPENINGS + 0.5) / 100)
ADAPT = Curriculum(span=10_000)
PRETRAIN = Curriculum(100_000, 5000, 15, 7, 0.2, 0.15, 0.3, 1.0)


def chosen(it: int, rule: Curriculum, mouth_alone: bool = False, scores=SCORES) -> list[int]:
    return np.flatnonzero(allowed_frames(scores, it, rule, mouth_alone)).tolist()


def test_opening_is_the_height_of_the_inner_mouth_and_blink_half_of_au45():
    mouths = np.zeros((2, 20, 20), bool)
    mouths[0, 5:9, 3:12] = mouths[0, 13, 7] = True
    scores = frame_scores(mouths, np.array([[0, 0, 0, 0, 0, 0.5], [5, 5, 5, 5, 5, 2.5]]))
    assert scores.opening.tolist() == [9, 0]
    assert scores.blink.tolist() == [0.25, 1]


def test_without_a_span_and_between_the_intervals_any_frame_may_come():
    assert allowed_frames(SCORES, 0, Curriculum(), False) is None
    assert allowed_frames(SCORES, 15, ADAPT, False) is None
    assert allowed_frames(SCORES, 10_000, ADAPT, False) is None
    assert allowed_frames(SCORES, 3001, ADAPT, True) is None


# Openings count from 20 on, a fifth of the range: r = 80, w = 0.5 r or 0.2 r (spec 3.6).
@pytest.mark.parametrize(
    ("rule", "it", "low", "high"),
    [(ADAPT, 0, 0, 60), (ADAPT, 2500, 0, 80), (PRETRAIN, 0, 4, 36), (PRETRAIN, 4995, 8, 39)],
)
def test_at_first_the_mouth_opens_ever_wider(rule, it, low, high):
    assert chosen(it, rule) == list(range(low, high + 1))


# Progress a = it / S; [a - 1.5 w, a + w] with w = 0.4, or [a - 0.5 w, a + w] with w = 0.3.
@pytest.mark.parametrize(
    ("rule", "it", "low", "high"),
    [(ADAPT, 8000, 20, 100), (PRETRAIN, 60_000, 45, 89), (PRETRAIN, 15_000, 0, 44)],
)
def test_then_the_eyes_close_ever_more(rule, it, low, high):
    assert chosen(it, rule) == list(range(low, high + 1))


def test_a_mouth_alone_begins_wide_open_in_every_iteration():
    assert chosen(1, ADAPT, mouth_alone=True) == list(range(75, 101))
    # The widest twentieth counts as equally wide.
    assert chosen(1, PRETRAIN, mouth_alone=True) == list(range(95, 101))


def test_a_mouth_alone_then_closes():
    # From the 75th percentile down, by half of its distance to the 25th.
    assert chosen(5000, ADAPT, mouth_alone=True) == list(range(50, 76))


def test_the_nearest_frame_is_taken_where_none_is_in_the_window():
    still = FrameScores(np.zeros(3), np.array([0.0, 0.1, 0.05]))
    assert chosen(99_990, PRETRAIN, scores=still) == [1]


def test_frames_that_are_all_alike_are_all_allowed():
    alike = FrameScores(np.full(4, 7.0), np.zeros(4))
    for it in (0, 15, 90_000):
        assert chosen(it, PRETRAIN, scores=alike) == [0, 1, 2, 3]
    assert chosen(0, PRETRAIN, mouth_alone=True, scores=alike) == [0, 1, 2, 3]

"""The check picture shows the points where they are, and frames worth looking at."""

import numpy as np
import pytest

pytest.importorskip("cv2")

from d3talker.face.check_picture import EXCLUDED, GOOD, SIDE, check_picture, choose_frames


def test_points_of_a_frame_are_drawn_at_their_pixel_in_the_colour_of_their_state():
    frames = [np.zeros((2 * SIDE, 2 * SIDE, 3), np.uint8)] * 4
    points = np.tile([[200.0, 100.0]], (4, 1, 1))
    picture = check_picture(frames, points, ["a"] * 4, np.array([True, True, True, False]))
    assert picture.shape == (2 * SIDE, 3 * SIDE, 3)
    assert picture[50, SIDE + 100].tolist() == pytest.approx(GOOD, abs=60)
    assert picture[SIDE + 50, 100].tolist() == pytest.approx(EXCLUDED, abs=60)
    assert not picture[SIDE:, SIDE:].any()


def test_the_worst_frame_that_is_not_excluded_is_shown_among_frames_from_all_over():
    error = np.full(100, 0.5)
    error[[33, 60, 61]] = [2.0, 9.0, np.nan]
    valid = np.ones(100, bool)
    valid[60:62] = False
    chosen = choose_frames(error, valid).tolist()
    assert 33 in chosen and 60 not in chosen and chosen[0] == 0 and chosen[-1] == 99
    assert len(set(chosen)) == 6

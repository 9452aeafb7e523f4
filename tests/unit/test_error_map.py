"""The error map: how bright which error is."""

import numpy as np
import pytest

pytest.importorskip("cv2")

from d3talker.report.error_map import FULL_SCALE, error_map

# Ends of the map inferno, as its authors publish it.
NONE, MOST = (0, 0, 4), (252, 255, 164)


def test_no_error_is_black_and_a_large_one_the_brightest():
    truth = np.full((2, 3, 3), 100, np.uint8)
    render = truth.copy()
    render[0, 1] += FULL_SCALE
    render[1, 2] -= 90
    shown = error_map(truth, render)
    assert shown.shape == truth.shape and shown.dtype == np.uint8
    for place, colour in (((0, 0), NONE), ((0, 1), MOST), ((1, 2), MOST)):
        assert np.abs(shown[place].astype(int) - colour).max() <= 1, place


def test_more_error_is_brighter_whatever_its_sign_and_channel():
    truth = np.full((1, 5, 3), 100, np.uint8)
    render = truth.astype(int)
    render[0, :, 1] += [0, 9, -9, 60, -90]  # a third of it in the mean of the channels
    shown = error_map(truth, render.astype(np.uint8))[0].astype(int).sum(axis=1)
    assert shown[0] < shown[1] == shown[2] < shown[3] < shown[4]

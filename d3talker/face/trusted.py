"""Frames whose landmarks can be trusted.

A detector that is shown a covered mouth or a face from the side still answers, with a face that
bends as no face does: its points fit the tracked face badly. What is bad depends on the clip: a
sharp close-up fits better than a small, blurred head. So frames are compared with the clip's own.
Lids and brows are left out, because a blink is no fault.
"""

import numpy as np

from d3talker.face.model import (
    IRISES,
    LEFT_BROW,
    LEFT_EYE,
    LIPS_INNER,
    LIPS_OUTER,
    POINTS,
    RIGHT_BROW,
    RIGHT_EYE,
)

TIMES_USUAL = 2.0  # of the clip's median distance; points that fit badly exceed all three
DEVIATIONS = 5.0  # standard deviations above the median, estimated robustly
NEAR = 0.5  # px of a 512 px frame; points as near as that never fit badly
MAX_TURN = 45.0  # degrees between where the head and to the camera; beyond, one eye is hidden

LIPS = np.r_[LIPS_INNER, LIPS_OUTER]
STEADY = np.setdiff1d(np.arange(POINTS), np.r_[RIGHT_EYE, LEFT_EYE, RIGHT_BROW, LEFT_BROW, IRISES])


def trusted_frames(distance: np.ndarray, R: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Whether (T,) the frames' landmarks can be trusted.

    distance (T,478): of the landmarks from the tracked face, px of a 512 px frame; R (T,3,3): from
    head to OpenCV camera; found (T,) bool: the frames that have landmarks, one at least.
    """
    outliers = [far_from_usual(distance[:, part].mean(1), found) for part in (STEADY, LIPS)]
    facing = -R[:, 2, 2]  # cosine of the angle between the head's z axis and the way to the camera
    return ~np.any(outliers, axis=0) & (facing > np.cos(np.radians(MAX_TURN)))


def far_from_usual(value: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Whether (T,) values (T,) lie far above what is usual among the `found` (T,) ones."""
    usual = np.median(value[found])
    deviation = 1.4826 * np.median(np.abs(value[found] - usual))  # of a normal distribution
    return value > max(TIMES_USUAL * usual, usual + DEVIATIONS * deviation, NEAR)

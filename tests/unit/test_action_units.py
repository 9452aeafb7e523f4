"""Action units follow lids and brows of a face in HEAD space."""

from pathlib import Path

import numpy as np

from d3talker.face.action_units import (
    INNER_BROW,
    INNER_HALF_BROW,
    LOWER_LID,
    NAMES,
    UPPER_LID,
    action_units,
)
from d3talker.face.model import FaceModel

MODEL = FaceModel.load(Path(__file__).parents[2] / "resources" / "face_model.npz")
MOVED = 10  # the one frame of twenty that differs


def units(points: np.ndarray, move_mm) -> dict[str, float]:
    """Action units of a frame in which `points` are higher than usual, in mm."""
    head = np.repeat(MODEL.mean[None], 20, axis=0)
    head[MOVED, points.ravel(), 1] += np.ravel(move_mm) / 1000
    values = action_units(head, np.ones(20, bool))
    assert (np.delete(values, MOVED, axis=0) == 0).all()
    return dict(zip(NAMES, values[MOVED], strict=True))


def lid_opening() -> np.ndarray:
    """Opening (6,) of the lids of the mean face at the points of UPPER_LID, in mm."""
    return 1000 * (MODEL.mean[UPPER_LID, 1] - MODEL.mean[LOWER_LID, 1]).ravel()


def test_closing_the_lids_is_a_full_blink():
    assert units(UPPER_LID, -0.9 * lid_opening())["AU45"] == 2


def test_lowering_the_lids_half_way_is_a_partial_blink():
    assert 0.5 < units(UPPER_LID, -0.4 * lid_opening())["AU45"] < 1.5


def test_wide_eyes_raise_the_upper_lid_unit_only():
    result = units(UPPER_LID, 0.3 * lid_opening())
    assert result.pop("AU05") > 2
    assert max(result.values()) == 0


def test_raising_the_inner_brows_raises_au01():
    result = units(INNER_BROW, 4)
    assert 2 < result["AU01"] < 3
    assert result["AU04"] == 0


def test_lowering_the_brows_raises_au04():
    result = units(INNER_HALF_BROW, -3)
    assert 2 < result["AU04"] < 3
    assert result["AU01"] == 0


def test_lower_lid_rising_tightens_the_lids():
    assert units(LOWER_LID, 1)["AU07"] > 1


def test_frames_without_a_face_do_not_shift_what_is_usual():
    head = np.repeat(MODEL.mean[None], 20, axis=0)
    valid = np.arange(20) < 5
    head[~valid] *= 1.5
    assert (action_units(head, valid)[valid] == 0).all()

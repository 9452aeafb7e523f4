"""Action units of eyes and brows from landmarks, in the ranges that OpenFace gives them.

Measured on landmarks without head pose, in millimetres of the metric face and relative to the
median of the clip, as OpenFace does per person. OpenFace's intensities are learnt from coders'
grades; here a grade is a distance:

| unit | what is measured | full grade |
|---|---|---|
| AU01 inner brow raiser | inner ends of the brows higher than usual | 5 at INNER_RAISE |
| AU04 brow lowerer | inner half of the brows lower than usual | 5 at BROW_LOWER |
| AU05 upper lid raiser | lid opening wider than usual | 5 at LID_RAISE of the usual opening |
| AU06 cheek raiser | cheek below the eye higher than usual | 5 at CHEEK_RAISE |
| AU07 lid tightener | lower lid higher than usual, the eye not shut | 5 at LID_TIGHTEN |
| AU45 blink | lid opening smaller than usual, from BLINK_STARTS to BLINK_FULL | 2 at BLINK_FULL |

Each is the mean of both sides.
"""

import numpy as np

NAMES = ("AU01", "AU04", "AU05", "AU06", "AU07", "AU45")
MAXIMUM = np.array([5.0, 5.0, 5.0, 5.0, 5.0, 2.0])

INNER_RAISE = 8.0  # mm
BROW_LOWER = 6.0  # mm
LID_RAISE = 0.6  # fraction of the usual opening
CHEEK_RAISE = 6.0  # mm
LID_TIGHTEN = 3.0  # mm
BLINK_STARTS, BLINK_FULL = 0.15, 0.65  # fraction of the usual opening that is lost

# Right and left, FaceMesh numbering.
CORNERS = np.array([[33, 133], [263, 362]])
UPPER_LID = np.array([[160, 159, 158], [387, 386, 385]])
LOWER_LID = np.array([[144, 145, 153], [373, 374, 380]])
INNER_BROW = np.array([[107, 55], [336, 285]])
INNER_HALF_BROW = np.array([[107, 66, 55, 65], [336, 296, 285, 295]])
CHEEK = np.array([[118, 101, 50], [347, 330, 280]])


def action_units(head: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Intensities (T,6) float32, columns NAMES, of landmarks (T,478,3) m in HEAD space.

    The usual state of the face is the median over the `valid` (T,) frames.
    """
    height = 1000 * head[..., 1]
    line = height[:, CORNERS].mean(axis=(1, 2))

    def above_eyes(points: np.ndarray) -> np.ndarray:
        """Rise (T,) of points over their usual height above the eye corners, in mm."""
        rise = height[:, points].mean(axis=(1, 2)) - line
        return rise - np.median(rise[valid])

    opening = (height[:, UPPER_LID] - height[:, LOWER_LID]).mean(axis=(1, 2))
    usual = np.median(opening[valid])
    lost = 1 - opening / usual
    blink = np.clip((lost - BLINK_STARTS) / (BLINK_FULL - BLINK_STARTS), 0, 1)
    units = np.stack(
        [
            5 * above_eyes(INNER_BROW) / INNER_RAISE,
            -5 * above_eyes(INNER_HALF_BROW) / BROW_LOWER,
            -5 * lost / LID_RAISE,
            5 * above_eyes(CHEEK) / CHEEK_RAISE,
            5 * above_eyes(LOWER_LID) / LID_TIGHTEN * (1 - blink),
            2 * blink,
        ],
        axis=1,
    )
    return np.clip(units, 0, MAXIMUM).astype(np.float32)

"""Head poses of another tracker, brought into this project's head space.

Every face model puts the head's centre, its axes and its unit elsewhere. A picture does not change
if points and cameras are brought from one head space to the other together. So another tracker's
cameras are as good here as there, once it is known how our head lies in its space.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

SAME = 0.005  # m, mean over the face's points; spaces that lie nearer together are one
# Standard deviations of a frame's place as our tracker finds it, m: sideways, and along the view.
PLACE = np.array([0.001, 0.001, 0.01])
INDEPENDENT = 25  # frames; neighbours err alike
METRIC = 0.2  # standard deviation of the scale about 1: the others measure in metres too


class HeadSpace(NamedTuple):
    """Where our head space lies in another: X_there = scale R X_here + shift."""

    scale: float
    R: np.ndarray  # (3,3)
    shift: np.ndarray  # (3,) m


def find_head_space(
    given: tuple[np.ndarray, np.ndarray], own: tuple[np.ndarray, np.ndarray], valid: np.ndarray
) -> HeadSpace:
    """The head space in which the cameras `given` stand, by those that our tracker finds.

    given, own: R (T,3,3), t (T,3) m from head to OpenCV camera, of one focal length; valid (T,)
    bool: the frames to go by. A head that keeps still tells no scale; then the unit is the metre.
    """
    (R, t), (own_R, own_t) = ((pose[valid] for pose in poses) for poses in (given, own))
    turn = Rotation.from_matrix(R.transpose(0, 2, 1) @ own_R).mean().as_matrix()
    # own_t scale - R shift = t, in least squares.
    weight = (1 / (PLACE * np.sqrt(INDEPENDENT)))[None, :, None]
    rows = np.concatenate([own_t[..., None], -R], axis=2) * weight
    metric = np.array([[1 / METRIC, 0, 0, 0]])
    matrix = np.concatenate([rows.reshape(-1, 4), metric])
    target = np.concatenate([(t[..., None] * weight).ravel(), [1 / METRIC]])
    scale, *shift = np.linalg.lstsq(matrix, target)[0]
    return HeadSpace(float(scale), turn, np.array(shift))


def distance_between(space: HeadSpace, face: np.ndarray) -> float:
    """How far apart the two spaces put a face (n,3) m, on average over its points, m."""
    there = space.scale * face @ space.R.T + space.shift
    return float(np.linalg.norm(there - face, axis=1).mean())


def bring_here(R: np.ndarray, t: np.ndarray, space: HeadSpace) -> tuple[np.ndarray, np.ndarray]:
    """Poses R (T,3,3), t (T,3) m of the head space `space` as those of ours: the same picture."""
    return R @ space.R, (R @ space.shift + t) / space.scale

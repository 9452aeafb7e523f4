"""The face alone, upright and of one size: the crop of `ssim_face` (spec 7.4b).

The field takes SSIM of the faces that OpenFace aligns. This follows OpenFace's published idea, a
similarity transform that brings the points of bone to those of a mean face, 112 x 112 px at 0.7 px
per mm, but the points are those of the face mesh and the mean face is this project's, so that the
crops and their scores are not OpenFace's.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from d3talker.face.model import JAW, LEFT_BROW, RIGHT_BROW, RIGID, FaceModel

SIDE = 112  # px
PIXELS_PER_METRE = 700.0


def template(model: FaceModel) -> np.ndarray:
    """Where the points of bone lie in the crop, (36,2) px: the mean face, seen from the front.

    The middle between the ears, and between brows and chin, comes to the middle of the crop.
    """
    flat = model.mean[:, :2] * [PIXELS_PER_METRE, -PIXELS_PER_METRE]  # y down
    rows = flat[np.concatenate([LEFT_BROW, RIGHT_BROW, JAW]), 1]
    middle = np.array([0.0, (rows.min() + rows.max()) / 2])
    # The first pixel's centre is (0,0).
    return flat[RIGID] - middle + (SIDE - 1) / 2


def similarity(points: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The turn, scale and shift, (2,3), that bring points to `wanted`, both (N,2), best.

    Least squares: a complex factor and a complex shift.
    """
    here, there = (xy[:, 0] + 1j * xy[:, 1] for xy in (points, wanted))
    centred = here - here.mean()
    factor = (centred.conj() @ (there - there.mean())) / (centred.conj() @ centred).real
    shift = there.mean() - factor * here.mean()
    a, b = factor.real, factor.imag
    return np.array([[a, -b, shift.real], [b, a, shift.imag]])


def crop_face(
    images: Sequence[np.ndarray], points: np.ndarray, wanted: np.ndarray
) -> list[np.ndarray]:
    """The same crop (112,112,3) uint8 of several images (H,W,3), black where they end.

    points: (478,3) px, counted from the corner of the first pixel as the face mesh does; wanted: of
    `template`.
    """
    matrix = similarity(points[RIGID, :2] - 0.5, wanted)
    return [
        cv2.warpAffine(np.ascontiguousarray(image), matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
        for image in images
    ]

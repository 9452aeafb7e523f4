"""The clean plate: what stands behind a person who moves in front of a still camera."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

MARGIN = 6  # px at 512 between a pixel and the person for it to count as background
MIN_SEEN = 3  # frames in which a pixel must have been background
PERSON_PROBABILITY = 0.15  # above this a pixel may be part of the person


@dataclass(frozen=True)
class CleanPlate:
    """Background of a clip."""

    image: np.ndarray  # (H,W,3) uint8 RGB, holes filled
    known: np.ndarray  # (H,W) bool, seen free of the person
    spread: np.ndarray  # (H,W) float32, median deviation, summed over RGB


def clean_plate(frames: np.ndarray, probabilities: Sequence[np.ndarray]) -> CleanPlate:
    """Median colour of each pixel over the frames in which the person is not near it.

    frames: (n,H,W,3) uint8, some tens spread over the clip; probabilities: n of (H,W) float.
    Steadier than spec 1.5, which copies one frame per pixel.
    """
    count, height, width = frames.shape[:3]
    radius = max(1, round(MARGIN * height / 512))
    grow = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    free = np.stack(
        [cv2.dilate((p > PERSON_PROBABILITY).astype(np.uint8), grow) == 0 for p in probabilities]
    )
    known = free.sum(0) >= min(MIN_SEEN, count)
    image = np.zeros((height, width, 3), np.float32)
    spread = np.zeros((height, width), np.float32)
    for row in range(height):  # one row at a time keeps the masked copies small
        seen = np.where(free[:, row, :, None], frames[:, row].astype(np.float32), np.nan)
        columns = np.flatnonzero(known[row])
        median = np.nanmedian(seen[:, columns], axis=0)
        image[row, columns] = median
        spread[row, columns] = np.nanmedian(np.abs(seen[:, columns] - median), axis=0).sum(-1)
    filled = fill_holes(image, known)
    return CleanPlate(np.clip(np.round(filled), 0, 255).astype(np.uint8), known, spread)


def fill_holes(image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fill unknown pixels smoothly from their surroundings (push-pull over an image pyramid).

    image: (H,W,3) float32; known: (H,W) bool. Known pixels stay as they are; without any known
    pixel the result is mid grey.
    """
    if known.all():
        return image
    if not known.any():
        return np.full_like(image, 127.5)
    weight = known.astype(np.float32)
    small_weight = cv2.pyrDown(weight)
    small = cv2.pyrDown(image * weight[..., None])
    small = small / np.maximum(small_weight, 1e-6)[..., None]
    coarse = fill_holes(small, small_weight > 1e-3)
    guess = cv2.pyrUp(coarse, dstsize=image.shape[1::-1])
    return np.where(known[..., None], image, guess)

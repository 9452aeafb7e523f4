"""The clean plate: what stands behind a person who moves in front of a still camera."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

MARGIN = 6  # px at 512 between a pixel and the person for it to count as background
MIN_SEEN = 3  # frames in which a pixel must have been background
ROWS = 32  # worked on at a time, to keep copies small
GUESS_REACH = 20  # px at 512 from what was seen, within which the filled plate is a good guess
GUESS_SPREAD = 15.0  # and its spread there
PERSON_PROBABILITY = 0.15  # above this a pixel may be part of the person


@dataclass(frozen=True)
class CleanPlate:
    """Background of a clip."""

    image: np.ndarray  # (H,W,3) uint8 RGB, holes filled
    known: np.ndarray  # (H,W) bool, seen free of the person
    # (H,W) float32, median deviation, summed over RGB; infinite where the image says nothing
    spread: np.ndarray


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
    image = np.empty((height, width, 3), np.float32)
    spread = np.empty((height, width), np.float32)
    for top in range(0, height, ROWS):
        rows = slice(top, top + ROWS)
        image[rows], spread[rows] = median_and_spread(frames[:, rows], free[:, rows])
    unseen = (~known).astype(np.uint8)
    near = cv2.distanceTransform(unseen, cv2.DIST_L2, 5) < GUESS_REACH * height / 512
    spread[~known] = np.where(near[~known], GUESS_SPREAD, np.inf)
    filled = fill_holes(image, known)
    return CleanPlate(np.clip(np.round(filled), 0, 255).astype(np.uint8), known, spread)


def median_and_spread(frames: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median colour (h,w,3) of each pixel over the frames in which it is free, and the median
    deviation from it, summed over RGB, (h,w), both float32; of no meaning where never free.

    frames (n,h,w,3) uint8; free (n,h,w) bool. Sorting whole numbers is far faster than numpy's
    median that leaves values out.
    """
    count = np.maximum(free.sum(0), 1)
    middle = [rank[None, ..., None] for rank in ((count - 1) // 2, count // 2)]

    def twice_median(values: np.ndarray) -> np.ndarray:
        ordered = np.sort(np.where(free[..., None], values, np.iinfo(values.dtype).max), axis=0)
        low, high = (np.take_along_axis(ordered, rank, axis=0)[0] for rank in middle)
        return low.astype(np.int16) + high

    double = twice_median(frames)
    deviation = twice_median(np.abs(2 * frames.astype(np.int16) - double))
    return double.astype(np.float32) / 2, deviation.sum(-1).astype(np.float32) / 4


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

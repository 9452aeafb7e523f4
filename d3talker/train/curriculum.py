"""Which frames a phase may draw: mouths that open ever wider, then blinks (spec 3.6).

On some iterations only frames are drawn whose mouth is as wide open, or whose eyes are as shut, as
befits the progress of the training, so that rare states of the face are seen more often.
"""

from typing import NamedTuple

import numpy as np

from d3talker.face.parsing import extents
from d3talker.train.settings import Curriculum

BLINK = 5  # column of AU45 among the action units, of intensities from 0 to 2
LOWEST, HIGHEST = 0.25, 0.95  # quantiles of the opening that end the choice, or are its maximum


class FrameScores(NamedTuple):
    """What n frames show."""

    opening: np.ndarray  # (n,) vertical extent of the inner mouth, px
    blink: np.ndarray  # (n,) from 0 to 1


def frame_scores(mouths: np.ndarray, au: np.ndarray) -> FrameScores:
    """Scores of frames with inner mouths `mouths` (n,h,w) bool and action units `au` (n,6).

    The opening stands for both of the ancestors' scores of the mouth: the extent of the inner lips'
    landmarks, and AU25, which the tracker does not measure.
    """
    (_, top), (_, bottom) = (side.T for side in extents(mouths))
    opening = np.where(mouths.any(axis=(1, 2)), bottom - top, 0)
    return FrameScores(opening.astype(float), np.clip(au[:, BLINK] / 2, 0, 1).astype(float))


def allowed_frames(
    scores: FrameScores, it: int, rule: Curriculum, mouth_alone: bool
) -> np.ndarray | None:
    """Frames (n,) bool that iteration `it` may draw; None: all.

    Where no frame lies in the window, the nearest are allowed.
    """
    chosen = (_mouth_window if mouth_alone else _face_window)(scores, it, rule)
    if chosen is None:
        return None
    values, low, high = chosen
    distance = np.maximum(np.maximum(low - values, values - high), 0)
    return distance == distance.min()


Window = tuple[np.ndarray, float, float]  # scores (n,), the lowest and the highest allowed


def _face_window(scores: FrameScores, it: int, rule: Curriculum) -> Window | None:
    if it >= rule.span or it % rule.face_interval:
        return None
    progress = it / rule.span
    if it >= rule.warm:
        return scores.blink, progress - rule.blink_below, progress + rule.blink_above
    closed, widest = scores.opening.min(), scores.opening.max()
    first = closed + 0.2 * (widest - closed)
    centre = first + (widest - first) * progress
    half = rule.opening_width * (widest - first)
    return scores.opening, centre - half, centre + half


def _mouth_window(scores: FrameScores, it: int, rule: Curriculum) -> Window | None:
    """At first wide open mouths alone, in every iteration; then ever less open ones as well."""
    if it >= rule.span or (it >= rule.warm and it % rule.mouth_interval):
        return None
    opening = np.minimum(scores.opening, np.quantile(scores.opening, HIGHEST))
    least, wide = np.quantile(opening, LOWEST), np.quantile(opening, rule.widest)
    if it < rule.warm:
        return opening, wide, np.inf
    return opening, wide - it / rule.span * (wide - least), wide

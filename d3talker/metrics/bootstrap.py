"""95 % intervals of scores over the frames of a clip, by a circular block bootstrap.

Neighbouring frames resemble each other, so blocks of frames are drawn instead of single ones.
"""

import numpy as np

from d3talker.metrics.scores import Undefined

BLOCK = 15  # frames, 0.6 s: longer than the memory of mouth movement (a syllable is about 0.2 s)
RESAMPLES = 1000
LIMITS = (2.5, 97.5)  # percentiles
MIN_FRAMES = 25  # 1 s; the spread of less is not known


def block_picks(frames: int, seed: int = 0) -> np.ndarray:
    """Numbers of the frames in each resample: (RESAMPLES,frames); the clip is taken as a circle."""
    starts = np.random.default_rng(seed).integers(frames, size=(RESAMPLES, -(-frames // BLOCK)))
    picks = (starts[..., None] + np.arange(BLOCK)).reshape(RESAMPLES, -1)[:, :frames]
    return picks % frames


def mean_interval(values: np.ndarray, seed: int = 0) -> list[float]:
    """Interval [low, high] of the mean of a score of every frame, (T,); NaN frames are left out."""
    values = values[~np.isnan(values)].astype(np.float64)
    if len(values) < MIN_FRAMES:
        raise Undefined(f"a value for {len(values)} frames only; {MIN_FRAMES} are needed")
    if np.isinf(values).any():
        raise Undefined("infinite in at least one frame")
    means = values[block_picks(len(values), seed)].mean(axis=1)
    return np.percentile(means, LIMITS).tolist()

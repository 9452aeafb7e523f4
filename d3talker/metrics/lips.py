"""How well the lips of a rendered video follow the true ones, or the speech.

Mouth opening is the artifact's `mouth_openness`: inner lip gap over the distance of the outer eye
corners, (T,) per clip. Frames without a face are NaN and are left out of every measure.
"""

import numpy as np

from d3talker.face.model import LIPS_INNER, LIPS_OUTER
from d3talker.metrics.scores import Undefined

LIPS = np.concatenate([LIPS_OUTER, LIPS_INNER])  # 40 points
SAMPLES_PER_FRAME = 640  # 16 kHz at 25 fps
SILENCE = 1e-3  # root mean square below which sound counts as silence: -60 dB of full scale
MIN_FRAMES = 25  # 1 s; a correlation of less means nothing
CONSTANT = 1e-6  # a signal that varies less than this does not move
LAGS = 15  # frames searched on each side, as SyncNet does
BLOCK = 15  # frames, 0.6 s: longer than the memory of mouth movement (a syllable is about 0.2 s)
RESAMPLES = 1000


def lip_distance(render: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> float:
    """Mean distance of the 40 lip points, px, after each set's own mean is taken off.

    render, truth: (T,478,3) px; valid: (T,) bool, face found in both. The field's LMD (spec 7.5)
    on other landmarks: not comparable with its numbers.
    """
    if not valid.any():
        raise Undefined("no frame with a face in both videos")
    lips = [points[valid][:, LIPS, :2] for points in (render, truth)]
    centred = [points - points.mean(axis=1, keepdims=True) for points in lips]
    return float(np.linalg.norm(centred[0] - centred[1], axis=2).mean())


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two signals (T,) over the frames where both are known (not NaN)."""
    a, b = known_pairs(a, b)
    centred = [x - x.mean() for x in (a, b)]
    return float(centred[0] @ centred[1] / np.prod([np.linalg.norm(x) for x in centred]))


def known_pairs(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both signals where both are known, float64; Undefined if too few or one does not move."""
    known = ~(np.isnan(a) | np.isnan(b))
    if known.sum() < MIN_FRAMES:
        raise Undefined(f"a face in both for {known.sum()} frames only; {MIN_FRAMES} are needed")
    a, b = a[known].astype(np.float64), b[known].astype(np.float64)
    if min(np.ptp(a), np.ptp(b)) < CONSTANT:
        raise Undefined("one of the two signals is constant, so it has no correlation")
    return a, b


def correlation_interval(a: np.ndarray, b: np.ndarray, seed: int = 0) -> list[float]:
    """95 % interval [low, high] of `pearson(a, b)` by a circular block bootstrap over time."""
    a, b = known_pairs(a, b)
    frames = len(a)
    starts = np.random.default_rng(seed).integers(frames, size=(RESAMPLES, -(-frames // BLOCK)))
    picks = (starts[..., None] + np.arange(BLOCK)).reshape(RESAMPLES, -1)[:, :frames] % frames
    x, y = (values[picks] - values[picks].mean(axis=1, keepdims=True) for values in (a, b))
    power = (x**2).sum(axis=1) * (y**2).sum(axis=1)
    moving = power > CONSTANT**4
    correlations = (x * y).sum(axis=1)[moving] / np.sqrt(power[moving])
    return np.percentile(correlations, [2.5, 97.5]).tolist()


def best_lag(signal: np.ndarray, reference: np.ndarray) -> int:
    """Frames by which `signal` (T,) comes after `reference` (T,): the lag that correlates best."""
    correlations = {}
    for lag in range(-LAGS, LAGS + 1):
        later = signal[max(0, lag) : len(signal) + min(0, lag)]
        earlier = reference[max(0, -lag) : len(reference) - max(0, lag)]
        correlations[lag] = pearson(later, earlier)
    lag = max(correlations, key=correlations.get)
    if correlations[lag] <= 0:
        raise Undefined(f"no lag within {LAGS} frames gives a positive correlation")
    return lag


def speech_energy(samples: np.ndarray) -> np.ndarray:
    """Loudness of each video frame's sound, dB of full scale: (T*640,) in [-1,1) -> (T,)."""
    frames = samples[: len(samples) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME]
    power = (frames.reshape(-1, SAMPLES_PER_FRAME).astype(np.float64) ** 2).mean(axis=1)
    return 20 * np.log10(np.maximum(np.sqrt(power), SILENCE))

"""How well the lips of a rendered video follow the true ones, or the speech.

Mouth opening is the artifact's `mouth_openness`: inner lip gap over the distance of the outer eye
corners, (T,) per clip. Frames without a face are NaN and are left out of every measure.
"""

import numpy as np

from d3talker.face.model import LIPS_INNER, LIPS_OUTER
from d3talker.metrics.bootstrap import LIMITS, MIN_FRAMES, block_picks
from d3talker.metrics.scores import Undefined

LIPS = np.concatenate([LIPS_OUTER, LIPS_INNER])  # 40 points
SAMPLES_PER_FRAME = 640  # 16 kHz at 25 fps
SILENCE = 1e-3  # root mean square below which sound counts as silence: -60 dB of full scale
CONSTANT = 1e-6  # a signal that varies less than this does not move
LAGS = 15  # frames searched on each side, as SyncNet does
FAN_MOUTH = np.arange(48, 68)  # the mouth among the 68 points


def lip_distances(render: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Distance of the 40 lip points of each frame, (T,) px: `shape_distances` of the face mesh.

    render, truth: (T,478,3) px; valid: (T,) bool, face found in both. The field's LMD on other
    landmarks: not comparable with its numbers.
    """
    return shape_distances(render[:, LIPS, :2], truth[:, LIPS, :2], valid)


def fan_distances(render: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """LMD of each frame (spec 7.5), (T,) px of the frame, of the 68 points of FAN.

    render, truth: (T,68,2) px; valid: (T,) bool, face found in both.
    """
    return shape_distances(render[:, FAN_MOUTH], truth[:, FAN_MOUTH], valid)


def shape_distances(render: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Mean distance of the points after each set's own mean is taken off: (T,P,2) -> (T,).

    Neither size nor turn is taken off. NaN where not `valid`.
    """
    centred = [points - points.mean(axis=1, keepdims=True) for points in (render, truth)]
    distances = np.linalg.norm(centred[0] - centred[1], axis=2).mean(axis=1)
    return np.where(valid, distances, np.nan)


def mean_distance(distances: np.ndarray) -> float:
    """Mean over the frames with a face in both videos."""
    if np.isnan(distances).all():
        raise Undefined("no frame with a face in both videos")
    return float(np.nanmean(distances))


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
    picks = block_picks(len(a), seed)
    x, y = (values[picks] - values[picks].mean(axis=1, keepdims=True) for values in (a, b))
    power = (x**2).sum(axis=1) * (y**2).sum(axis=1)
    moving = power > CONSTANT**4
    correlations = (x * y).sum(axis=1)[moving] / np.sqrt(power[moving])
    return np.percentile(correlations, LIMITS).tolist()


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

"""Which of several people speaks: whose mouth moves when the sound is loud."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from d3talker.face import landmarks
from d3talker.ingest.clip import choose_crop, cropped
from d3talker.ingest.people import Person
from d3talker.ingest.scenes import Span
from d3talker.ingest.settings import IngestSettings
from d3talker.video import io

SIDE = 256  # px of the square in which a face's mesh is looked for
SQUARE = 1.6  # side of that square over the face height
SMOOTH = 5  # frames, one syllable
MESH_POINTS = 478
LAGS = range(-3, 6)  # frames by which the mouth may move after the sound is heard
FLOOR = -60.0  # dB of full scale below which all is silence
EVEN = 2.0  # dB, standard deviation of a sound that is too even for speech


def mouth_opening(
    path: str | Path,
    info: io.VideoInfo,
    person: Person,
    span: Span,
    find_meshes: Callable[[np.ndarray], np.ndarray],
    settings: IngestSettings,
) -> np.ndarray:
    """How open a person's mouth is in every frame of `span`: (T,), NaN without a face."""
    tight = {"crop_side": SQUARE, "head_margin": SQUARE / 2, "crop_centre": 0.0, "keep_whole": 1.0}
    crop = choose_crop(person.boxes, info.width, info.height, replace(settings, **tight))
    video = cropped(path, info, crop, SIDE, span, settings)
    frames = io.pipe_frames(video, SIDE, SIDE, path)
    points, valid = landmarks.track_faces(frames, find_meshes, MESH_POINTS)
    return np.where(valid, landmarks.mouth_openness(points), np.nan)


def correlation(opening: np.ndarray, level: np.ndarray) -> float:
    """How well the movement of a mouth follows the sound, at the best of a few lags.

    opening: (T,), NaN without a face; level: (T,) dB. It is the movement that tells, not the
    opening, which depends on the vowels (0.92 of pairs of real clips were ordered right by it,
    0.62 by the opening). 0 for a mouth that is seen in less than half of the frames, or a sound
    that is as loud all the time: there is nothing to follow.
    """
    known = np.isfinite(opening)
    if known.mean() < 0.5 or np.maximum(level, FLOOR).std() < EVEN:
        return 0.0
    frames = np.arange(len(opening))
    opening = np.interp(frames, frames[known], opening[known])
    kernel = np.ones(SMOOTH) / SMOOTH
    moved = np.convolve(np.abs(np.gradient(opening)), kernel, "same")
    heard = np.convolve(np.maximum(level, FLOOR), kernel, "same")
    return max(_pearson(*_shifted(moved, heard, lag)) for lag in LAGS)


def _shifted(signal: np.ndarray, reference: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """The frames of both, `signal` taken `lag` frames later."""
    stop = min(len(signal), len(reference)) - abs(lag)
    return signal[max(lag, 0) :][:stop], reference[max(-lag, 0) :][:stop]


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    power = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / power) if power > 1e-9 else 0.0

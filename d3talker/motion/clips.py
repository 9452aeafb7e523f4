"""Sound and standardised lower-face motion of a person, as the networks learn from them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from d3talker.artifacts import load_arrays
from d3talker.cli import InputError
from d3talker.face.model import LOWER_LIP, UPPER_LIP
from d3talker.motion.network import BANDS, HOP, shift_rows
from d3talker.speech.logmel import SAMPLES_PER_FRAME, log_mel, read_wav

MIN_FRAMES = 25  # one second


@dataclass(frozen=True)
class Clip:
    """One person's sound and lower-face motion; T frames, C coefficients, float32.

    mel (4T,BANDS); motion (T,C), standardised with `mean` and `std` (C,); valid (T,) 0 or 1;
    opening (C,): motion @ opening is the standardised mouth opening.
    """

    name: str
    mel: Tensor
    motion: Tensor
    valid: Tensor
    mean: Tensor
    std: Tensor
    opening: Tensor


def lip_gap(basis: np.ndarray) -> np.ndarray:
    """Metres (C,) by which a unit of each coefficient of a basis (C,478,3) parts the lips."""
    return basis[:, UPPER_LIP, 1] - basis[:, LOWER_LIP, 1]


def make_clip(
    name: str, samples: np.ndarray, expression: np.ndarray, valid: np.ndarray, gap: np.ndarray
) -> Clip:
    """A Clip of samples (640 T,), lower expression (T,C), valid (T,) bool and `lip_gap` (C,)."""
    mel = log_mel(samples[: len(expression) * SAMPLES_PER_FRAME], BANDS, HOP)
    seen = expression[valid]
    mean, std = seen.mean(axis=0), seen.std(axis=0) + 1e-3
    opening = gap * std / ((seen @ gap).std() + 1e-6)
    arrays = (mel, (expression - mean) / std, valid, mean, std, opening)
    return Clip(name, *(torch.from_numpy(np.asarray(a, np.float32)) for a in arrays))


def load_clip(
    name: str, audio: str | Path, track: str | Path, gap: np.ndarray, frames: int | None = None
) -> Clip:
    """The first `frames` (None: all) of a person's audio.wav and track.npz as a Clip."""
    arrays, _ = load_arrays(track)
    expression = arrays["expression"][:frames, : len(gap)]
    valid = arrays["valid"][:frames]
    samples = read_wav(audio)
    if len(samples) < len(expression) * SAMPLES_PER_FRAME:
        raise InputError(
            f"{audio}: {len(samples) // SAMPLES_PER_FRAME} frames of sound for {len(expression)} "
            f"frames of {track}; both must come from one ingest"
        )
    if valid.sum() < MIN_FRAMES:
        raise InputError(
            f"{track}: a face in {valid.sum()} of the first {len(valid)} frames, at least "
            f"{MIN_FRAMES} are needed to learn motion"
        )
    return make_clip(name, samples, expression, valid, gap)


def delay_sound(clip: Clip, rows: int) -> Clip:
    """The clip with its sound delayed by rows of 10 ms (negative: advanced)."""
    return replace(clip, mel=shift_rows(clip.mel, rows))

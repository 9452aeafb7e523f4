"""The sound of a clip: cut in step with the picture, measured, never in memory as a whole."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from d3talker.cli import InputError
from d3talker.ingest.settings import IngestSettings
from d3talker.video import io

SAMPLES_PER_FRAME = io.SAMPLE_RATE // io.FPS  # 640
FLOOR = -100.0  # dB of full scale; lower levels count as this one
LOUD, SOFT = 90, 10  # percentiles of the frames' levels: speech, and what is heard in its pauses


def cut_sound(blocks: Iterable[np.ndarray], start: int, length: int) -> Iterator[np.ndarray]:
    """Samples [start, start + length) of a sound, silence where it has none.

    blocks: int16 arrays that follow each other from sample 0 on. start may be negative.
    """
    yield from _silence(min(max(-start, 0), length))
    missing = length - min(max(-start, 0), length)
    position = 0
    for block in blocks:
        part = block[max(start - position, 0) : max(start + length - position, 0)]
        position += len(block)
        if len(part):
            yield part
            missing -= len(part)
        if missing == 0:
            return
    yield from _silence(missing)


def _silence(length: int) -> Iterator[np.ndarray]:
    for start in range(0, length, io.SAMPLE_RATE):
        yield np.zeros(min(io.SAMPLE_RATE, length - start), np.int16)


def clip_sound(
    path: str | Path, info: io.VideoInfo, first: int, frames: int, settings: IngestSettings
) -> Iterator[np.ndarray]:
    """The sound of frames [first, first + frames) of the video at 25 fps: 640 samples for each.

    Streams that start at different times stay in step: what was heard before the first frame is
    cut, what is missing is silence.
    """
    start = round((info.video_start - info.audio_start) * io.SAMPLE_RATE)
    blocks = io.pipe_audio(path, settings.max_seconds, info.audio_channels)
    return cut_sound(blocks, start + first * SAMPLES_PER_FRAME, frames * SAMPLES_PER_FRAME)


def levels(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """Level of each video frame's sound, dB of full scale: (T,) float.

    blocks: int16 arrays, T * 640 samples in all.
    """
    found, rest = [], np.empty(0, np.int16)
    for block in blocks:
        samples = np.concatenate([rest, block])
        whole = len(samples) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME
        frames = samples[:whole].reshape(-1, SAMPLES_PER_FRAME) / 32768.0
        found.append(np.sqrt(np.mean(frames**2, axis=1)))
        rest = samples[whole:]
    return np.maximum(20 * np.log10(np.maximum(np.concatenate(found), 1e-9)), FLOOR)


@dataclass(frozen=True)
class SoundQuality:
    """Levels in dB of full scale (0 is the loudest possible square wave)."""

    level: float  # of the whole sound
    speech_level: float  # of its loud frames
    speech_to_noise: float  # dB by which they are above the soft ones: rough, pauses are needed
    seconds_without_sound: float  # digital silence at the ends


def quality(level: np.ndarray) -> SoundQuality:
    """Measure the levels (T,) of a clip's sound; silence at its ends is left out of speech."""
    heard = np.flatnonzero(level > FLOOR)
    if not len(heard):
        return SoundQuality(FLOOR, FLOOR, 0.0, len(level) / io.FPS)
    inside = level[heard[0] : heard[-1] + 1]
    speech, noise = np.percentile(inside, [LOUD, SOFT])
    return SoundQuality(
        level=10 * math.log10(np.mean(10 ** (level / 10))),
        speech_level=float(speech),
        speech_to_noise=float(speech - noise),
        seconds_without_sound=(len(level) - len(inside)) / io.FPS,
    )


def warnings_about_sound(sound: SoundQuality, settings: IngestSettings) -> list[str]:
    """What can be heard but teaches the lips less well."""
    checks = [
        (
            sound.level < settings.silent_below,
            "the sound is silent; the lips cannot be learned from it",
        ),
        (
            settings.silent_below <= sound.level and sound.speech_level < settings.quiet_below,
            f"the speech is quiet ({sound.speech_level:.0f} dB of full scale)",
        ),
        (
            settings.silent_below <= sound.level and sound.speech_to_noise < settings.noisy_below,
            f"the speech is only {sound.speech_to_noise:.0f} dB above what is heard in its pauses; "
            "noise or music makes the lips less certain",
        ),
        (
            settings.silent_below <= sound.level
            and sound.seconds_without_sound > settings.missing_sound,
            f"{sound.seconds_without_sound:.1f} s at the ends of the clip have no sound; the mouth "
            "moves there without a cause",
        ),
    ]
    return [text for applies, text in checks if applies]


def load_any_audio(path: str | Path, settings: IngestSettings) -> np.ndarray:
    """Sound of any file as a driving audio: (n,) int16, 16 kHz mono, n a multiple of 640.

    At most `max_seconds` of it.
    """
    try:
        samples = io.decode_audio(path, settings.max_seconds)
    except io.FfmpegError as error:
        raise InputError(f"{path}: has no sound that ffmpeg can read ({error.reason})") from error
    if len(samples) < settings.min_audio_seconds * io.SAMPLE_RATE:
        raise InputError(
            f"{path}: {len(samples) / io.SAMPLE_RATE:.2f} s of sound; at least "
            f"{settings.min_audio_seconds:g} s are needed"
        )
    return samples[: len(samples) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME]

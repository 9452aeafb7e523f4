"""The sound of a dataset folder: aud.wav, or that of the video beside it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from d3talker.cli import InputError
from d3talker.imported import layout
from d3talker.ingest import sound
from d3talker.ingest.settings import IngestSettings
from d3talker.video import io

SLACK = 2.0  # s by which the sound may be longer or shorter than the frames


def clip_sound(folder: Path, frames: int) -> tuple[Path, Callable[[], Iterator[np.ndarray]]]:
    """The file with the sound, and what yields it in blocks (n,) int16: 640 samples for each frame.

    Raises InputError if there is none, or it lasts far longer or shorter than the frames.
    """
    path, start = _source(folder)
    wanted = frames * sound.SAMPLES_PER_FRAME
    found = sum(len(block) for block in io.pipe_audio(path)) - start
    if abs(found - wanted) > SLACK * io.SAMPLE_RATE:
        raise InputError(
            f"{path}: lasts {found / io.SAMPLE_RATE:.1f} s, but {frames} frames last"
            f" {frames / io.FPS:.1f} s; sound and frames must be of the same clip"
        )
    return path, lambda: sound.cut_sound(io.pipe_audio(path), start, wanted)


def quality(blocks: Iterator[np.ndarray]) -> tuple[sound.SoundQuality, list[str]]:
    """Levels of the sound, and what is to be warned of."""
    measured = sound.quality(sound.levels(blocks))
    return measured, sound.warnings_about_sound(measured, IngestSettings())


def _source(folder: Path) -> tuple[Path, int]:
    """The file with the sound, and its sample that is heard when the first frame is shown."""
    wav = folder / layout.SOUND
    if wav.is_file():
        return wav, 0
    found = layout.videos(folder)
    own = [path for path in found if path.stem == folder.name] or found
    if len(own) != 1:
        several = f"; {len(found)} videos lie there, none named {folder.name}.mp4" if found else ""
        raise InputError(
            f"{wav}: no such file, nor the video {folder.name}.mp4 to take the sound from{several}"
        )
    info = io.probe(own[0])
    if not info.has_audio:
        raise InputError(f"{wav}: no such file, and {own[0].name} beside it has no sound")
    return own[0], round((info.video_start - info.audio_start) * io.SAMPLE_RATE)

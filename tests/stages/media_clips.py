"""Small talking-head clips made of the photograph of an astronaut that scikit-image ships."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
D3_DATA = os.environ.get("D3_DATA")


def astronaut_frames(count: int, side: int = 384, faces: int = 1) -> list[np.ndarray]:
    """`count` frames (side, faces*side, 3) uint8 of a head that sways by some pixels."""
    from skimage.data import astronaut

    photo = astronaut()
    frames = []
    for i in range(count):
        x = 24 + round(10 * np.sin(i / 8))
        view = photo[: side - 16, x : x + side - 16]
        view = np.pad(view, ((8, 8), (8, 8), (0, 0)), mode="edge")
        frames.append(np.concatenate([view] * faces, axis=1))
    return frames


def write_tone(path: Path, seconds: float, rate: int = 16000) -> None:
    """A 440 Hz tone as wav."""
    from d3talker.video import write_wav

    time = np.arange(round(seconds * rate)) / rate
    write_wav(path, (8000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16), rate)


def write_clip(path: Path, seconds: float = 4.4, faces: int = 1, sound: bool = True) -> Path:
    """A clip of the astronaut, 384 px high, 25 fps, with a tone."""
    from d3talker.video import write_video

    tone = path.parent / "tone.wav"
    write_tone(tone, seconds)
    frames = astronaut_frames(round(seconds * 25), faces=faces)
    write_video(path, frames, audio=tone if sound else None)
    return path


def ffmpeg(*arguments: str | Path) -> None:
    """Run ffmpeg itself, to make files that the project does not write."""
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", *arguments]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def run_stage(name: str, *arguments: str | Path, cwd: Path | None = None):
    """Run stages/<name>.py; returns the finished process with its text output."""
    command = [sys.executable, ROOT / "stages" / f"{name}.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def run_ingest(
    video: str | Path, out: Path, size: int = 256, *options: str, cwd: Path | None = None
):
    """Run the ingest stage into the folder `out`."""
    return run_stage(
        "ingest", "--video", video, "--identity", "someone", "--size", str(size),
        "--out-video", out / "video.mp4", "--out-audio", out / "audio.wav",
        "--out-json", out / "ingest.json", *options, cwd=cwd,
    )  # fmt: skip

"""A video that another program has made of a clip: is it the test part, frame by frame?"""

from collections.abc import Mapping
from pathlib import Path

from d3talker.cli import InputError
from d3talker.split import FPS, test_part
from d3talker.video import io

FPS_TOLERANCE = 0.01  # ffmpeg prints two digits


def first_test_frame(path: str | Path, ingest: Mapping, clip: str | Path) -> int:
    """The frame of `path` that shows the first test frame of the clip.

    ingest: content of the clip's ingest.json. clip: where it lies, for messages. Raises InputError,
    which says what was found and what is needed, unless the video has the clip's frame rate and
    size, and as many frames as the clip or as its test part.
    """
    info = io.probe(path)
    start, stop = test_part(ingest)
    found = count_frames(path)
    size = ingest["size"]
    problems = []
    if abs(info.fps - FPS) > FPS_TOLERANCE:
        problems.append(f"{info.fps:g} frames per second instead of {FPS}")
    if (info.width, info.height) != (size, size):
        problems.append(f"{info.width}x{info.height} pixels instead of {size}x{size}")
    if found not in (stop - start, ingest["frames"]):
        problems.append(
            f"{found} frames instead of {stop - start}, the test part (frames {start} to {stop - 1}"
            f" of the clip), or {ingest['frames']}, the whole clip"
        )
    if problems:
        raise InputError(
            f"{path}: has {', and '.join(problems)}; give the other program {clip} as it is, and"
            " bring its frames here unchanged"
        )
    return 0 if found == stop - start else start


def count_frames(path: str | Path) -> int:
    """How many frames a video has, by decoding it."""
    return sum(1 for _ in io.iter_frames(path))

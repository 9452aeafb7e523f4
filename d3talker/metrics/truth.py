"""The true frames as they are scored: encoded as the render was (spec 7.1)."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from d3talker.video import iter_frames, write_video


@contextlib.contextmanager
def encoded_truth(video: str | Path, start: int, stop: int) -> Iterator[Path]:
    """Yield a video of the frames [start, stop) of a clip, removed at the end of the block.

    What the encoder loses is then no error of the render. The same frames give the same video.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "truth.mp4"
        write_video(path, iter_frames(video, start, stop))
        yield path

"""Cut the clip out of the video: where the head is, size x size, 25 fps."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ffmpeg
import numpy as np

from d3talker.artifacts import atomic
from d3talker.ingest.scenes import Span
from d3talker.ingest.settings import IngestSettings
from d3talker.ingest.survey import timed
from d3talker.video import io
from d3talker.video.colour import to_sdr

LOOK_STEP = 12  # frames of the clip from one that is looked at for its sharpness to the next


@dataclass(frozen=True)
class Crop:
    """Square cut from the source, in px of the displayed picture."""

    x: int
    y: int
    side: int


def choose_crop(faces: np.ndarray, width: int, height: int, settings: IngestSettings) -> Crop:
    """One square for the whole clip that holds the head wherever it goes.

    faces: (m,4) x, y, width, height in px of the width x height source. The square is even in
    position and size (4:2:0 chroma), and never larger than the picture.
    """
    face = float(np.median(faces[:, 3]))
    centres = faces[:, :2] + faces[:, 2:] / 2
    low, high = np.percentile(centres, [2, 98], axis=0)
    reach = float((high - low).max()) + 2 * settings.head_margin * face
    side = max(settings.crop_side * face, reach)
    short = min(width, height)
    if side >= settings.keep_whole * short:
        side = short
    side = int(side) // 2 * 2
    x, y = (low + high) / 2 - side / 2 + np.array([0, settings.crop_centre * face])
    x, y = np.clip([x, y], 0, [width - side, height - side])
    return Crop(int(x) // 2 * 2, int(y) // 2 * 2, side)


def cropped(
    source: str | Path,
    info: io.VideoInfo,
    crop: Crop,
    size: int,
    span: Span,
    settings: IngestSettings,
):
    """ffmpeg-python node of the clip: `span` of the video at 25 fps, cut and scaled to size x size.

    The picture stays in its own YUV where that is 8-bit SDR of video range, so that nothing is
    lost to colour conversion.
    """
    video = io.square_pixels(timed(source, settings), info)
    video = video.filter("trim", start_frame=span.first, end_frame=span.stop)
    video = video.filter("setpts", "PTS-STARTPTS")
    if (crop.side, crop.side) != (info.width, info.height):
        video = video.filter("crop", crop.side, crop.side, crop.x, crop.y)
    video = to_sdr(video, info.colour)
    if crop.side != size:
        kernel = "area" if crop.side > size else "lanczos"
        video = video.filter("scale", size, size, flags=f"{kernel}+accurate_rnd")
    return video


def write_clip(video, size: int, source: str | Path, out: str | Path) -> Iterator[np.ndarray]:
    """Encode the node that `cropped` gives; yield every LOOK_STEP-th frame, (size,size) uint8 grey.

    The file is in its place when the iterator has ended.
    """
    with atomic(out) as part:
        frames = video.split()
        clip = frames[0].output(
            f"file:{part}",
            vcodec="libx264",
            pix_fmt="yuv420p",
            crf=10,
            preset="superfast",  # half the time of the next, at the same error; twice the size
            movflags="+faststart",
            fflags="+bitexact",
        )
        looks = io.raw_frames(frames[1].filter("framestep", LOOK_STEP), "gray")
        for data in io.pipe_bytes(ffmpeg.merge_outputs(looks, clip), size * size, source):
            if len(data) == size * size:
                yield np.frombuffer(data, np.uint8).reshape(size, size)

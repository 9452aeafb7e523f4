"""One look through a video: where its faces are, and how much the picture changes.

The video is decoded once and nothing but numbers is kept, so the memory it takes does not grow
with its length.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import ffmpeg
import numpy as np

from d3talker.cli import InputError
from d3talker.ingest.settings import IngestSettings
from d3talker.video import io
from d3talker.video.colour import to_sdr

THUMBNAIL = (32, 18)  # px, width and height
PATCH = 32  # px, side of the face in which changes are measured
SAME_FACE = 0.4  # overlap (intersection over union) of two boxes of one face

Detector = Callable[[np.ndarray], np.ndarray]  # image -> boxes (n,4) x, y, width, height


@dataclass(frozen=True)
class Survey:
    """What was seen. Frames are those of the video at 25 fps; sample k is frame k * step."""

    frames: int
    step: int
    faces: list[np.ndarray]  # per sample (n,4) float x, y, width, height in px of the source
    changes: np.ndarray  # (samples,) grey levels by which the largest face changed; NaN unknown
    thumbnails: np.ndarray  # (frames,18,32) uint8, the grey picture

    def samples(self, first: int, stop: int) -> range:
        """Samples whose frames are in [first, stop)."""
        return range(-(-first // self.step), -(-stop // self.step))


def timed(path: str | Path, settings: IngestSettings):
    """ffmpeg-python node of a video's first `max_seconds` at 25 fps.

    Frame i shows the source's picture nearest to i/25 s after its first frame, whatever the
    source's rate and however it varies.
    """
    video = io.input_of(path, t=settings.max_seconds)["V:0"]
    return video.filter("setpts", "PTS-STARTPTS").filter("fps", io.FPS)


def survey(
    path: str | Path, info: io.VideoInfo, detect: Detector, settings: IngestSettings
) -> Survey:
    """Look through the video at `path`."""
    faces, changes, previous = [], [], None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "thumbnails.gray")
        for frame in _samples(path, info, settings, file):
            scale = info.width / frame.shape[1]
            boxes = find_faces(frame, detect)
            faces.append(boxes * scale)
            changes.append(_change(frame, previous, boxes))
            previous = frame
        thumbnails = np.fromfile(file, np.uint8).reshape(-1, *THUMBNAIL[::-1])
    if not len(thumbnails):
        raise InputError(f"{path}: no frame could be decoded; convert it to MP4 and try again")
    return Survey(len(thumbnails), settings.sample_step, faces, np.array(changes), thumbnails)


def _samples(
    path: str | Path, info: io.VideoInfo, settings: IngestSettings, thumbnails: Path
) -> Iterator[np.ndarray]:
    """Yield every `sample_step`-th frame (h,w,3) uint8 RGB; write a thumbnail of every frame."""
    scale = min(1.0, settings.sample_side / max(info.width, info.height))
    width, height = (max(2, round(side * scale / 2) * 2) for side in (info.width, info.height))
    frames = timed(path, settings).split()
    small = frames[0].filter("scale", *THUMBNAIL, flags="area").filter("format", "gray")
    some = frames[1].filter("framestep", settings.sample_step)
    some = to_sdr(some.filter("scale", width, height).filter("setsar", 1), info.colour)
    both = ffmpeg.merge_outputs(
        io.raw_frames(some, "rgb24"),
        small.output(f"file:{thumbnails}", format="rawvideo", fps_mode="passthrough"),
    )
    size = width * height * 3
    for data in io.pipe_bytes(both, size, path):
        if len(data) == size:
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)


def find_faces(image: np.ndarray, detect: Detector) -> np.ndarray:
    """Boxes (n,4) of the faces in `image` (H,W,3).

    The detector sees a small square picture, in which the head of a wide picture may vanish. So
    where it finds nothing it is given overlapping squares of the picture's short side.
    """
    boxes = detect(image)
    height, width = image.shape[:2]
    short, long = sorted((height, width))
    if len(boxes) or long < 1.2 * short:
        return boxes
    found = []
    for start in np.linspace(0, long - short, 1 + round(2 * (long / short - 1))).astype(int):
        x, y = (start, 0) if width > height else (0, start)
        tile = np.ascontiguousarray(image[y : y + short, x : x + short])
        found += list(detect(tile) + np.array([x, y, 0, 0]))
    return _without_doubles(np.array(found).reshape(-1, 4))


def _without_doubles(boxes: np.ndarray) -> np.ndarray:
    """Of boxes that overlap much, the largest: (n,4) -> (m,4)."""
    kept: list[np.ndarray] = []
    for box in boxes[np.argsort(-boxes[:, 3])]:
        if all(overlap(box, other) < SAME_FACE for other in kept):
            kept.append(box)
    return np.array(kept).reshape(-1, 4)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes (4,) x, y, width, height."""
    sides = np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - np.maximum(a[:2], b[:2])
    common = np.prod(np.maximum(sides, 0))
    return float(common / (a[2] * a[3] + b[2] * b[3] - common))


def _change(frame: np.ndarray, previous: np.ndarray | None, boxes: np.ndarray) -> float:
    """Mean change in grey levels, since the last sample, where the largest face is."""
    if previous is None or not len(boxes):
        return float("nan")
    x, y, width, height = boxes[np.argmax(boxes[:, 3])].round().astype(int)
    place = np.s_[max(y, 0) : max(y + height, 1), max(x, 0) : max(x + width, 1)]
    now, before = (
        cv2.cvtColor(
            cv2.resize(image[place], (PATCH, PATCH), interpolation=cv2.INTER_AREA),
            cv2.COLOR_RGB2GRAY,
        )
        for image in (frame, previous)
    )
    return float(cv2.absdiff(now, before).mean())

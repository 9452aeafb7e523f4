"""Faces followed through a clip and cut out of it, as SyncNet's pipeline does (spec 7.6).

Its search for cuts between scenes is left out, because a rendered clip is one scene. Neither are
the frames encoded as MPEG-4 and JPEG on the way: they are those that the video decodes to.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.signal import medfilt

OVERLAP = 0.5  # intersection over union from one sight to the next
MISSED = 25  # frames
MIN_SIGHTS = 100  # a track has more
MIN_SIDE = 100  # px; a track's mean box is larger
KERNEL = 13  # frames, median filter of the boxes
ROOM = 0.4  # of half a box, around it; twice as much below
GREY = 110  # beyond the border of the frame
CROP = 224  # px


@dataclass(frozen=True)
class Track:
    """One face. first: its first frame; boxes (n,4) px: left, top, right, bottom, of each frame."""

    first: int
    boxes: np.ndarray


def follow(found: Sequence[np.ndarray]) -> list[Track]:
    """Tracks of the faces found in each frame, T times (n,4) px.

    Each track takes the faces that overlap with its last; gaps are filled by straight lines.
    """
    left = [list(boxes) for boxes in found]
    tracks = []
    while sights := take_one(left):
        if len(sights) <= MIN_SIGHTS:
            continue
        seen = np.array([frame for frame, _ in sights])
        boxes = np.array([box for _, box in sights])
        frames = np.arange(seen[0], seen[-1] + 1)
        boxes = np.stack([np.interp(frames, seen, column) for column in boxes.T], axis=1)
        if (boxes[:, 2:] - boxes[:, :2]).mean(axis=0).max() > MIN_SIDE:
            tracks.append(Track(int(seen[0]), boxes))
    return tracks


def take_one(left: list[list[np.ndarray]]) -> list[tuple[int, np.ndarray]]:
    """Take the face that comes first, and what continues it, out of `left`: (frame, box)."""
    sights: list[tuple[int, np.ndarray]] = []
    for frame, boxes in enumerate(left):
        if sights and frame - sights[-1][0] > MISSED:
            break
        for number, box in enumerate(boxes):
            if not sights or overlap(box, sights[-1][1]) > OVERLAP:
                sights.append((frame, boxes.pop(number)))
                break
    return sights


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes (4,)."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = np.prod(np.maximum(sides, 0))
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))


def crops(frames: Iterable[np.ndarray], track: Track) -> Iterator[np.ndarray]:
    """The face of each frame of a track, (224,224,3) uint8; frames: those of the track.

    With half a box s: a square of 2.8 s around the box, whose middle is 0.4 s below the box's.
    """
    corners = track.boxes.reshape(-1, 2, 2)
    halves = medfilt((corners[:, 1] - corners[:, 0]).max(axis=1) / 2, KERNEL)
    middles = [medfilt(column, KERNEL) for column in corners.mean(axis=1).T]
    for frame, half, x, y in zip(frames, halves, *middles, strict=True):
        border = int(half * (1 + 2 * ROOM))
        padded = cv2.copyMakeBorder(
            frame, *[border] * 4, cv2.BORDER_CONSTANT, value=[GREY, GREY, GREY]
        )
        x, y, side = x + border, y + border, half * (1 + ROOM)
        face = padded[int(y - half) : int(y + half * (1 + 2 * ROOM)), int(x - side) : int(x + side)]
        yield cv2.resize(face, (CROP, CROP))

"""Cuts, black frames, and the stretches of a video in which somebody's face is seen throughout."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from d3talker.ingest.settings import IngestSettings
from d3talker.ingest.survey import SAME_FACE, Survey, overlap
from d3talker.video.io import FPS

FLASH = 4  # frames; what comes back within so many is a flash or a glitch and no cut:
LASTING = 0.5  # share of a change that must be left then
AROUND = 12  # frames that move, on each side, in which a cut must stand out
OTHER_PEAKS = 3  # strong changes that may stand beside it there, such as other cuts
BLOCK = 1000  # thumbnails compared at a time, to save memory
SHORT_BLACK = 5  # frames; fewer black ones inside a scene are a glitch


@dataclass(frozen=True)
class Span:
    """Frames [first, stop)."""

    first: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.first

    def seconds(self) -> str:
        """From when to when, for people."""
        return f"{self.first / FPS:.2f} to {self.stop / FPS:.2f} s"


def discontinuities(thumbnails: np.ndarray, settings: IngestSettings) -> dict[int, float]:
    """Frames at which the picture changes at once and for good, and by how many grey levels.

    thumbnails: (T,h,w) uint8. At both ends of a flash, a frame on one side of the change is like
    one some frames away on the other side; at a cut it is not.
    """
    frames = len(thumbnails)
    after = np.arange(1, frames)
    before = after - 1
    near = _difference(thumbnails, before, after)
    later = _difference(thumbnails, before, np.minimum(after + FLASH, frames - 1))
    earlier = _difference(thumbnails, np.maximum(before - FLASH, 0), after)
    lasts = np.minimum(later, earlier) >= LASTING * near
    stands_out = near >= settings.cut_ratio * _usual(near)
    found = np.flatnonzero(lasts & stands_out & (near >= settings.jump_above))
    return {int(after[i]): float(near[i]) for i in found}


def _usual(changes: np.ndarray) -> np.ndarray:
    """What changes (n,) usually are around each of them: the strongest but for a few.

    Frames that repeat the last one, as in a video of few frames per second, are passed over.
    """
    moving = np.flatnonzero(changes > 0)
    padded = np.pad(changes[moving], AROUND)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * AROUND + 1)
    usual = np.zeros(len(changes))
    usual[moving] = np.partition(around, -1 - OTHER_PEAKS, axis=1)[:, -1 - OTHER_PEAKS]
    return usual


def _difference(thumbnails: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean absolute difference of the thumbnails a and b, index arrays (n,): (n,) float."""
    found = [np.empty(0)]
    for start in range(0, len(a), BLOCK):
        first, second = (thumbnails[index[start : start + BLOCK]] for index in (a, b))
        found.append((np.maximum(first, second) - np.minimum(first, second)).mean((1, 2)))
    return np.concatenate(found)


def black_spans(thumbnails: np.ndarray, settings: IngestSettings) -> list[Span]:
    """Runs of black frames at the ends of the video or too long for a glitch."""
    spans = runs(thumbnails.max((1, 2)) < settings.black_below)
    ends = (0, len(thumbnails))
    return [s for s in spans if s.length >= SHORT_BLACK or s.first == ends[0] or s.stop == ends[1]]


def runs(mask: np.ndarray) -> list[Span]:
    """Spans in which a mask (n,) bool is set."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return [Span(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def scenes(seen: Survey, settings: IngestSettings) -> tuple[list[Span], list[int]]:
    """The scenes of a video, without black frames, and the frames of jump cuts inside them.

    A jump cut is a cut after which the face is still in its place and the picture much the same:
    one take with something left out. It does not end a scene.
    """
    jumps, borders = [], {0, seen.frames}
    for frame, change in discontinuities(seen.thumbnails, settings).items():
        if change < settings.scene_above and _face_stays(seen, frame):
            jumps.append(frame)
        else:
            borders.add(frame)
    black = np.zeros(seen.frames, bool)
    for span in black_spans(seen.thumbnails, settings):
        black[span.first : span.stop] = True
    ordered = sorted(borders)
    found = []
    for first, stop in pairwise(ordered):
        found += [Span(first + s.first, first + s.stop) for s in runs(~black[first:stop])]
    return found, jumps


def _face_stays(seen: Survey, frame: int) -> bool:
    """Whether a face of the last sample before `frame` is where one is after it, if both have one.

    Where one has none it is not the cut that tells: nobody may be seen there for other reasons.
    """
    later = -(-frame // seen.step)
    if later >= len(seen.faces) or not len(seen.faces[later - 1]) or not len(seen.faces[later]):
        return True
    before, after = seen.faces[later - 1], seen.faces[later]
    return any(overlap(a, b) >= SAME_FACE for a in before for b in after)


def stretches(
    scene: Span, seen: Survey, visible: Sequence[int], settings: IngestSettings
) -> list[Span]:
    """Parts of a scene without a gap of more than `max_gap` s between samples that show a face.

    visible: the samples of the scene that do. A part begins and ends at the scene's own ends where
    no longer gap lies between.
    """
    gap = settings.max_gap * FPS
    parts: list[Span] = []
    for sample in visible:
        frame = sample * seen.step
        if parts and frame - parts[-1].stop <= gap:
            parts[-1] = Span(parts[-1].first, frame + 1)
        else:
            parts.append(Span(frame, frame + 1))
    return [
        Span(
            scene.first if part.first - scene.first <= gap else part.first,
            scene.stop if scene.stop - part.stop <= gap else part.stop,
        )
        for part in parts
    ]

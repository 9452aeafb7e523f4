"""Rendering of a driven avatar, frame by frame, with the time of each part."""

import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from d3talker.avatar import Avatar, Rendered, Signals, compose
from d3talker.refine.styleunet import StyleUNet, refine
from d3talker.train.scene import Scene

PARTS = ("fields", "rasterize", "refine")
WARM_UP = 5  # frames that compile and fill caches; they are not timed
REFINED_MARGIN = 9  # px around the head that the refiner may change


class Clock:
    """Seconds of each part, summed over the frames after the warm-up."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self.frames = 0

    def add(self, frame: int, marks: Sequence[float]) -> None:
        """`marks` are the times at the start and after each part of frame number `frame`."""
        if frame < WARM_UP:
            return
        self.frames += 1
        for part, start, stop in zip(PARTS, marks, marks[1:], strict=False):
            self.seconds[part] += stop - start

    def milliseconds(self) -> dict[str, float]:
        """Mean time of each part of a frame."""
        return {part: 1e3 * s / max(1, self.frames) for part, s in self.seconds.items()}

    def fps(self, parts: Sequence[str] = PARTS) -> float | None:
        """Frames per second of `parts`; None for a clip no longer than the warm-up."""
        total = sum(self.seconds[part] for part in parts)
        return self.frames / total if total else None


@torch.no_grad()
def render_frames(
    avatar: Avatar,
    refiner: StyleUNet | None,
    scene: Scene,
    boxes: tuple[np.ndarray, int, int],
    order: Sequence[int],
    signals: Sequence[Signals | None],
    clock: Clock,
) -> Iterator[np.ndarray]:
    """Frames uint8 (S,S,3): pose and backdrop of scene item `order[n]`, moved by `signals[n]`.

    `scene` holds whole frames; `boxes` (origins (n,2), width, height) around the head is where
    the refiner works.
    """
    origins, width, height = boxes
    for n, i in enumerate(order):
        backdrop = torch.from_numpy(scene.backdrops[i]).float() / 255
        x, y = origins[i].tolist()
        window = np.s_[y : y + height, x : x + width]
        marks = [time.perf_counter()]
        face, mouth = avatar.deform(signals[n])
        marks.append(time.perf_counter())
        camera = scene.camera(i).crop(x, y, width, height)
        rendered = compose(face, mouth, camera, backdrop[window])
        marks.append(time.perf_counter())
        head = rendered.image if refiner is None else refined(refiner, rendered)
        marks.append(time.perf_counter())
        clock.add(n, marks)
        backdrop[window] = head
        yield (backdrop.clamp(0, 1) * 255).round().byte().numpy()


def refined(refiner: StyleUNet, rendered: Rendered) -> Tensor:
    """The refined image near the head, the coarse one elsewhere: the backdrop is already true."""
    alpha = 1 - (1 - rendered.face_alpha) * (1 - rendered.mouth_alpha)
    near = F.max_pool2d(alpha[None, None], REFINED_MARGIN, 1, REFINED_MARGIN // 2)[0, 0, ..., None]
    fine = torch.as_tensor(refine(refiner, rendered.image))
    return rendered.image + (fine - rendered.image) * near


def ping_pong(length: int, count: int) -> np.ndarray:
    """Indices 0..length-1, back and forth without a jump, `count` of them."""
    period = max(1, 2 * length - 2)
    position = np.arange(count) % period
    return np.where(position < length, position, period - position)

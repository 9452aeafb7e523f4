"""Rendering of a driven avatar, frame by frame, with the time of each part."""

import operator
import time
from collections.abc import Iterator, Sequence
from functools import reduce

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from d3talker.avatar import MOVING, SETS, Avatar, Rendered, Signals, rows_of
from d3talker.fields.deformation import GeneralField, IndividualField, face_mouth_hook
from d3talker.refine.styleunet import StyleUNet, for_display, refine
from d3talker.splat.gaussians import ATTRIBUTES, activate
from d3talker.train.scene import Scene

FIELDS = ("both", "general", "individual")  # that move the avatar
PARTS = ("fields", "rasterize", "refine")
WARM_UP = 5  # frames that compile and fill caches; they are not timed
REFINED_MARGIN = 4  # px around the head that the refiner may change


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


class FrozenAvatar:
    """An avatar that is trained no more: what is the same in every frame is computed once.

    That is the code of the rest positions, and every attribute that the fields do not change.
    `fields`, one of FIELDS, says which of them move it; an aligner belongs to both together, and an
    avatar without the field that is asked for rests.
    """

    @torch.no_grad()
    def __init__(self, avatar: Avatar, fields: str = "both") -> None:
        self.face, self.mouth = avatar.face.activated(), avatar.mouth.activated()
        own = avatar.individual if isinstance(avatar.individual, IndividualField) else None
        self.general = None if fields == "individual" else avatar.general
        self.individual = None if fields == "general" else own
        face = avatar.face
        self.moving = torch.nonzero(face.mobility > MOVING)[:, 0]
        self.weight = face.mobility[self.moving]
        self.raw = {name: getattr(face, name)[self.moving] for name in ATTRIBUTES}
        means = {"face": self.raw["means"], "mouth": avatar.mouth.means}
        self.individual_codes = codes(self.individual, means)
        self.factor = None  # (M,3) of the face's change of means by the General field
        if fields == "both":
            aligned = {name: avatar.aligned(name, places) for name, places in means.items()}
            means = {name: places for name, (places, _) in aligned.items()}
            self.factor = aligned["face"][1]
        self.general_codes = codes(self.general, means)

    @torch.no_grad()
    def deform(self, signals: Signals | None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What `Avatar.deform` gives: attributes of face and mouth Gaussians in one frame."""
        if signals is None or (self.general is None and self.individual is None):
            return self.face, self.mouth
        changes, moves = [], []
        if (general := self.general) is not None:
            face, mouth = self.general_codes
            shared = general.face.deform(face, signals.general_face, signals.au)
            if self.factor is not None:
                shared = shared._replace(means=shared.means * self.factor)
            hook = face_mouth_hook(shared.means * self.weight[:, None])
            changes.append(shared)
            moves.append(general.mouth.deform(mouth, signals.general_mouth, hook))
        if (individual := self.individual) is not None:
            face, mouth = self.individual_codes
            changes.append(individual.face.deform(face, signals.individual_face, signals.au))
            moves.append(individual.mouth.deform(mouth, signals.individual_mouth))
        changed = {
            name: torch.addcmul(self.raw[name], change, rows_of(self.weight, change))
            for name, change in reduce(operator.add, changes).changes().items()
        }
        face = self.face | {
            name: self.face[name].index_copy(0, self.moving, values)
            for name, values in activate(changed).items()
        }
        return face, self.mouth | {"means": reduce(operator.add, moves, self.mouth["means"])}


def codes(
    field: GeneralField | IndividualField | None, means: dict[str, Tensor]
) -> list[Tensor] | None:
    """Codes (N,36) of the `means` (N,3) of face and mouth in a field, if there is one."""
    return field and [getattr(field, name).encoder(means[name]) for name in SETS]


def now(device: torch.device) -> float:
    """The time in seconds once `device` has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@torch.no_grad()
def render_frames(
    avatar: Avatar,
    refiner: StyleUNet | None,
    scene: Scene,
    boxes: tuple[np.ndarray, int, int],
    order: Sequence[int],
    signals: Sequence[Signals | None],
    clock: Clock,
    fields: str = "both",
) -> Iterator[np.ndarray]:
    """Frames uint8 (S,S,3): pose and backdrop of scene item `order[n]`, moved by `signals[n]`.

    `scene` holds whole frames; `boxes` (origins (n,2), width, height) around the head is where
    the refiner works; without a refiner the coarse frames are given. `fields`: one of FIELDS.
    """
    origins, width, height = boxes
    frozen = FrozenAvatar(avatar, fields)
    refiner = None if refiner is None else for_display(refiner)
    device = avatar.device
    for n, i in enumerate(order):
        backdrop = torch.from_numpy(scene.backdrops[i]).float() / 255
        x, y = origins[i].tolist()
        window = np.s_[y : y + height, x : x + width]
        marks = [now(device)]
        face, mouth = frozen.deform(signals[n])
        marks.append(now(device))
        camera = scene.camera(i).crop(x, y, width, height)
        rendered = avatar.compose(face, mouth, camera, backdrop[window])
        marks.append(now(device))
        head = rendered.image if refiner is None else refined(refiner, rendered)
        marks.append(now(device))
        clock.add(n, marks)
        backdrop[window] = head
        yield (backdrop.clamp(0, 1) * 255).round().byte().numpy()


def refined(refiner: StyleUNet, rendered: Rendered) -> Tensor:
    """The refined image near the head, the coarse one elsewhere: the backdrop is already true."""
    alpha = 1 - (1 - rendered.face_alpha) * (1 - rendered.mouth_alpha)
    return torch.lerp(rendered.image, refine(refiner, rendered.image), spread(alpha)[..., None])


def spread(alpha: Tensor) -> Tensor:
    """The largest alpha (H,W) within the REFINED_MARGIN; max_pool2d takes ten times as long."""
    padded = F.pad(alpha, (REFINED_MARGIN,) * 4)
    for axis, size in enumerate(alpha.shape):
        shifts = range(2 * REFINED_MARGIN + 1)
        padded = reduce(torch.maximum, (padded.narrow(axis, k, size) for k in shifts))
    return padded


def ping_pong(length: int, count: int) -> np.ndarray:
    """Indices 0..length-1, back and forth without a jump, `count` of them."""
    period = max(1, 2 * length - 2)
    position = np.arange(count) % period
    return np.where(position < length, position, period - position)

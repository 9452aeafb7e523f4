"""The training loop: static fit, pre-training and adaptation are settings of it.

Each iteration draws one person and one frame, deforms and renders the head, compares it with the
frame and steps whatever the settings let move.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from d3talker.avatar import Avatar, Drive, Rendered, Signals, compose, move
from d3talker.cli import progress
from d3talker.fields.deformation import GeneralField, parameter_groups
from d3talker.splat.gaussians import ATTRIBUTES, DensityControl, Gaussians
from d3talker.splat.rasterize import GradientStats
from d3talker.train import losses
from d3talker.train.photometric import l1_dssim
from d3talker.train.pose import PoseCorrection
from d3talker.train.scene import Scene, View
from d3talker.train.settings import TrainSettings

LOG_EVERY = 50  # iterations per row of the curves


class CurveRow(NamedTuple):
    """One row of curves.csv: means over the last iterations."""

    stage: str
    iteration: int
    loss: float
    l1: float
    dssim: float
    psnr: float
    gaussians: int


@dataclass
class Person:
    """One person in training: frames, avatar, control signals and their own optimisers."""

    scene: Scene
    avatar: Avatar
    drive: Drive | None = None
    poses: PoseCorrection | None = None
    fields: torch.optim.AdamW | None = None
    density: tuple[GradientStats, GradientStats] | None = None
    _queue: list[int] = field(default_factory=list)

    def next_frame(self, rng: np.random.Generator) -> int:
        """Frames in a shuffled pass without replacement (spec 3.6)."""
        if not self._queue:
            self._queue = rng.permutation(len(self.scene)).tolist()
        return self._queue.pop()


def train(
    people: list[Person],
    general: GeneralField | None,
    settings: TrainSettings,
    stage: str,
    seed: int,
    control: DensityControl | None = None,
) -> list[CurveRow]:
    """Train `people` in place, and `general` if given. Returns the curves.

    People without `drive` stay static. The General field ends as its running mean if
    `settings.ema` is set.
    """
    control = control or DensityControl()
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    shared = _prepare(people, general, settings)
    average = _RunningMean(general, settings.ema) if general and settings.ema else None
    meter, rows = Meter(), []
    for it in progress(range(settings.iterations), settings.iterations, stage):
        k = int(rng.integers(len(people)))
        person = people[k]
        _set_learning_rates(person, shared, settings, it)
        i = person.next_frame(rng)
        view = person.scene.view(i)
        correction = None
        if person.poses is not None and it >= settings.pose_start:
            correction = person.poses.leaf(i)
        signals = _signals(person, i, settings)
        rendered = _render(person, view, signals, _pose(person, i, correction))
        loss, photometric = _loss(rendered, view, settings)
        if signals is not None:
            loss = loss + _field_losses(people, k, i, signals, settings, it)
        loss.backward()
        _step(person, shared)
        if correction is not None:
            done = it / settings.iterations
            person.poses.step(i, correction.grad, settings.attributes_lr_final**done)
        if average:
            average.update()
        if settings.densify and it < control.stop * settings.iterations:
            _densify(person, it, control, settings)
        meter.add(loss, photometric, rendered.image, view.image)
        if (it + 1) % LOG_EVERY == 0 or it + 1 == settings.iterations:
            rows.append(meter.row(stage, it + 1, person.avatar, settings.dssim))
    if average:
        average.apply()
    return rows


def _prepare(
    people: list[Person], general: GeneralField | None, settings: TrainSettings
) -> torch.optim.AdamW | None:
    """Make all optimisers; return the shared one of the General field."""
    rates = {name: getattr(settings, f"{name}_lr") for name in ATTRIBUTES}
    for person in people:
        avatar = person.avatar
        avatar.face.make_optimizer(rates)
        avatar.mouth.make_optimizer(rates)
        if person.drive is not None:
            person.fields = _adamw(
                avatar.individual, settings.individual_table_lr, settings.individual_net_lr
            )
        if settings.densify:
            person.density = (GradientStats(len(avatar.face)), GradientStats(len(avatar.mouth)))
    if general is None:
        return None
    return _adamw(general, settings.general_table_lr, settings.general_net_lr)


def _adamw(module: torch.nn.Module, table_lr: float, net_lr: float) -> torch.optim.AdamW:
    groups = parameter_groups(module, table_lr, net_lr)
    # Gradients of single Gaussians are far below 1e-8, the usual eps (spec 4.7).
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99), eps=1e-15, fused=True)
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer


def _set_learning_rates(
    person: Person, shared: torch.optim.AdamW | None, settings: TrainSettings, it: int
) -> None:
    done = it / settings.iterations
    for gaussians in (person.avatar.face, person.avatar.mouth):
        for group in gaussians.optimizer.param_groups:
            final = (
                settings.means_lr_final
                if group["name"] == "means"
                else settings.attributes_lr_final
            )
            group["lr"] = getattr(settings, f"{group['name']}_lr") * final**done
    warm = min(1.0, (it + 1) / max(1, settings.fields_warmup))
    factor = warm * settings.fields_lr_final**done
    started = it >= settings.individual_start
    for optimizer, scale in ((shared, factor), (person.fields, factor * started)):
        if optimizer is not None:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * scale


def _signals(person: Person, i: int, settings: TrainSettings) -> Signals | None:
    """Control signals of item `i`, with noise on the action units."""
    if person.drive is None:
        return None
    signals = person.avatar.signals(person.drive, int(person.scene.indices[i]))
    noisy = signals.au + settings.au_noise * torch.randn_like(signals.au)
    return signals._replace(au=noisy)


def _pose(person: Person, i: int, correction: Tensor | None) -> Tensor | None:
    if correction is not None or person.poses is None:
        return correction
    return person.poses.values[i]


def _render(person: Person, view: View, signals: Signals | None, pose: Tensor | None) -> Rendered:
    face, mouth = person.avatar.deform(signals)
    if pose is not None:
        face, mouth = (move(a, pose[:3], pose[3:]) for a in (face, mouth))
    return compose(face, mouth, view.camera, view.backdrop, person.density)


def _loss(rendered: Rendered, view: View, settings: TrainSettings) -> tuple[Tensor, Tensor]:
    """(total, photometric part) of one rendered view."""
    photometric = l1_dssim(rendered.image, view.image, settings.dssim)
    silhouette = losses.silhouette(
        rendered.face_alpha, rendered.mouth_alpha, view.inside, view.outside
    )
    hole = losses.open_mouth(rendered.face_alpha, view.mouth)
    return photometric + settings.alpha * silhouette + settings.hole * hole, photometric


def _field_losses(
    people: list[Person], k: int, i: int, signals: Signals, settings: TrainSettings, it: int
) -> Tensor:
    """Size of the deformation, and the contrastive terms between people (spec 3.9, 4.6, 6.4)."""
    avatar = people[k].avatar
    moving = torch.nonzero(avatar.face.mobility > 0.5)[:, 0]
    chosen = moving[torch.randint(len(moving), (settings.contrast_points,))]
    means = avatar.face.means.detach()[chosen]
    general = avatar.general.face(means, signals.motion, signals.au)
    own = avatar.individual.face(means, signals.face_audio, signals.au)
    loss = settings.motion * sum(change.abs().mean() for change in (*general, *own))
    weights = settings.negative_contrast, settings.similarity_contrast
    if it < settings.contrast_start or len(people) == 1 or not any(weights):
        return loss
    speech = people[k].drive.speech[int(people[k].scene.indices[i])][None]
    with torch.no_grad():
        others = [
            p.avatar.individual.face(
                means, p.avatar.individual.face_signal(speech)[0], signals.au
            ).means
            for p in people
        ]
    individuals = [own.means if j == k else other for j, other in enumerate(others)]
    others = others[:k] + others[k + 1 :]
    return (
        loss
        + settings.negative_contrast * losses.negative_contrast(own.means, others)
        + settings.similarity_contrast
        * losses.similarity_contrast(general.means, individuals, k, settings.temperature)
    )


def _step(person: Person, shared: torch.optim.AdamW | None) -> None:
    avatar = person.avatar
    for optimizer in (avatar.face.optimizer, avatar.mouth.optimizer, person.fields, shared):
        if optimizer is not None:
            optimizer.step()
            optimizer.zero_grad()


def _densify(person: Person, it: int, control: DensityControl, settings: TrainSettings) -> None:
    if it < control.start or it % control.interval:
        return
    sets: list[tuple[Gaussians, int]] = [
        (person.avatar.face, settings.max_face),
        (person.avatar.mouth, settings.max_mouth),
    ]
    for (gaussians, limit), stats in zip(sets, person.density, strict=True):
        gradient = stats.gradient_norm / stats.visible.clamp_min(1)
        gaussians.densify(gradient, control, limit)
    person.density = tuple(GradientStats(len(gaussians)) for gaussians, _ in sets)


class _RunningMean:
    """Exponential running mean of a module's parameters, with torch_ema's warm-up (spec 4.7)."""

    def __init__(self, module: torch.nn.Module, decay: float) -> None:
        self._parameters = list(module.parameters())
        self._means = [p.detach().clone() for p in self._parameters]
        self._decay, self._updates = decay, 0

    @torch.no_grad()
    def update(self) -> None:
        self._updates += 1
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        torch._foreach_lerp_(self._means, [p.detach() for p in self._parameters], 1 - decay)

    @torch.no_grad()
    def apply(self) -> None:
        for parameter, mean in zip(self._parameters, self._means, strict=True):
            parameter.copy_(mean)


class Meter:
    """Means of loss, photometric part, L1 and PSNR since the last row."""

    def __init__(self) -> None:
        self._values: list[tuple[float, float, float, float]] = []

    @torch.no_grad()
    def add(self, loss: Tensor, photometric: Tensor, image: Tensor, target: Tensor) -> None:
        error = image.detach() - target
        psnr = -10 * torch.log10(error.square().mean())
        self._values.append(
            (loss.item(), photometric.item(), error.abs().mean().item(), psnr.item())
        )

    def row(self, stage: str, iteration: int, avatar: Avatar, weight: float) -> CurveRow:
        loss, photometric, l1, psnr = np.mean(self._values, axis=0).tolist()
        self._values.clear()
        dssim = (photometric - l1) / weight if weight else 0.0
        count = len(avatar.face) + len(avatar.mouth)
        return CurveRow(stage, iteration, loss, l1, dssim, psnr, count)

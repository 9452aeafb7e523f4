"""The training loop: static fit, pre-training and adaptation are settings of it.

Each iteration draws one person and one frame, deforms and renders the head, compares it with the
frame and steps whatever the phase lets move.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from d3talker.avatar import SETS, Avatar, FaceChange, Rendered, Signals, move
from d3talker.cli import log, progress
from d3talker.fields.deformation import GeneralField, parameter_groups
from d3talker.splat.gaussians import ATTRIBUTES, DensityControl, Gaussians
from d3talker.splat.rasterize import GradientStats
from d3talker.train import losses
from d3talker.train.face_terms import attention_term, geometry_term, perceptual_term
from d3talker.train.person import Person
from d3talker.train.phases import Phase, freeze, in_phase
from d3talker.train.photometric import l1_dssim
from d3talker.train.scene import View
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


def train(
    people: list[Person],
    general: GeneralField | None,
    settings: TrainSettings,
    phase: Phase,
    seed: int,
    control: DensityControl | None = None,
) -> list[CurveRow]:
    """Train the avatars and poses of `people` in place, and `general` if given, for one phase.

    People without `drive` stay static. The General field ends as its running mean if
    `settings.ema` is set. Returns the curves, none if no frame is of use to the phase.
    """
    control = control or DensityControl()
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    people = [seen for person in people if (seen := in_phase(person, phase)) is not None]
    if not people:
        log.info("%s: left out, no frame shows the inner mouth", phase.stage)
        return []
    shared = _prepare(people, general, settings, phase)
    average = _RunningMean(general, settings.ema) if general and settings.ema else None
    meter, rows = Meter(), []
    for it in progress(range(phase.iterations), phase.iterations, phase.stage):
        done = it / phase.iterations
        k = int(rng.integers(len(people)))
        person = people[k]
        _set_learning_rates(person, shared, settings, it, done)
        i = person.next_frame(rng)
        view = person.scene.view(i).to(person.avatar.device)
        correction = None
        if person.poses is not None and phase.trains("poses") and it >= settings.pose_start:
            correction = person.poses.leaf(i)
        signals = _signals(person, i, settings, phase)
        sets, change = _deform(person, i, signals, phase)
        sets = _posed(sets, _pose(person, i, correction))
        rendered = person.avatar.compose(*sets, view.camera, view.backdrop, person.density)
        loss, photometric, image = _loss(rendered, view, settings)
        if change is not None and phase.trains("individual.face"):
            loss = loss + _field_losses(people, k, i, signals, change, settings, it)
            loss = loss + attention_term(person, i, view, sets[0], change, settings)
        if person.geometry is not None and phase.trains("face.means"):
            loss = loss + geometry_term(person, i, view, sets[0], settings, it)
        if person.alexnet is not None:
            loss = loss + perceptual_term(person, i, image, view.image, settings, phase, done)
        loss.backward()
        _step(person, shared)
        if correction is not None:
            person.poses.step(i, correction.grad, settings.attributes_lr_final**done)
        if average:
            average.update()
        if person.density and it < control.stop * phase.iterations:
            _densify(person, it, control, settings, phase)
        meter.add(loss, photometric, image, view.image)
        if (it + 1) % LOG_EVERY == 0 or it + 1 == phase.iterations:
            rows.append(meter.row(phase.stage, it + 1, person.avatar, settings.dssim))
    if average:
        average.apply()
    return rows


def _prepare(
    people: list[Person], general: GeneralField | None, settings: TrainSettings, phase: Phase
) -> torch.optim.AdamW | None:
    """Freeze what the phase does not train and make all optimisers; return the General field's."""
    rates = {name: getattr(settings, f"{name}_lr") for name in ATTRIBUTES}
    for person in people:
        avatar = person.avatar
        freeze(person, phase)
        avatar.face.make_optimizer(rates)
        avatar.mouth.make_optimizer(rates)
        if person.drive is not None:
            person.fields = _adamw(
                avatar.individual, settings.individual_table_lr, settings.individual_net_lr
            )
        person.density = None
        if settings.densify and phase.densify:
            person.density = _new_stats(avatar)
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
    person: Person,
    shared: torch.optim.AdamW | None,
    settings: TrainSettings,
    it: int,
    done: float,
) -> None:
    """Rates of iteration `it`, when the share `done` of the phase is over."""
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


def _signals(person: Person, i: int, settings: TrainSettings, phase: Phase) -> Signals | None:
    """Control signals of item `i`, with noise on the action units."""
    if person.drive is None:
        return None
    frame = int(person.scene.indices[i])
    motion = None if person.motion is None else person.motion[frame]
    signals = person.avatar.signals(person.drive, frame, phase.sets, motion)
    noisy = signals.au + settings.au_noise * torch.randn_like(signals.au)
    return signals._replace(au=noisy)


def _pose(person: Person, i: int, correction: Tensor | None) -> Tensor | None:
    if correction is not None or person.poses is None:
        return correction
    return person.poses.values[i]


def _deform(
    person: Person, i: int, signals: Signals | None, phase: Phase
) -> tuple[tuple[dict[str, Tensor] | None, ...], FaceChange | None]:
    """Attributes of (face, mouth) in item `i`, and what the fields changed of the face.

    None for what the phase does not draw.
    """
    avatar = person.avatar
    if signals is None:
        return avatar.deform(None), None
    face = mouth = change = None
    hook = None if person.hooks is None else person.hooks[i]
    if "face" in phase.sets:
        change = avatar.face_change(signals)
        face, hook = avatar.moved_face(change), avatar.hook(change)
    if "mouth" in phase.sets:
        mouth = avatar.moved_mouth(signals, hook)
    return (face, mouth), change


def _posed(sets: tuple, pose: Tensor | None) -> tuple:
    """The `sets` (face, mouth), of which one may be None, moved by the correction `pose`."""
    if pose is None:
        return sets
    return tuple(s if s is None else move(s, pose[:3], pose[3:]) for s in sets)


def _loss(rendered: Rendered, view: View, settings: TrainSettings) -> tuple[Tensor, Tensor, Tensor]:
    """(total, photometric part, image that was compared) of one rendered view.

    Where a set is not drawn the image is the target's: no colour is asked of the face in the inner
    mouth, nor of the mouth elsewhere (spec 3.8). For the silhouette that set fills its place.
    """
    image, face_alpha, mouth_alpha = rendered
    if mouth_alpha is None:
        image = torch.where(_of_channels(view.mouth), view.image, image)
        mouth_alpha = view.mouth.float()
    elif face_alpha is None:
        image = torch.where(_of_channels(view.mouth), image, view.image)
        face_alpha = (view.inside & ~view.mouth).float()
    photometric = l1_dssim(image, view.image, settings.dssim)
    silhouette = losses.silhouette(face_alpha, mouth_alpha, view.inside, view.outside)
    hole = losses.open_mouth(face_alpha, view.mouth)
    return photometric + settings.alpha * silhouette + settings.hole * hole, photometric, image


def _of_channels(mask: Tensor) -> Tensor:
    """A mask (H,W) for an image (H,W,3); torch is slow with one that is broadcast."""
    return mask[..., None].expand(*mask.shape, 3).contiguous()


def _field_losses(
    people: list[Person],
    k: int,
    i: int,
    signals: Signals,
    change: FaceChange,
    settings: TrainSettings,
    it: int,
) -> Tensor:
    """Size of the deformation, and the contrastive terms between people (spec 3.9, 4.6, 6.4)."""
    size = sum(part.abs().mean() for part in (*change.general, *change.individual))
    loss = settings.motion * size
    weights = settings.negative_contrast, settings.similarity_contrast
    if it < settings.contrast_start or len(people) == 1 or not any(weights):
        return loss
    face = people[k].avatar.face
    mobile = torch.nonzero(face.mobility[change.moving] > 0.5)[:, 0]
    chosen = mobile[torch.randint(len(mobile), (settings.contrast_points,), device=mobile.device)]
    means = face.means.detach()[change.moving[chosen]]
    general, own = change.general.means[chosen], change.individual.means[chosen]
    speech = people[k].drive.speech[int(people[k].scene.indices[i])][None]
    with torch.no_grad():
        others = [
            p.avatar.individual.face(
                means, p.avatar.individual.face_signal(speech)[0], signals.au
            ).means
            for p in people
        ]
    individuals = [own if j == k else other for j, other in enumerate(others)]
    others = others[:k] + others[k + 1 :]
    return (
        loss
        + settings.negative_contrast * losses.negative_contrast(own, others)
        + settings.similarity_contrast
        * losses.similarity_contrast(
            general, individuals, k, settings.temperature, settings.contrast_per_point
        )
    )


def _step(person: Person, shared: torch.optim.AdamW | None) -> None:
    avatar = person.avatar
    for optimizer in (avatar.face.optimizer, avatar.mouth.optimizer, person.fields, shared):
        if optimizer is not None:
            optimizer.step()
            optimizer.zero_grad()


def _densify(
    person: Person, it: int, control: DensityControl, settings: TrainSettings, phase: Phase
) -> None:
    if it < control.start or it % control.interval:
        return
    limits = (settings.max_face, settings.max_mouth)
    sets: list[Gaussians] = [getattr(person.avatar, name) for name in SETS]
    for name, gaussians, stats, limit in zip(SETS, sets, person.density, limits, strict=True):
        if name in phase.sets:
            # In a window, the mean over pixels weighs one more, and its side is a unit of NDC.
            gradient = stats.gradient_norm / stats.visible.clamp_min(1) / person.magnification
            gaussians.densify(gradient, control, limit)
    person.density = _new_stats(person.avatar)


def _new_stats(avatar: Avatar) -> tuple[GradientStats, GradientStats]:
    return tuple(
        GradientStats(len(gaussians), avatar.device) for gaussians in (avatar.face, avatar.mouth)
    )


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

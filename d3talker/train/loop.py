"""The training loop: static fit, pre-training and adaptation are settings of it.

Each iteration draws one person and one frame, deforms and renders the head, compares it with the
frame and steps whatever the phase lets move.
"""

import numpy as np
import torch
from torch import Tensor

from d3talker.avatar import SETS, Avatar, FaceChange, Rendered, Signals, move
from d3talker.cli import log, progress
from d3talker.fields.deformation import (
    GeneralField,
    IndividualAligner,
    control_signal,
    parameter_groups,
)
from d3talker.splat.gaussians import ATTRIBUTES
from d3talker.train import losses
from d3talker.train.curriculum import allowed_frames, frame_scores
from d3talker.train.curves import LOG_EVERY, CurveRow, Meter
from d3talker.train.density import control_density, new_stats
from d3talker.train.face_terms import attention_term, geometry_term, perceptual_term
from d3talker.train.person import Person
from d3talker.train.phases import Phase, freeze, in_phase
from d3talker.train.photometric import l1_dssim
from d3talker.train.run import Run
from d3talker.train.running_mean import RunningMean
from d3talker.train.scene import View
from d3talker.train.schedule import gaussians_factor, general_factor, individual_factor
from d3talker.train.settings import TrainSettings
from d3talker.train.state import PhaseState, avatars_state, load_avatars
from d3talker.train.uncounted import before_green_screen, uncounted


def train(
    people: list[Person],
    general: GeneralField | None,
    settings: TrainSettings,
    phase: Phase,
    seed: int,
    run: Run | None = None,
) -> list[CurveRow]:
    """Train the avatars and poses of `people` in place, and `general` if given, for one phase.

    People without `drive` stay static. The General field ends as its running mean if
    `settings.ema` is set. A phase that `run` has saved goes on from there. Returns the curves of
    the run so far; a phase to which no frame is of use adds none.
    """
    run = run or Run()
    if run.is_over(phase.stage):
        return run.rows
    saved = run.begin(phase.stage)
    if saved:
        load_avatars(people, saved.tensors)
    everybody = people
    people = [seen for person in everybody if (seen := in_phase(person, phase)) is not None]
    if not people:
        log.info("%s: left out, no frame shows the inner mouth", phase.stage)
        return run.rows
    rng, meter = np.random.default_rng(seed), Meter()
    torch.manual_seed(seed)
    shared = _prepare(people, general, settings, phase)
    average = RunningMean(general, settings.ema) if general and settings.ema else None
    state = PhaseState(people, _optimizers(people, shared), rng, meter, average)
    first = state.load(saved) if saved else 0
    for it in progress(range(first, phase.iterations), phase.iterations - first, phase.stage):
        k = int(rng.integers(len(people)))
        person = people[k]
        _set_learning_rates(person, shared, settings, it, phase.iterations)
        i = person.next_frame(rng, _allowed(person, it, settings, phase))
        view = person.scene.view(i).to(person.avatar.device)
        if settings.green and phase.green:
            view = before_green_screen(view, phase.sets)
        correction = None
        if person.poses is not None and phase.trains("poses") and it >= settings.pose_start:
            correction = person.poses.leaf(i)
        signals = _signals(person, i, settings, phase)
        sets, change = _deform(person, i, signals, phase)
        sets = _posed(sets, _pose(person, i, correction))
        rendered = person.avatar.compose(*sets, view.camera, view.backdrop, person.density)
        unseen = uncounted(view, phase.sets, it, settings)
        loss, photometric, image = _loss(rendered, view, unseen, settings)
        if change is not None and phase.trains("individual.face"):
            loss = loss + _field_losses(people, k, i, signals, change, settings, it)
            loss = loss + attention_term(person, i, view, sets[0], change, settings, it)
        if person.geometry is not None and phase.trains("face.means"):
            loss = loss + geometry_term(person, i, view, sets[0], settings, it)
        if person.alexnet is not None:
            done = it / phase.iterations
            loss = loss + perceptual_term(person, i, image, view.image, settings, phase, done)
        loss.backward()
        _step(person, shared)
        if correction is not None:
            factor = gaussians_factor("poses", it, phase.iterations, settings)
            person.poses.step(i, correction.grad, factor)
        if average:
            average.update()
        if person.density:
            control_density(person, it, settings, phase)
        meter.add(loss, photometric, image, view.image)
        if (it + 1) % LOG_EVERY == 0 or it + 1 == phase.iterations:
            run.rows.append(meter.row(phase.stage, it + 1, person.avatar, settings.dssim))
        if run.is_due(it + 1, settings.checkpoint_every):
            tensors = avatars_state(everybody) | state.tensors()
            run.save(phase.stage, it + 1, tensors, state.values())
    if average:
        average.apply()
    run.end(phase.stage)
    return run.rows


def _prepare(
    people: list[Person], general: GeneralField | None, settings: TrainSettings, phase: Phase
) -> torch.optim.AdamW | None:
    """Freeze what the phase does not train and make all optimisers; return the General field's."""
    rates = {name: getattr(settings, f"{name}_lr") for name in ATTRIBUTES}
    for person in people:
        avatar = person.avatar
        freeze(person, phase)
        person.queue.clear()
        avatar.face.make_optimizer(rates)
        avatar.mouth.make_optimizer(rates)
        if avatar.individual is not None:
            own = (getattr(settings, f"{_own(avatar)}_{of}_lr") for of in ("table", "net"))
            person.fields = _adamw(avatar.individual, *own)
        person.scores = None
        if settings.curriculum.span and phase.curriculum and person.drive is not None:
            au = person.drive.au.cpu().numpy()[person.scene.indices]
            person.scores = frame_scores(person.scene.mouths, au)
        person.density = None
        if settings.densify and phase.densify:
            person.density = new_stats(avatar)
    if general is None:
        return None
    return _adamw(general, settings.general_table_lr, settings.general_net_lr)


def _own(avatar: Avatar) -> str:
    """Prefix of the settings for what the person alone has: a field or an aligner."""
    return "aligner" if isinstance(avatar.individual, IndividualAligner) else "individual"


def _optimizers(
    people: list[Person], shared: torch.optim.AdamW | None
) -> dict[str, torch.optim.Optimizer]:
    """The optimisers of a phase by name."""
    named = {"general": shared}
    for k, person in enumerate(people):
        named[f"{k}.fields"] = person.fields
        named |= {f"{k}.{name}": getattr(person.avatar, name).optimizer for name in SETS}
    return {name: optimizer for name, optimizer in named.items() if optimizer is not None}


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
    iterations: int,
) -> None:
    """Rates of iteration `it` of `iterations`."""
    for gaussians in (person.avatar.face, person.avatar.mouth):
        for group in gaussians.optimizer.param_groups:
            factor = gaussians_factor(group["name"], it, iterations, settings)
            group["lr"] = getattr(settings, f"{group['name']}_lr") * factor
    start = getattr(settings, f"{_own(person.avatar)}_start")
    for optimizer, factor in (
        (shared, general_factor(it, iterations, settings)),
        (person.fields, individual_factor(it, iterations, settings, start)),
    ):
        if optimizer is not None:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor


def _allowed(person: Person, it: int, settings: TrainSettings, phase: Phase) -> np.ndarray | None:
    """Items (n,) bool of which the curriculum lets one be drawn; None: all."""
    if person.scores is None:
        return None
    return allowed_frames(person.scores, it, settings.curriculum, phase.sets == ("mouth",))


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


def _loss(
    rendered: Rendered, view: View, unseen: Tensor | None, settings: TrainSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """(total, photometric part, image that was compared) of one rendered view.

    Where pixels are `unseen` (h,w) the image is the target's. For the silhouette a set that is not
    drawn fills its place.
    """
    image, face_alpha, mouth_alpha = rendered
    if unseen is not None:
        image = torch.where(_of_channels(unseen), view.image, image)
    if mouth_alpha is None:
        mouth_alpha = view.mouth.float()
    elif face_alpha is None:
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
    size = sum(part.abs().mean() for part in change.parts())
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
        fields = [p.avatar.individual for p in people]
        # What follows motion instead of the audio is the same for all.
        followed = signals.individual_face[None]
        others = [
            field.face(means, control_signal(field, "face", followed, speech)[0], signals.au).means
            for field in fields
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

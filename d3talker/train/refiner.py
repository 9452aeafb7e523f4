"""Training of the coarse-to-fine refiner on frames that an avatar renders."""

import numpy as np
import torch

from d3talker.avatar import Rendered, Signals, move
from d3talker.cli import progress
from d3talker.metrics.alexnet import AlexNet, feature_distance
from d3talker.refine.styleunet import StyleUNet
from d3talker.train.checkpoint import load_module, part
from d3talker.train.curves import LOG_EVERY, CurveRow, Meter
from d3talker.train.person import Person
from d3talker.train.photometric import l1_dssim
from d3talker.train.run import Run
from d3talker.train.scene import View
from d3talker.train.settings import RefinerSettings
from d3talker.train.state import PhaseState, avatars_state, load_avatars, prefixed


def train_refiner(
    refiner: StyleUNet,
    people: list[Person],
    settings: RefinerSettings,
    stage: str,
    seed: int,
    run: Run | None = None,
    alexnet: AlexNet | None = None,
) -> list[CurveRow]:
    """Train `refiner` in place on the coarse frames of `people`: L_C2F, eq. (11), with D-SSIM.

    The avatars are frozen and rendered anew with noise on the pose, so that the refiner does not
    see cleaner frames than at test time. The refiner has to be where they are. `alexnet` gives the
    perceptual part, if `settings` weigh it. A training that `run` has saved goes on from there.
    Returns the curves of the run so far.
    """
    run = run or Run()
    saved = run.begin(stage)
    if saved:
        load_avatars(people, saved.tensors)
        load_module(refiner, part(saved.tensors, "refiner"))
    if alexnet is not None:
        alexnet.to(people[0].avatar.device)
    rng, meter = np.random.default_rng(seed), Meter()
    torch.manual_seed(seed)
    signals = [person.avatar.all_signals(person.drive) for person in people]
    optimizer = torch.optim.Adam(refiner.parameters(), lr=settings.lr, betas=(0.9, 0.99))
    state = PhaseState(people, {"refiner": optimizer}, rng, meter)
    first = state.load(saved) if saved else 0
    for it in progress(range(first, settings.iterations), settings.iterations - first, stage):
        optimizer.param_groups[0]["lr"] = settings.lr * settings.lr_final ** (
            it / settings.iterations
        )
        k = int(rng.integers(len(people)))
        i = people[k].next_frame(rng)
        view = people[k].scene.view(i).to(people[k].avatar.device)
        coarse = _coarse(people[k], i, view, signals[k], settings)
        fine = refiner(coarse.image.permute(2, 0, 1)[None])[0].permute(1, 2, 0)
        photometric = l1_dssim(fine.contiguous(), view.image, settings.dssim)
        loss = photometric
        if alexnet is not None:
            pictures = (picture.permute(2, 0, 1)[None] for picture in (fine, view.image))
            loss = loss + settings.perceptual * feature_distance(alexnet, *pictures)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        meter.add(loss, photometric, fine, view.image)
        if (it + 1) % LOG_EVERY == 0 or it + 1 == settings.iterations:
            run.rows.append(meter.row(stage, it + 1, people[k].avatar, settings.dssim))
        if run.is_due(it + 1, settings.checkpoint_every):
            tensors = avatars_state(people) | prefixed("refiner", refiner.state_dict())
            run.save(stage, it + 1, tensors | state.tensors(), state.values())
    run.end(stage)
    return run.rows


@torch.no_grad()
def _coarse(
    person: Person, i: int, view: View, signals: Signals, settings: RefinerSettings
) -> Rendered:
    frame, device = int(person.scene.indices[i]), person.avatar.device
    face, mouth = person.avatar.deform(signals.at(frame))
    rotation = settings.pose_noise_rotation * torch.randn(3, device=device)
    translation = settings.pose_noise_translation * torch.randn(3, device=device)
    face, mouth = (move(a, rotation, translation) for a in (face, mouth))
    return person.avatar.compose(face, mouth, view.camera, view.backdrop)

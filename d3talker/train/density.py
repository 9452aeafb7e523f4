"""Gaussians are added and removed while a person is trained (spec 3.4)."""

import torch
from torch import Tensor

from d3talker.avatar import SETS, Avatar
from d3talker.splat.rasterize import GradientStats
from d3talker.train.person import Person
from d3talker.train.phases import Phase
from d3talker.train.settings import TrainSettings

# Gaussians that show the green screen: red and blue below the first, green above the second.
GREEN_SCREEN = {"face": (30 / 255, 225 / 255), "mouth": (20 / 255, 235 / 255)}


def new_stats(avatar: Avatar) -> tuple[GradientStats, GradientStats]:
    """Empty statistics of the face's and the mouth's Gaussians."""
    return tuple(GradientStats(len(getattr(avatar, name)), avatar.device) for name in SETS)


def control_density(person: Person, it: int, settings: TrainSettings, phase: Phase) -> None:
    """Change the number of Gaussians after iteration `it`, where the settings ask for it."""
    control = settings.density
    stop = control.stop * phase.iterations
    if it >= stop:
        return
    if it >= control.start and it % control.interval == 0:
        for name, stats in zip(SETS, person.density, strict=True):
            if name in phase.sets:
                _change(person, name, stats, it, it / stop, settings)
        person.density = new_stats(person.avatar)
    if control.reset_interval and it and it % control.reset_interval == 0:
        for name in phase.sets:
            getattr(person.avatar, name).limit_opacities(control.reset_opacity)


def _change(
    person: Person, name: str, stats: GradientStats, it: int, share: float, settings: TrainSettings
) -> None:
    """Densify and prune the set `name` when the `share` of the way to the last change is gone."""
    control, gaussians = settings.density, getattr(person.avatar, name)
    keep = gaussians.opacity() > control.min_opacity + control.opacity_growth * share
    if it > control.large_start:
        keep &= gaussians.size() < control.max_size
        if control.max_radius:
            keep &= stats.radius <= control.max_radius * person.scene.size / 512
    if settings.green:
        keep &= ~shows_green_screen(gaussians.colors, name)
    # In a window, the mean over pixels weighs one more, and its side is a unit of NDC.
    gradient = stats.gradient_norm / stats.visible.clamp_min(1) / person.magnification
    threshold = {"face": control.gradient, "mouth": control.mouth_gradient}[name]
    limit = {"face": settings.max_face, "mouth": settings.max_mouth}[name]
    gaussians.densify(gradient, threshold, control.split_size, limit, keep)


def shows_green_screen(colors: Tensor, name: str) -> Tensor:
    """Which Gaussians of the set `name` have the green of the screen: (N,) bool of (N,3)."""
    others, green = GREEN_SCREEN[name]
    is_dark = colors.detach()[:, [0, 2]] < others
    return is_dark.all(dim=1) & torch.gt(colors.detach()[:, 1], green)

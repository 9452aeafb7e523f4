"""Phases of training as data: which Gaussians are drawn in each and what may change."""

from dataclasses import dataclass, replace

import torch

from d3talker.avatar import SETS
from d3talker.splat.gaussians import ATTRIBUTES
from d3talker.train.person import Person
from d3talker.train.pose import corrected
from d3talker.train.settings import AdaptSettings


@dataclass(frozen=True)
class Phase:
    """A stretch of training with schedules of its own. The defaults train everything together.

    `trained` holds names of tensors as a checkpoint has them, or what such names begin with.
    """

    stage: str  # its name in the curves and among the training seconds
    iterations: int
    sets: tuple[str, ...] = SETS  # Gaussians that are drawn
    trained: tuple[str, ...] = ("face", "mouth", "general", "individual", "poses")
    densify: bool = True  # these three where the settings ask for it
    curriculum: bool = True
    green: bool = True

    def trains(self, name: str) -> bool:
        """Whether the tensor `name`, or all tensors whose names begin so, may change."""
        return any(f"{name}.".startswith(f"{trained}.") for trained in self.trained)


def adapt_phases(settings: AdaptSettings) -> list[Phase]:
    """Face, mouth, both together, fuse (spec 4.9, 6.5), without those of no iterations."""
    fields = ("general.face_signal", "general.face", "individual.face_signal", "individual.face")
    face = ("face", "general.signal", *fields)
    mouth = ("mouth", *(name.replace("face", "mouth") for name in fields))
    colors = ("face.colors", "face.opacities", "mouth.colors")
    as_it_is = {"densify": False, "curriculum": False, "green": False}
    phases = [
        Phase("adapt_face", settings.face_iterations, ("face",), (*face, "poses")),
        Phase("adapt_mouth", settings.mouth_iterations, ("mouth",), mouth),
        Phase("adapt", settings.iterations),
        Phase("adapt_fuse", settings.fuse_iterations, trained=colors, **as_it_is),
    ]
    return [phase for phase in phases if phase.iterations]


def freeze(person: Person, phase: Phase) -> None:
    """Let gradients reach only what the phase trains."""
    avatar = person.avatar
    for name in SETS:
        for attribute in ATTRIBUTES:
            tensor = getattr(getattr(avatar, name), attribute)
            tensor.requires_grad_(phase.trains(f"{name}.{attribute}"))
    for name in ("general", "individual"):
        if (module := getattr(avatar, name)) is not None:
            for parameter_name, parameter in module.named_parameters():
                parameter.requires_grad_(phase.trains(f"{name}.{parameter_name}"))


def in_phase(person: Person, phase: Phase) -> Person | None:
    """`person` as the phase sees them; None if no frame is of use to it.

    What is frozen in the phase is computed here once: F_M, and for a phase of the mouth alone the
    face-mouth hook. Such a phase works on small windows around the mouth, at the poses as they are.
    """
    if person.drive is None or phase.trains("general.signal"):
        return person
    motion = person.avatar.all_motion(person.drive)
    if "face" in phase.sets:
        return replace(person, motion=motion)
    scene = person.scene
    if person.poses is not None:
        poses = corrected(scene.rotations, scene.translations, person.poses.values.cpu().numpy())
        scene = replace(scene, rotations=poses[0], translations=poses[1])
    windows = scene.mouth_windows()
    if windows is None:
        return None
    return replace(
        person,
        scene=windows,
        poses=None,
        motion=motion,
        hooks=_hooks(person, windows.indices.tolist()),
        magnification=(scene.images[0].size / windows.images[0].size) ** 0.5,
    )


@torch.no_grad()
def _hooks(person: Person, frames: list[int]) -> torch.Tensor:
    """Face-mouth hook (n,3) of each of `frames` (spec 4.4)."""
    avatar = person.avatar
    signals = avatar.all_signals(person.drive)
    changes = (avatar.face_change(signals.at(frame)) for frame in frames)
    return torch.stack([avatar.hook(change) for change in changes])

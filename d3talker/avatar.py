"""The avatar: two sets of Gaussians, the fields that move them, and how a frame is composed."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from d3talker.fields.deformation import GeneralField, IndividualField, face_mouth_hook
from d3talker.fields.signals import (
    MOTION_WINDOW,
    motion_differences,
    speech_windows,
)
from d3talker.splat.gaussians import Gaussians
from d3talker.splat.rasterize import Camera, GradientStats, rasterize

MOVING = 0.01  # Gaussians of less mobility are not asked of the fields


class Signals(NamedTuple):
    """What moves the head in one frame: smoothed features (32,) of each branch, and the eyes."""

    motion: Tensor  # F_M (32,)
    face_audio: Tensor  # F_A of the face (32,)
    mouth_audio: Tensor  # F_A of the mouth (32,)
    au: Tensor  # (6,)


@dataclass
class Drive:
    """Control signals of a clip, ready for the fields.

    motion (T,3,128,128) PNCC differences, speech (T,8,29,16) feature windows, au (T,6).
    """

    motion: Tensor
    speech: Tensor
    au: Tensor

    @classmethod
    def from_artifacts(cls, motion: dict, speech: dict, au) -> "Drive":
        """From the arrays of a motion and a speech artifact, cut to the shorter, and `au` (T,6)."""
        frames = min(len(motion["pncc"]), len(speech["features"]), len(au))
        differences = motion_differences(
            torch.from_numpy(motion["pncc"][:frames]), torch.from_numpy(motion["canonical"])
        )
        features = torch.from_numpy(speech["features"][:frames]).float()
        return cls(differences, speech_windows(features), torch.as_tensor(au[:frames]).float())

    def __len__(self) -> int:
        return len(self.au)

    def motion_window(self, frame: int) -> Tensor:
        """PNCC differences around `frame`, edges repeated: (1,9,3,128,128)."""
        half = MOTION_WINDOW // 2
        index = torch.arange(frame - half, frame + half + 1).clamp(0, len(self) - 1)
        return self.motion[index][None]


class Rendered(NamedTuple):
    """A composed frame (H,W,3) and the alpha (H,W) of each Gaussian set."""

    image: Tensor
    face_alpha: Tensor
    mouth_alpha: Tensor


class Avatar:
    """Face and mouth Gaussians in the rest pose and the fields that deform them.

    Without fields the head is static.
    """

    def __init__(
        self,
        face: Gaussians,
        mouth: Gaussians,
        general: GeneralField | None = None,
        individual: IndividualField | None = None,
    ) -> None:
        self.face, self.mouth = face, mouth
        self.general, self.individual = general, individual

    def signals(self, drive: Drive, frame: int) -> Signals:
        """Control signals of one frame, with gradients to the signal networks."""
        speech = drive.speech[frame][None]
        return Signals(
            self.general.signal(drive.motion_window(frame))[0],
            self.individual.face_signal(speech)[0],
            self.individual.mouth_signal(speech)[0],
            drive.au[frame],
        )

    @torch.no_grad()
    def all_signals(self, drive: Drive) -> Signals:
        """Control signals of a whole clip: each (T, ...)."""
        return Signals(
            self.general.signal.sequence(drive.motion),
            self.individual.face_signal(drive.speech),
            self.individual.mouth_signal(drive.speech),
            drive.au,
        )

    def deform(self, signals: Signals | None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Attributes of face and mouth Gaussians, ready for `rasterize`, in one frame."""
        if signals is None:
            return self.face.activated(), self.mouth.activated()
        moving = torch.nonzero(self.face.mobility > MOVING)[:, 0]
        means = self.face.means.detach()[moving]
        general = self.general.face(means, signals.motion, signals.au)
        individual = self.individual.face(means, signals.face_audio, signals.au)
        weight = self.face.mobility[moving, None]
        changes = {}
        for name, change in (general + individual)._asdict().items():
            still = torch.zeros_like(getattr(self.face, name))
            changes[name] = still.index_copy(0, moving, change * weight)
        mouth_means = self.mouth.means.detach()
        mouth_change = self.general.mouth(
            mouth_means, signals.motion, face_mouth_hook(general.means * weight)
        ) + self.individual.mouth(mouth_means, signals.mouth_audio)
        return self.face.activated(changes), self.mouth.activated({"means": mouth_change})


def compose(
    face: dict[str, Tensor],
    mouth: dict[str, Tensor],
    camera: Camera,
    backdrop: Tensor,
    stats: tuple[GradientStats, GradientStats] | None = None,
) -> Rendered:
    """Rasterize both sets and lay face over mouth over `backdrop` (H,W,3), spec 3.5."""
    face_stats, mouth_stats = stats or (None, None)
    inner = rasterize(**mouth, camera=camera, stats=mouth_stats)
    outer = rasterize(**face, camera=camera, stats=face_stats)
    behind = inner.color + backdrop * (1 - inner.alpha[..., None])
    image = outer.color + behind * (1 - outer.alpha[..., None])
    return Rendered(image, outer.alpha, inner.alpha)


def move(attributes: dict[str, Tensor], rotation: Tensor, translation: Tensor) -> dict[str, Tensor]:
    """Move means by a small head-space pose change: rotation vector (3,) and translation (3,)."""
    means = attributes["means"] @ torch.linalg.matrix_exp(skew(rotation)).T + translation
    return attributes | {"means": means}


def skew(vector: Tensor) -> Tensor:
    """(3,) -> the matrix (3,3) of the cross product with it."""
    x, y, z = vector
    zero = torch.zeros_like(x)
    return torch.stack(
        [torch.stack([zero, -z, y]), torch.stack([z, zero, -x]), torch.stack([-y, x, zero])]
    )

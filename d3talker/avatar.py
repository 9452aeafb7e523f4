"""The avatar: two sets of Gaussians, the fields that move them, and how a frame is composed."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from d3talker import backends
from d3talker.fields.backends import use_encoding
from d3talker.fields.deformation import (
    FaceDeformation,
    GeneralField,
    IndividualField,
    face_mouth_hook,
)
from d3talker.fields.signals import (
    MOTION_WINDOW,
    motion_differences,
    speech_windows,
)
from d3talker.splat.backends import rasterizer
from d3talker.splat.gaussians import Gaussians
from d3talker.splat.rasterize import Camera, GradientStats, rasterize

SETS = ("face", "mouth")  # the two sets of Gaussians
MOVING = 0.01  # Gaussians of less mobility are not asked of the fields


class Signals(NamedTuple):
    """What moves the head in one frame: smoothed features (32,) of each branch, and the eyes.

    Where only one set of Gaussians is drawn, the other's audio may be None.
    """

    motion: Tensor  # F_M (32,)
    face_audio: Tensor | None  # F_A of the face (32,)
    mouth_audio: Tensor | None  # F_A of the mouth (32,)
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

    def to(self, device: torch.device | str) -> "Drive":
        """The same signals on `device`."""
        return Drive(self.motion.to(device), self.speech.to(device), self.au.to(device))

    def motion_window(self, frame: int) -> Tensor:
        """PNCC differences around `frame`, edges repeated: (1,9,3,128,128)."""
        half = MOTION_WINDOW // 2
        index = torch.arange(frame - half, frame + half + 1).clamp(0, len(self) - 1)
        return self.motion[index][None]


class FaceChange(NamedTuple):
    """What the two fields change of the M face Gaussians that may move."""

    moving: Tensor  # (M,) their indices
    general: FaceDeformation
    individual: FaceDeformation


class Rendered(NamedTuple):
    """A composed frame (H,W,3) and the alpha (H,W) of each set; None of one that is not drawn."""

    image: Tensor
    face_alpha: Tensor | None
    mouth_alpha: Tensor | None


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
        self.rasterize = rasterize  # `use_backends` sets another

    @property
    def device(self) -> torch.device:
        """Where its tensors are, and what goes with them has to be."""
        return self.face.means.device

    def use_backends(self, rasterizer_name: str, encoding_name: str) -> None:
        """Draw and look up by these backends, on the device that they need.

        To be called when the fields are there and before training. Raises InputError for a backend
        that cannot run here.
        """
        self.rasterize = rasterizer(rasterizer_name)
        device = backends.device({"rasterizer": rasterizer_name, "encoding": encoding_name})
        self.face.to(device)
        self.mouth.to(device)
        for field in (self.general, self.individual):
            if field is not None:
                use_encoding(field.to(device), encoding_name)

    def signals(
        self,
        drive: Drive,
        frame: int,
        sets: tuple[str, ...] = SETS,
        motion: Tensor | None = None,
    ) -> Signals:
        """Control signals of `sets` in one frame, with gradients to the signal networks.

        `motion` is F_M (32,) of the frame where it is known already.
        """
        if motion is None:
            motion = self.general.signal(drive.motion_window(frame))[0]
        speech = drive.speech[frame][None]
        audio = {"face": self.individual.face_signal, "mouth": self.individual.mouth_signal}
        return Signals(
            motion,
            *(audio[name](speech)[0] if name in sets else None for name in SETS),
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
        change = self.face_change(signals)
        return self.moved_face(change), self.moved_mouth(signals, self.hook(change))

    def face_change(self, signals: Signals) -> FaceChange:
        """What the fields change of the face Gaussians, before mobility weighs it."""
        moving = torch.nonzero(self.face.mobility > MOVING)[:, 0]
        means = self.face.means.detach()[moving]
        return FaceChange(
            moving,
            self.general.face(means, signals.motion, signals.au),
            self.individual.face(means, signals.face_audio, signals.au),
        )

    def moved_face(self, change: FaceChange) -> dict[str, Tensor]:
        """Attributes of the face Gaussians, eq. (8)."""
        weight = self.face.mobility[change.moving, None]
        changes = {}
        for name, values in (change.general + change.individual)._asdict().items():
            still = torch.zeros_like(getattr(self.face, name))
            changes[name] = still.index_copy(0, change.moving, values * weight)
        return self.face.activated(changes)

    def hook(self, change: FaceChange) -> Tensor:
        """The face's vertical motion (3,) that the mouth follows, in cm, without gradient."""
        return face_mouth_hook(change.general.means * self.face.mobility[change.moving, None])

    def moved_mouth(self, signals: Signals, hook: Tensor) -> dict[str, Tensor]:
        """Attributes of the mouth Gaussians, whose means alone move."""
        means = self.mouth.means.detach()
        general = self.general.mouth(means, signals.motion, hook)
        return self.mouth.activated(
            {"means": general + self.individual.mouth(means, signals.mouth_audio)}
        )

    def compose(
        self,
        face: dict[str, Tensor] | None,
        mouth: dict[str, Tensor] | None,
        camera: Camera,
        backdrop: Tensor,
        stats: tuple[GradientStats, GradientStats] | None = None,
    ) -> Rendered:
        """Rasterize both sets and lay face over mouth over `backdrop` (H,W,3), spec 3.5.

        A set that is None is left out. The image is where the avatar is.
        """
        image, alphas = backdrop.to(self.device), {}
        of_face, of_mouth = stats or (None, None)
        for name, attributes, gathered in (("mouth", mouth, of_mouth), ("face", face, of_face)):
            if attributes is not None:
                layer = self.rasterize(
                    **attributes, camera=camera, background=image, stats=gathered
                )
                image, alphas[name] = layer.color, layer.alpha
        return Rendered(image, alphas.get("face"), alphas.get("mouth"))


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

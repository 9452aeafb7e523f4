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
    IndividualAligner,
    IndividualField,
    control_signal,
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
    """What moves the head in one frame: the smoothed feature that each part of each field follows,
    F_M or F_A (32,), and the eyes. Of a whole clip (T,32) and (T,6).

    None where there is no such field; where only one set of Gaussians is drawn, the audio features
    of the other may be None.
    """

    general_face: Tensor | None
    general_mouth: Tensor | None
    individual_face: Tensor | None
    individual_mouth: Tensor | None
    au: Tensor  # (6,)

    def at(self, frame: int) -> "Signals":
        """Those of one frame of a clip."""
        return Signals(*(None if signal is None else signal[frame] for signal in self))


@dataclass
class Drive:
    """Control signals of a clip, ready for the fields.

    motion (T,3,128,128) PNCC differences, speech (T,8,C,W) feature windows of C channels, au (T,6).
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

    @property
    def speech_channels(self) -> int:
        """Channels of the speech features, which the audio nets must have."""
        return self.speech.shape[2]

    def to(self, device: torch.device | str) -> "Drive":
        """The same signals on `device`."""
        return Drive(self.motion.to(device), self.speech.to(device), self.au.to(device))

    def motion_window(self, frame: int) -> Tensor:
        """PNCC differences around `frame`, edges repeated: (1,9,3,128,128)."""
        half = MOTION_WINDOW // 2
        index = torch.arange(frame - half, frame + half + 1).clamp(0, len(self) - 1)
        return self.motion[index][None]


class FaceChange(NamedTuple):
    """What the fields change of the M face Gaussians that may move."""

    moving: Tensor  # (M,) their indices
    general: FaceDeformation
    individual: FaceDeformation | None  # without an Individual field
    offset: Tensor | None  # (M,3) m, where an aligner shifts what the General field is asked

    def total(self) -> FaceDeformation:
        """Eq. (8)."""
        return self.general if self.individual is None else self.general + self.individual

    def parts(self) -> list[Tensor]:
        """Everything that the fields and the aligner give."""
        fields = [self.general] + ([] if self.individual is None else [self.individual])
        parts = [values for field in fields for values in field.changes().values()]
        return parts + ([] if self.offset is None else [self.offset])


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
        individual: IndividualField | IndividualAligner | None = None,
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
        if motion is not None:
            motion = motion[None]
        elif self.general.signal is not None:
            motion = self.general.signal(drive.motion_window(frame))
        return self._signals(motion, drive.speech[frame][None], drive.au[frame][None], sets).at(0)

    @torch.no_grad()
    def all_signals(self, drive: Drive) -> Signals:
        """Control signals of a whole clip: each (T, ...)."""
        return self._signals(self.all_motion(drive), drive.speech, drive.au, SETS)

    @torch.no_grad()
    def all_motion(self, drive: Drive) -> Tensor | None:
        """F_M (T,32) of a whole clip; None if no field follows facial motion."""
        return None if self.general.signal is None else self.general.signal.sequence(drive.motion)

    def _signals(
        self, motion: Tensor | None, speech: Tensor, au: Tensor, sets: tuple[str, ...]
    ) -> Signals:
        """From F_M (B,32), speech (B,8,C,W) and action units (B,6)."""
        individual = self.individual if isinstance(self.individual, IndividualField) else None
        return Signals(
            *(
                control_signal(field, name, motion, speech)
                if field is not None and name in sets
                else None
                for field in (self.general, individual)
                for name in SETS
            ),
            au,
        )

    def deform(self, signals: Signals | None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Attributes of face and mouth Gaussians, ready for `rasterize`, in one frame."""
        if signals is None:
            return self.face.activated(), self.mouth.activated()
        change = self.face_change(signals)
        return self.moved_face(change), self.moved_mouth(signals, self.hook(change))

    def aligned(self, name: str, means: Tensor) -> tuple[Tensor, Tensor | None]:
        """Where (N,3) the General field is asked for Gaussians of set `name` at `means` (N,3), m.

        An aligner shifts them, and gives the factor (N,3) of the answer (spec 4.5).
        """
        if not isinstance(self.individual, IndividualAligner):
            return means, None
        offset, factor = getattr(self.individual, name)(means)
        return means + offset, factor

    def face_change(self, signals: Signals) -> FaceChange:
        """What the fields change of the face Gaussians, before mobility weighs it."""
        moving = torch.nonzero(self.face.mobility > MOVING)[:, 0]
        means = self.face.means.detach()[moving]
        asked, factor = self.aligned("face", means)
        general = self.general.face(asked, signals.general_face, signals.au)
        individual = offset = None
        if factor is not None:
            general, offset = general._replace(means=general.means * factor), asked - means
        if isinstance(self.individual, IndividualField):
            individual = self.individual.face(means, signals.individual_face, signals.au)
        return FaceChange(moving, general, individual, offset)

    def moved_face(self, change: FaceChange) -> dict[str, Tensor]:
        """Attributes of the face Gaussians, eq. (8)."""
        weight = self.face.mobility[change.moving]
        changes = {}
        for name, values in change.total().changes().items():
            still = torch.zeros_like(getattr(self.face, name))
            changes[name] = still.index_copy(0, change.moving, values * rows_of(weight, values))
        return self.face.activated(changes)

    def hook(self, change: FaceChange) -> Tensor:
        """The face's vertical motion (3,) that the mouth follows, in cm, without gradient."""
        return face_mouth_hook(change.general.means * self.face.mobility[change.moving, None])

    def moved_mouth(self, signals: Signals, hook: Tensor) -> dict[str, Tensor]:
        """Attributes of the mouth Gaussians, whose means alone move."""
        means = self.mouth.means.detach()
        asked, _ = self.aligned("mouth", means)  # the factor is the face's alone (spec 4.5)
        change = self.general.mouth(asked, signals.general_mouth, hook)
        if isinstance(self.individual, IndividualField):
            change = change + self.individual.mouth(means, signals.individual_mouth)
        return self.mouth.activated({"means": change})

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


def rows_of(weight: Tensor, values: Tensor) -> Tensor:
    """`weight` (N,) in the shape that weighs the rows of `values` (N,...)."""
    return weight.view(-1, *(1,) * (values.ndim - 1))


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

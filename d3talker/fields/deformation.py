"""Deformation fields: position and control signal of a Gaussian -> change of its raw attributes.

The General field is shared by all people and follows facial motion; an Individual field belongs
to one person and follows the audio (eq. 6, 7). Both have a face part (means, quaternions, scales)
and a mouth part (means only). All MLPs are without bias, so that a point outside the encoder's
bound is not deformed (spec 4.1 to 4.5, 6.3). Variants follow other signals, change other attributes
or have an aligner instead of an Individual field: see architecture.py.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from d3talker.fields.architecture import GENERAL_ATTRIBUTES, Architecture
from d3talker.fields.encoding import TriPlaneEncoder
from d3talker.fields.face_kernels import FaceNetworks
from d3talker.fields.signals import (
    SIGNAL_DIM,
    SPEECH_CHANNELS,
    AudioSignal,
    MotionSignal,
)

AU_DIM = 6  # AU01, AU04, AU05, AU06, AU07, AU45
MEAN_SCALE = 1e-2  # metres per unit of network output
COLOR_SCALE = 1e-1 * 0.28209479  # an SH coefficient per unit (spec 6.7), as RGB of degree 0
HOOK_RANK = 10  # the hook reads the 10th largest and smallest vertical motion of the face


class FaceDeformation(NamedTuple):
    """Changes of raw attributes of N Gaussians; None of one that the field leaves alone."""

    means: Tensor  # (N,3) m
    quats: Tensor | None = None  # (N,4)
    scales: Tensor | None = None  # (N,3) before softplus
    opacities: Tensor | None = None  # (N,) before sigmoid
    colors: Tensor | None = None  # (N,3) RGB

    def changes(self) -> dict[str, Tensor]:
        """The changed attributes by name."""
        return {name: values for name, values in self._asdict().items() if values is not None}

    def __add__(self, other: "FaceDeformation") -> "FaceDeformation":  # eq. (8)
        summed = self.changes()
        for name, values in other.changes().items():
            summed[name] = summed[name] + values if name in summed else values
        return FaceDeformation(**summed)


def mlp(*sizes: int) -> nn.Sequential:
    """Linear layers without bias and ReLU between them."""
    layers: list[nn.Module] = []
    for i, o in pairwise(sizes):
        layers += [nn.Linear(i, o, bias=False), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class FaceField(nn.Module):
    """delta = MLP(H(mu), RA(signal), eyes): `hidden` 64 in the General field, 32 in Individual.

    `attributes` are those that it changes. Like the ancestors' it has outputs for means,
    quaternions, opacity and scales in any case, and those for colours only if they are asked for.
    """

    def __init__(self, hidden: int, attributes: tuple[str, ...] = GENERAL_ATTRIBUTES) -> None:
        super().__init__()
        self.attributes = attributes
        self.encoder = TriPlaneEncoder()
        dim = self.encoder.features
        self.attention = mlp(dim, 32, SIGNAL_DIM)
        self.eye_attention = mlp(dim, 16, AU_DIM)
        self.au_encoder = mlp(AU_DIM - 1, 16, AU_DIM - 1)
        self.decoder = mlp(
            dim + SIGNAL_DIM + AU_DIM, hidden, hidden, 14 if "colors" in attributes else 11
        )

    def forward(self, means: Tensor, signal: Tensor, au: Tensor) -> FaceDeformation:
        """`means` (N,3) m, `signal` (32,), `au` (6,) -> changes of N Gaussians."""
        return self.deform(self.encoder(means), signal, au)

    def deform(self, code: Tensor, signal: Tensor, au: Tensor) -> FaceDeformation:
        """The same, where the code (N,36) of the means is known already."""
        eyes = torch.cat([self.au_encoder(au[:-1]), au[-1:]])
        out = self.networks(code, signal, eyes)
        return FaceDeformation(
            MEAN_SCALE * out[:, 0:3],
            out[:, 3:7] if "quats" in self.attributes else None,
            out[:, 8:11] if "scales" in self.attributes else None,
            out[:, 7] if "opacities" in self.attributes else None,
            COLOR_SCALE * out[:, 11:14] if "colors" in self.attributes else None,
        )

    def networks(self, code: Tensor, signal: Tensor, eyes: Tensor) -> Tensor:
        """code (N,36), signal (32,), eyes (6,) -> (N,11 or 14): compiled on the CPU."""
        if code.device.type != "cpu" or code.dtype != torch.float32:
            return self.networks_reference(code, signal, eyes)
        layers = (*self.attention, *self.eye_attention, *self.decoder)
        weights = (layer.weight for layer in layers if isinstance(layer, nn.Linear))
        return FaceNetworks.apply(code, signal, eyes, *weights)

    def networks_reference(self, code: Tensor, signal: Tensor, eyes: Tensor) -> Tensor:
        """The same in plain torch, on any device, of any dtype."""
        region = self.attention(code) * signal  # eq. (5)
        eyes = F.relu(self.eye_attention(code)) * eyes
        return self.decoder(torch.cat([code, region, eyes], dim=1))


class GeneralMouthField(nn.Module):
    """Means of mouth Gaussians from facial motion and the face's vertical motion (the hook)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = TriPlaneEncoder(base_resolution=64, finest_resolution=57.6)
        dim = self.encoder.features
        self.attention = mlp(dim, 32, SIGNAL_DIM)
        self.decoder = mlp(dim + SIGNAL_DIM + 3, 32, 32, 7)
        self.gate = mlp(dim + 3, 16, 16, 1)
        self.register_buffer("axis_weight", torch.tensor([0.2, 1.0, 0.2]), persistent=False)

    def forward(self, means: Tensor, signal: Tensor, hook: Tensor) -> Tensor:
        """`means` (N,3), `signal` (32,), `hook` (3,) -> change of means (N,3) m."""
        return self.deform(self.encoder(means), signal, hook)

    def deform(self, code: Tensor, signal: Tensor, hook: Tensor) -> Tensor:
        """The same, where the code (N,36) of the means is known already."""
        hook = hook.expand(len(code), 3)
        region = self.attention(code) * signal
        out = self.decoder(torch.cat([code, region, hook], dim=1))[:, :3]
        gate = 2 * torch.sigmoid(self.gate(torch.cat([code, hook], dim=1)))
        return MEAN_SCALE * out * self.axis_weight * gate


class IndividualMouthField(nn.Module):
    """Means of mouth Gaussians from the person's audio."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = TriPlaneEncoder()
        dim = self.encoder.features
        self.attention = mlp(dim, 32, SIGNAL_DIM)
        self.decoder = mlp(dim + SIGNAL_DIM, 16, 16, 7)

    def forward(self, means: Tensor, signal: Tensor) -> Tensor:
        """`means` (N,3), `signal` (32,) -> change of means (N,3) m."""
        return self.deform(self.encoder(means), signal)

    def deform(self, code: Tensor, signal: Tensor) -> Tensor:
        """The same, where the code (N,36) of the means is known already."""
        return MEAN_SCALE * self.decoder(torch.cat([code, self.attention(code) * signal], 1))[:, :3]


class Aligner(nn.Module):
    """Where a person's Gaussians are to the General field, and how strongly they follow it.

    InsTaG's personal field in adaptation (spec 4.5): `hidden` 32 for the face, 16 for the mouth.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.encoder = TriPlaneEncoder()
        self.network = mlp(self.encoder.features, hidden, 6)

    def forward(self, means: Tensor) -> tuple[Tensor, Tensor]:
        """`means` (N,3) m -> offset of the query (N,3) m, factor of what it gives (N,3)."""
        out = self.network(self.encoder(means))
        return MEAN_SCALE * out[:, :3], 1 + 0.25 * torch.tanh(out[:, 3:] / 5)


class GeneralField(nn.Module):
    """Shared by all people, driven by facial motion, which face and mouth read alike.

    Driven by the audio it listens with nets of its own for each (the ancestors, spec 4.3, 4.4).
    """

    def __init__(self, signal: str = "motion", speech_channels: int = SPEECH_CHANNELS) -> None:
        super().__init__()
        self.signal = MotionSignal() if signal == "motion" else None
        self.face_signal = AudioSignal(speech_channels) if signal == "audio" else None
        self.mouth_signal = AudioSignal(speech_channels) if signal == "audio" else None
        self.face = FaceField(hidden=64)
        self.mouth = GeneralMouthField()


class IndividualField(nn.Module):
    """One person's field, driven by the audio; face and mouth listen with nets of their own.

    Driven by facial motion it has none and reads the General field's E_diff and TCN.
    """

    def __init__(
        self,
        signal: str = "audio",
        attributes: tuple[str, ...] = GENERAL_ATTRIBUTES,
        speech_channels: int = SPEECH_CHANNELS,
    ) -> None:
        super().__init__()
        self.face_signal = AudioSignal(speech_channels) if signal == "audio" else None
        self.mouth_signal = AudioSignal(speech_channels) if signal == "audio" else None
        self.face = FaceField(hidden=32, attributes=attributes)
        self.mouth = IndividualMouthField()


class IndividualAligner(nn.Module):
    """All that a person has of its own where the General field alone deforms (spec 4.9)."""

    def __init__(self) -> None:
        super().__init__()
        self.face = Aligner(hidden=32)
        self.mouth = Aligner(hidden=16)


def general_field(architecture: Architecture) -> GeneralField:
    """An untrained General field."""
    return GeneralField(architecture.general_signal, architecture.speech_channels)


def individual_part(architecture: Architecture) -> IndividualField | IndividualAligner | None:
    """What one person has of its own, untrained."""
    match architecture.individual:
        case "field":
            return IndividualField(
                architecture.individual_signal,
                architecture.individual_attributes,
                architecture.speech_channels,
            )
        case "aligner":
            return IndividualAligner()
    return None


def control_signal(
    field: GeneralField | IndividualField, part: str, motion: Tensor | None, speech: Tensor
) -> Tensor:
    """What the `part` (face, mouth) of a field follows: F_A (B,32) of its own net, or `motion`.

    `motion` (B,32) is F_M, `speech` (B,8,C,W); without a net for the audio it is F_M.
    """
    net = getattr(field, f"{part}_signal")
    return motion if net is None else net(speech)


def face_mouth_hook(change_of_means: Tensor) -> Tensor:
    """Vertical motion of the face (N,3) -> (3,): upper, lower end and their distance, in cm.

    The k-th largest and k-th smallest, so that a stray Gaussian does not count (spec 4.4).
    """
    vertical = change_of_means.detach()[:, 1]
    rank = min(HOOK_RANK, len(vertical))
    high = torch.topk(vertical, rank).values[-1]
    low = torch.topk(vertical, rank, largest=False).values[-1]
    return 100 * torch.stack([high, low, high - low])


def parameter_groups(field: nn.Module, table_lr: float, net_lr: float) -> list[dict]:
    """AdamW groups: hash tables decay (0.01), networks do not (spec 4.7)."""
    tables = [p for name, p in field.named_parameters() if name.endswith("table")]
    nets = [p for name, p in field.named_parameters() if not name.endswith("table")]
    return [
        {"params": tables, "lr": table_lr, "weight_decay": 0.01},
        {"params": nets, "lr": net_lr, "weight_decay": 0.0},
    ]

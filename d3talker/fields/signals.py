"""Control signals of the two branches: facial motion (general) and audio (individual).

Shapes are for one frame; B frames may be stacked in front. Sources: spec 4.2, 6.1 (eq. 3, 4), 6.3.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIGNAL_DIM = 32  # channels of F_A and F_M
MOTION_WINDOW = 9  # frames i-4 ... i+4 under the temporal convolution
SPEECH_WINDOW = 8  # feature windows i-4 ... i+3 under the audio attention
SPEECH_CHANNELS = 29  # letters of DeepSpeech; other extractors have others
WIDE_SPEECH = 128  # channels from which the audio net is as wide in its first layers
SLOPE = 0.02  # LeakyReLU
DIFFERENCE_STD = 0.05  # of PNCC differences over pixels and frames of a speaking face


class DifferenceEncoder(nn.Module):
    """E_diff, eq. (3): difference of PNCC images (B,3,128,128) -> (B,32). 165 120 parameters."""

    def __init__(self) -> None:
        super().__init__()
        channels = (3, 16, 32, 64, 64, 64)
        layers: list[nn.Module] = []
        for i, o in pairwise(channels):
            layers += [nn.Conv2d(i, o, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE)]
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Sequential(
            nn.Linear(1024, 64), nn.LeakyReLU(SLOPE), nn.Linear(64, SIGNAL_DIM)
        )
        preserve_variance(self)

    def forward(self, difference: Tensor) -> Tensor:
        # channels last: a sixth faster on CPUs, gradients included
        scaled = (difference / DIFFERENCE_STD).contiguous(memory_format=torch.channels_last)
        return self.head(self.convolutions(scaled))


class TemporalConvolution(nn.Module):
    """TCN, eq. (4): nine frames of motion features (B,9,32) -> smoothed F_M (B,32).

    Kernel 3, dilations 1, 1, 2, no padding: nine frames become one; the centre frame is added.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv1d(SIGNAL_DIM, SIGNAL_DIM, 3, dilation=d) for d in (1, 1, 2)
        )
        preserve_variance(self)

    def forward(self, features: Tensor) -> Tensor:
        x = features.transpose(1, 2)
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), SLOPE)
        return self.layers[-1](x)[..., 0] + features[:, MOTION_WINDOW // 2]


class MotionSignal(nn.Module):
    """PNCC differences around a frame (B,9,3,128,128) -> F_M (B,32)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = DifferenceEncoder()
        self.smoother = TemporalConvolution()

    def forward(self, differences: Tensor) -> Tensor:
        frames = self.encoder(differences.flatten(0, 1))
        return self.smoother(frames.view(-1, MOTION_WINDOW, SIGNAL_DIM))

    def sequence(self, differences: Tensor) -> Tensor:
        """F_M of every frame of a clip: (T,3,128,128) -> (T,32). Edge frames are repeated."""
        features = torch.cat([self.encoder(chunk) for chunk in differences.split(64)])
        return self.smoother(windows(features, MOTION_WINDOW, MOTION_WINDOW // 2))


class AudioSignal(nn.Module):
    """AudioNet and attention over eight windows: (B,8,29,16) -> F_A (B,32). 32 869 parameters.

    As many `channels` as HuBERT's 1024 get first layers of 128 units (spec 1.2); its windows of two
    rows, like those of 16, end as one.
    """

    def __init__(self, channels: int = SPEECH_CHANNELS) -> None:
        super().__init__()
        first = WIDE_SPEECH if channels >= WIDE_SPEECH else 32
        layers: list[nn.Module] = []
        for i, o in ((channels, first), (first, first), (first, 64), (64, 64)):
            layers += [nn.Conv1d(i, o, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE)]
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(SLOPE), nn.Linear(64, SIGNAL_DIM))
        layers = []
        for i, o in ((32, 16), (16, 8), (8, 4), (4, 2), (2, 1)):
            layers += [nn.Conv1d(i, o, 3, padding=1), nn.LeakyReLU(SLOPE)]
        self.attention = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(SPEECH_WINDOW, SPEECH_WINDOW), nn.Softmax(dim=1)
        )
        preserve_variance(self)

    def forward(self, speech: Tensor) -> Tensor:
        features = self.head(self.convolutions(speech.flatten(0, 1)))
        features = features.view(-1, SPEECH_WINDOW, SIGNAL_DIM)
        weights = self.attention(features.transpose(1, 2))
        return (features * weights[..., None]).sum(1)


def preserve_variance(network: nn.Module) -> None:
    """Initial weights that keep the size of a signal through the layers; no bias at first.

    With smaller ones F_M and F_A hardly differ between frames, and no field begins to follow.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, a=SLOPE, nonlinearity="leaky_relu")
            nn.init.zeros_(layer.bias)


def windows(sequence: Tensor, length: int, before: int) -> Tensor:
    """Window around each item of (T,...), edges repeated: (T,length,...), item t at `before`."""
    index = torch.arange(len(sequence))[:, None] + torch.arange(-before, length - before)[None]
    return sequence[index.clamp(0, len(sequence) - 1)]


def motion_differences(pncc: Tensor, canonical: Tensor) -> Tensor:
    """PNCC images uint8 (T,3,H,W) minus the canonical one (3,H,W), mapped to [-1,1] float32.

    PNCC values live in [-1,1], their difference in [-2,2]; it is halved (spec 6.3).
    """
    return (pncc.float() - canonical.float()) / 255.0


def speech_windows(features: Tensor) -> Tensor:
    """Windows (T,W,C) -> AudioNet input of each frame (T,8,C,W); zeros beyond the ends."""
    padding = features.new_zeros(SPEECH_WINDOW // 2, *features.shape[1:])
    padded = torch.cat([padding, features, padding])
    return padded.unfold(0, SPEECH_WINDOW, 1)[: len(features)].permute(0, 3, 2, 1)

"""EasyPortrait's network, which finds teeth: FPN on a ResNet-50 (spec 1.10).

Modules are named as in mmsegmentation, in whose format fpn-fp-512.pth is: ResNetV1c with a stem of
three convolutions (He et al. 2019), a feature pyramid (Lin et al. 2017), a panoptic head (Kirillov
et al. 2019).
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from d3talker.face.networks import Bottleneck, as_input, conv_norm, load_weights

CLASSES = 8  # background, skin, left and right brow, left and right eye, lips, teeth
TEETH_CLASS = 7
SIDE = 512  # px, of the pictures it was trained on
MEAN = (143.55267075, 132.96705975, 126.94924335)  # grey levels, RGB
STD = (60.2625333, 60.32740275, 59.30988645)
BLOCKS, CHANNELS = (3, 4, 6, 3), (64, 128, 256, 512)  # of ResNet-50
PYRAMID, HEAD = 256, 128  # channels


class ResNetV1c(nn.Module):
    """ResNet-50 whose first convolution is three; features at 1/4, 1/8, 1/16, 1/32 of the size."""

    def __init__(self) -> None:
        super().__init__()
        stem = ((3, 32, 3, 2), (32, 32, 3), (32, 64, 3))
        self.stem = nn.Sequential(*(m for s in stem for m in (*conv_norm(*s), nn.ReLU())))
        inside = 64
        for number, (blocks, channels) in enumerate(zip(BLOCKS, CHANNELS, strict=True), start=1):
            first = Bottleneck(inside, channels, 1 if number == 1 else 2)
            inside = 4 * channels
            more = (Bottleneck(inside, channels, 1) for _ in range(blocks - 1))
            self.add_module(f"layer{number}", nn.Sequential(first, *more))

    def forward(self, x: Tensor) -> list[Tensor]:
        x = F.max_pool2d(self.stem(x), 3, stride=2, padding=1)
        features = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            features.append(x)
        return features


class Convolution(nn.Module):
    """A convolution with bias, or with batch norm and ReLU."""

    def __init__(self, inside: int, outside: int, kernel: int, norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, kernel, padding=kernel // 2, bias=not norm)
        self.bn = nn.BatchNorm2d(outside) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x if self.bn is None else F.relu(self.bn(x))


class Pyramid(nn.Module):
    """Features of one width, into each of which the coarser ones are added."""

    def __init__(self) -> None:
        super().__init__()
        widths = [4 * channels for channels in CHANNELS]
        self.lateral_convs = nn.ModuleList(Convolution(w, PYRAMID, 1, norm=False) for w in widths)
        self.fpn_convs = nn.ModuleList(Convolution(PYRAMID, PYRAMID, 3, norm=False) for _ in widths)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        sides = [conv(x) for conv, x in zip(self.lateral_convs, features, strict=True)]
        for coarse in range(len(sides) - 1, 0, -1):
            finer = sides[coarse - 1]
            sides[coarse - 1] = finer + F.interpolate(
                sides[coarse], finer.shape[2:], mode="nearest"
            )
        return [conv(x) for conv, x in zip(self.fpn_convs, sides, strict=True)]


class Head(nn.Module):
    """Brings all features to 1/4 of the size, adds them and scores the classes there."""

    def __init__(self) -> None:
        super().__init__()
        self.scale_heads = nn.ModuleList(nn.Sequential(*scale_head(n)) for n in range(len(BLOCKS)))
        self.conv_seg = nn.Conv2d(HEAD, CLASSES, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        total = self.scale_heads[0](features[0])
        for head, x in zip(self.scale_heads[1:], features[1:], strict=True):
            total = total + F.interpolate(head(x), total.shape[2:], mode="bilinear")
        return self.conv_seg(total)


def scale_head(doublings: int) -> list[nn.Module]:
    """Convolutions, each but at the finest scale followed by a doubling of the size."""
    modules: list[nn.Module] = []
    for step in range(max(1, doublings)):
        modules.append(Convolution(HEAD if step else PYRAMID, HEAD, 3, norm=True))
        if doublings:
            modules.append(nn.Upsample(scale_factor=2, mode="bilinear"))
    return modules


class EasyPortrait(nn.Module):
    """The network in fpn-fp-512.pth."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.neck, self.decode_head = ResNetV1c(), Pyramid(), Head()

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B,8,H,W) of the classes in pictures (B,3,H,W) of `as_input`."""
        scores = self.decode_head(self.neck(self.backbone(x)))
        return F.interpolate(scores, x.shape[2:], mode="bilinear", align_corners=False)


def load_easyportrait(path: str | Path) -> EasyPortrait:
    """The network with the weights of a file. Raises ArtifactError for any other file."""
    return load_weights(EasyPortrait(), path, "easyportrait")


@torch.no_grad()
def teeth(network: EasyPortrait, frames: np.ndarray) -> np.ndarray:
    """Where teeth are (B,H,W) bool in frames (B,H,W,3) uint8 RGB."""
    scores = network(as_input(frames, SIDE, MEAN, STD))
    scores = F.interpolate(scores, frames.shape[1:3], mode="bilinear", align_corners=False)
    return (scores.argmax(dim=1) == TEETH_CLASS).numpy()

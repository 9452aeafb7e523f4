"""BiSeNet, which tells the parts of a face apart (Yu et al. 2018; spec 1.4).

The context path is a ResNet-18, whose second stage stands in place of the paper's spatial path.
Modules are named as in the released 79999_iter.pth, trained on the 19 classes of CelebAMask-HQ.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from d3talker.face.networks import BasicBlock, as_input, conv_norm, load_weights
from d3talker.face.parsing import BACKGROUND, CLOTH, FACE, HAIR, INNER_MOUTH, NECK, TEETH

CLASSES = 19
SIDE = 512  # px, of the pictures it was trained on
# Of ImageNet's pictures, in grey levels.
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
# Our label of each class: background; skin, brows, eyes, glasses, ears, earring, nose; inner mouth;
# lips; neck, necklace; cloth; hair; hat.
LABELS = np.array(
    [BACKGROUND] + 10 * [FACE] + [INNER_MOUTH, FACE, FACE, NECK, NECK, CLOTH, HAIR, FACE], np.uint8
)


class ConvNorm(nn.Module):
    """Convolution, batch norm and ReLU."""

    def __init__(self, inside: int, outside: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv, self.bn = conv_norm(inside, outside, kernel)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class ResNet18(nn.Module):
    """The convolutions of ResNet-18; gives features at 1/8, 1/16 and 1/32 of the size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(3, 64, 7, 2)
        inside = 64
        for number, channels in enumerate((64, 128, 256, 512), start=1):
            first = BasicBlock(inside, channels, 1 if number == 1 else 2)
            self.add_module(
                f"layer{number}", nn.Sequential(first, BasicBlock(channels, channels, 1))
            )
            inside = channels

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, stride=2, padding=1)
        eighth = self.layer2(self.layer1(x))
        sixteenth = self.layer3(eighth)
        return eighth, sixteenth, self.layer4(sixteenth)


class Refinement(nn.Module):
    """Attention refinement: channels weighed by what they are on average over the picture."""

    def __init__(self, inside: int) -> None:
        super().__init__()
        self.conv = ConvNorm(inside, 128)
        self.conv_atten, self.bn_atten = conv_norm(128, 128, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x * self.bn_atten(self.conv_atten(whole(x))).sigmoid()


class ContextPath(nn.Module):
    """Features (B,128) at 1/8 of the size, of the picture as a whole and of its parts."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = ResNet18()
        self.arm16, self.arm32 = Refinement(256), Refinement(512)
        self.conv_head32, self.conv_head16 = ConvNorm(128, 128), ConvNorm(128, 128)
        self.conv_avg = ConvNorm(512, 128, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        eighth, sixteenth, last = self.resnet(x)
        deep = self.arm32(last) + self.conv_avg(whole(last))
        deep = self.conv_head32(F.interpolate(deep, sixteenth.shape[2:], mode="nearest"))
        deep = self.arm16(sixteenth) + deep
        return eighth, self.conv_head16(F.interpolate(deep, eighth.shape[2:], mode="nearest"))


class Fusion(nn.Module):
    """Both paths together, and once more what counts in the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.convblk = ConvNorm(256, 256, 1)
        self.conv1 = nn.Conv2d(256, 64, 1, bias=False)
        self.conv2 = nn.Conv2d(64, 256, 1, bias=False)

    def forward(self, spatial: Tensor, context: Tensor) -> Tensor:
        x = self.convblk(torch.cat([spatial, context], dim=1))
        return x + x * self.conv2(F.relu(self.conv1(whole(x)))).sigmoid()


class Output(nn.Module):
    """Scores of the classes."""

    def __init__(self, inside: int, middle: int) -> None:
        super().__init__()
        self.conv = ConvNorm(inside, middle)
        self.conv_out = nn.Conv2d(middle, CLASSES, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out(self.conv(x))


class BiSeNet(nn.Module):
    """The network in 79999_iter.pth. Two of its outputs only served training, and are not asked."""

    def __init__(self) -> None:
        super().__init__()
        self.cp, self.ffm, self.conv_out = ContextPath(), Fusion(), Output(256, 256)
        self.conv_out16, self.conv_out32 = Output(128, 64), Output(128, 64)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B,19,H,W) of the classes in pictures (B,3,H,W) of `as_input`."""
        scores = self.conv_out(self.ffm(*self.cp(x)))
        return F.interpolate(scores, x.shape[2:], mode="bilinear", align_corners=True)


def whole(x: Tensor) -> Tensor:
    """Mean (B,C,1,1) over the picture."""
    return x.mean(dim=(2, 3), keepdim=True)


def load_bisenet(path: str | Path) -> BiSeNet:
    """BiSeNet with the weights of a file. Raises ArtifactError for any other file."""
    return load_weights(BiSeNet(), path, "bisenet")


@torch.no_grad()
def label(network: BiSeNet, frames: np.ndarray) -> np.ndarray:
    """Our labels (B,H,W) uint8 of frames (B,H,W,3) uint8 RGB; teeth are inner mouth (spec 1.4)."""
    classes = network(as_input(frames, SIDE, MEAN, STD)).argmax(dim=1, keepdim=True)
    classes = F.interpolate(classes.float(), frames.shape[1:3], mode="nearest")
    return LABELS[classes[:, 0].byte().numpy()]


def add_teeth(labels: np.ndarray, teeth: np.ndarray) -> None:
    """Write TEETH into labels (...,H,W) uint8 where `teeth` bool are seen in face or mouth.

    A label is one part of the face, so the field's XOR of face and teeth (spec 1.11) leaves nothing
    in the face here.
    """
    labels[teeth & ((labels == FACE) | (labels == INNER_MOUTH))] = TEETH

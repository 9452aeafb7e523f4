"""LPIPS with AlexNet, version 0.1 (Zhang et al. 2018; spec 7.3).

The linear heads are those that torchmetrics brings along; AlexNet's weights are the user's.
"""

from importlib import resources

import torch
from torch import Tensor
from torch.nn import functional as F

from d3talker.metrics.alexnet import AlexNet

HEADS = "functional/image/lpips_models/alex.pth"  # in the package torchmetrics
CHANNELS = (64, 192, 384, 256, 256)
EPSILON = 1e-10  # beside the length of a feature vector


def load_heads() -> list[Tensor]:
    """Weights (1,C,1,1) of the 1x1 convolutions over the squared differences of the five layers."""
    with resources.as_file(resources.files("torchmetrics") / HEADS) as path:
        state = torch.load(path, map_location="cpu", weights_only=True)
    heads = [state[f"lin{n}.model.1.weight"] for n in range(len(CHANNELS))]
    shapes = [tuple(head.shape) for head in heads]
    if shapes != [(1, channels, 1, 1) for channels in CHANNELS]:
        raise ValueError(f"torchmetrics' {HEADS} has heads of other shapes: {shapes}")
    return heads


@torch.no_grad()
def lpips(network: AlexNet, heads: list[Tensor], images: Tensor, targets: Tensor) -> Tensor:
    """Perceptual distance of images and targets (B,3,H,W), RGB in [0,1], whole frames: (B,).

    LPIPS shifts and scales images in [-1,1] by numbers that are those of ImageNet in [0,1], which
    AlexNet takes off itself: (2x - 1 + .030) / .458 = (x - .485) / .229.
    """
    distance = images.new_zeros(len(images))
    for head, x, y in zip(heads, network(images), network(targets), strict=True):
        squared = (unit_length(x) - unit_length(y)).square()
        distance += F.conv2d(squared, head).mean(dim=(1, 2, 3))
    return distance


def unit_length(features: Tensor) -> Tensor:
    """Features (B,C,h,w) over the length of each place's vector."""
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + EPSILON)

"""AlexNet's convolutions and the distance of images in their features (spec 5.5, 'GP').

The weights are those of torchvision, trained on ImageNet. torchvision itself is not needed.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from d3talker import artifacts
from d3talker.metrics.weights import catalogue, check_sum

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's images in [0,1]
SMALLEST = 31  # px; a smaller image leaves nothing to the last convolutions


class AlexNet(nn.Module):
    """The five convolutions of torchvision's AlexNet, named as there; frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.ModuleDict(
            {
                "0": nn.Conv2d(3, 64, 11, stride=4, padding=2),
                "3": nn.Conv2d(64, 192, 5, padding=2),
                "6": nn.Conv2d(192, 384, 3, padding=1),
                "8": nn.Conv2d(384, 256, 3, padding=1),
                "10": nn.Conv2d(256, 256, 3, padding=1),
            }
        )
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """ReLU outputs (B,C,h,w) of the convolutions, of images (B,3,H,W) RGB in [0,1]."""
        x, outputs = (images - self.mean) / self.std, []
        for name, convolution in self.features.items():
            if name in ("3", "6"):
                x = F.max_pool2d(x, 3, stride=2)
            x = F.relu(convolution(x))
            outputs.append(x)
        return outputs


def feature_distance(network: AlexNet, images: Tensor, targets: Tensor) -> Tensor:
    """Squared distance of channel-normalised features, summed over channels and layers, (,).

    Means over places and over the images (B,3,H,W) RGB in [0,1]. Differentiable by `images`.
    """
    with torch.no_grad():
        wanted = network(targets)
    return sum(
        (F.normalize(x, dim=1) - F.normalize(y, dim=1)).square().sum(dim=1).mean()
        for x, y in zip(network(images), wanted, strict=True)
    )


def load_alexnet(path: str | Path) -> AlexNet:
    """The network in torchvision's file, or in a .safetensors with tensors of the same names.

    Raises ArtifactError, which says where the file is to be had, for any other file.
    """
    try:
        state = (
            artifacts.load_tensors(path)[0]
            if Path(path).suffix == ".safetensors"
            else _load_torchvision(Path(path))
        )
        network = AlexNet()
        wanted = network.state_dict()
        network.load_state_dict({name: state[name] for name in wanted})
    except (OSError, KeyError, RuntimeError, artifacts.ArtifactError) as error:
        source = catalogue()["alexnet"].source
        raise artifacts.ArtifactError(
            f"{path}: not the weights of AlexNet ({error}); expected {source}"
        ) from error
    return network


def _load_torchvision(path: Path) -> Mapping[str, Tensor]:
    check_sum(path, catalogue()["alexnet"].sha256)
    return torch.load(path, map_location="cpu", weights_only=True)

"""What the networks of face parsing share: ResNet blocks, pictures as seen by them, files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.dtypes import Float64DType
from torch import Tensor, nn
from torch.nn import functional as F
from torch.serialization import safe_globals

from d3talker.metrics.weights import UNREADABLE, check_digest, refusal

COUNTER = "num_batches_tracked"  # of batch norm in training; files of old versions lack it
# What the training log in a checkpoint may hold beside tensors: numbers of numpy, by their names in
# its first and second version.
SCALAR = np.float64(0).__reduce__()[0]
NUMPY_NUMBERS = [
    np.dtype,
    Float64DType,
    (SCALAR, "numpy.core.multiarray.scalar"),
    (SCALAR, "numpy._core.multiarray.scalar"),
]


def conv_norm(
    inside: int, outside: int, kernel: int, stride: int = 1
) -> tuple[nn.Module, nn.Module]:
    """A convolution without bias that keeps the size but for the stride, and its batch norm."""
    convolution = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False)
    return convolution, nn.BatchNorm2d(outside)


def shortcut(inside: int, outside: int, stride: int) -> nn.Sequential | None:
    """What a residual block adds where its input has another size; None where it adds the input."""
    changed = stride != 1 or inside != outside
    return nn.Sequential(*conv_norm(inside, outside, 1, stride)) if changed else None


class BasicBlock(nn.Module):
    """Residual block of ResNet-18: two 3x3 convolutions (He et al. 2016)."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(inside, outside, 3, stride)
        self.conv2, self.bn2 = conv_norm(outside, outside, 3)
        self.downsample = shortcut(inside, outside, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """Residual block of ResNet-50: 1x1, 3x3 with the stride, 1x1 to four times the channels."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(inside, outside, 1)
        self.conv2, self.bn2 = conv_norm(outside, outside, 3, stride)
        self.conv3, self.bn3 = conv_norm(outside, 4 * outside, 1)
        self.downsample = shortcut(inside, 4 * outside, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(y)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


def as_input(frames: np.ndarray, side: int, mean: tuple, std: tuple) -> Tensor:
    """Frames (B,H,W,3) uint8 RGB as a network sees them: (B,3,side,side) float32, standardised.

    mean and std are of grey levels 0..255.
    """
    x = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float()
    if x.shape[2:] != (side, side):
        x = F.interpolate(x, (side, side), mode="bilinear", align_corners=False, antialias=True)
    return (x - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


def load_weights(network: nn.Module, path: str | Path, key: str) -> nn.Module:
    """`network` with the weights in the file of `models.<key>`, frozen.

    The file holds tensors of exactly the network's names and shapes, alone or as `state_dict`.
    Raises ArtifactError, which says where the file is to be had, for any other file.
    """
    try:
        check_digest(path)
        with safe_globals(NUMPY_NUMBERS):
            content = torch.load(path, map_location="cpu", weights_only=True)
        state = content.get("state_dict", content) if isinstance(content, Mapping) else {}
        counters = {n: t for n, t in network.state_dict().items() if n.endswith(COUNTER)}
        network.load_state_dict(counters | dict(state))
    except UNREADABLE as error:
        raise refusal(path, key, error) from error
    return network.requires_grad_(False).eval()

"""Coarse-to-fine refiner: a U-Net that steers a StyleGAN2-style decoder (StyleUNet).

The U-Net reads the coarse frame and gives a style code, from its coarsest features, and at every
scale two maps that multiply and shift the decoder's features. Source: the StyleUNet of GPAvatar and
GAGAvatar; in D3-Talker (eq. 11) it maps the composited frame to the real one.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from d3talker.refine.stylegan import GRID, SLOPE, Decoder, double, halve


@dataclass(frozen=True)
class StyleUNetConfig:
    """Shape of a StyleUNet."""

    channels: tuple[int, ...]  # U-Net channels, finest level first; each level halves the size
    decoder_ratio: int  # decoder channels per U-Net channel of the same level
    style_dim: int  # length of the style code
    style_layers: int  # linear layers between the style code and the decoder's styles
    unshuffle: int = 1  # the finest level works on blocks of unshuffle x unshuffle pixels
    residual: bool = False  # output = input + prediction, 0 at first; else sigmoid(prediction)
    finest_skip: bool = False  # the first features also join the U-Net's last, at the finest level
    noise: bool = False  # the decoder adds noise of learned strength while training
    in_dim: int = 3  # channels of the input image
    out_dim: int = 3  # channels of the output image

    @property
    def factor(self) -> int:
        """Heights and widths that are multiples of this need no padding, px."""
        return self.unshuffle * 2 ** (len(self.channels) - 1)


# The network of GAGAvatar with 3 input channels: levels 512 to 4 for a 512 x 512 frame.
PAPER = StyleUNetConfig(
    channels=(16, 32, 64, 128, 256, 256, 256, 256),
    decoder_ratio=2,
    style_dim=512,
    style_layers=8,
    noise=True,
)
# The same shape for two CPU cores: levels 256 to 16 for a 512 x 512 frame, 6 GFLOP. Unshuffled
# pixels hold more than the next level can carry, hence `finest_skip` (1.3 dB when deblurring).
LIGHT = StyleUNetConfig(
    channels=(16, 24, 32, 48, 64),
    decoder_ratio=1,
    style_dim=64,
    style_layers=2,
    unshuffle=2,
    residual=True,
    finest_skip=True,
)
WIDTHS = {"light": LIGHT, "paper": PAPER}  # by the configuration's `refiner`


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    """3x3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU, in place."""
    return functional.leaky_relu(x, SLOPE, inplace=True)


class ResBlock(nn.Module):
    """Two 3x3 convolutions with `resize` (`halve` or `double`) between them, and a 1x1 skip.

    The skip is convolved before it is resized: the two commute, and this way resizes less.
    """

    def __init__(self, inputs: int, outputs: int, resize: Callable[[Tensor], Tensor]):
        super().__init__()
        self.conv1 = conv(inputs, inputs)
        self.conv2 = conv(inputs, outputs)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.resize = resize

    def forward(self, x: Tensor) -> Tensor:
        y = leaky(self.conv2(self.resize(leaky(self.conv1(x)))))
        return y + self.resize(self.skip(x))


def sft_map(inputs: int, outputs: int, mean: float) -> nn.Sequential:
    """Layers that turn U-Net features into a map for the decoder, near `mean` at first."""
    layers = nn.Sequential(conv(inputs, inputs), nn.LeakyReLU(SLOPE, True), conv(inputs, outputs))
    nn.init.constant_(layers[-1].bias, mean)
    return layers


class StyleUNet(nn.Module):
    """Refiner of images (B,3,H,W) in [0,1] of any size.

    Convolutions keep torch's default initialisation: it shrinks the features from block to block,
    and without normalisation layers a variance-preserving one (Kaiming) made them explode.
    """

    def __init__(self, config: StyleUNetConfig):
        super().__init__()
        self.config = config
        channels, ratio = config.channels, config.decoder_ratio
        pairs = list(pairwise(channels))  # (finer, coarser)
        block = config.unshuffle**2
        self.first = nn.Conv2d(config.in_dim * block, channels[0], 1)
        self.down = nn.ModuleList(ResBlock(fine, coarse, halve) for fine, coarse in pairs)
        self.middle = conv(channels[-1], channels[-1])
        self.code = nn.Linear(channels[-1] * GRID**2, config.style_dim)
        pairs.reverse()
        self.up = nn.ModuleList(ResBlock(coarse, fine, double) for fine, coarse in pairs)
        self.scale = nn.ModuleList(sft_map(fine, ratio * fine, 1.0) for fine, _ in pairs)
        self.shift = nn.ModuleList(sft_map(fine, ratio * fine, 0.0) for fine, _ in pairs)
        self.decoder = Decoder(
            [ratio * width for width in reversed(channels)],
            config.out_dim * block,
            config.style_dim,
            config.style_layers,
            config.noise,
        )
        if config.residual:
            for to_rgb in self.decoder.to_rgb:
                nn.init.zeros_(to_rgb.conv.weight)

    def forward(self, image: Tensor) -> Tensor:
        """Refine images (B,3,H,W) float32 in [0,1]; the same shape and dtype comes back.

        A residual network leaves its output unclamped in training mode, so that gradients survive.
        """
        height, width = image.shape[-2:]
        x = pad_to_multiple(image.to(self.first.weight.dtype), self.config.factor)
        x = functional.pixel_unshuffle(x, self.config.unshuffle)
        x = self.decoder(*self.encode(leaky(self.first(x))))
        x = functional.pixel_shuffle(x, self.config.unshuffle)[..., :height, :width]
        x = x.to(image.dtype)
        if not self.config.residual:
            return torch.sigmoid(x)
        x = image + x
        return x if self.training else x.clamp(0, 1)

    def encode(self, first: Tensor) -> tuple[Tensor, tuple[int, int], list[tuple[Tensor, Tensor]]]:
        """U-Net: first features to style code, coarsest (h,w), and per scale the SFT maps."""
        x = first
        skips = []
        for block in self.down:
            x = block(x)
            skips.append(x)
        x = leaky(self.middle(x))
        size = tuple(x.shape[-2:])
        grid = functional.adaptive_avg_pool2d(x, GRID).flatten(1)
        code = self.code(grid.to(self.code.weight.dtype))
        features = []
        for block in self.up:
            x = block(x + skips.pop())
            features.append(x)
        if self.config.finest_skip:
            features[-1] = features[-1] + first
        maps = [
            (scale(x), shift(x))
            for x, scale, shift in zip(features, self.scale, self.shift, strict=True)
        ]
        return code, size, maps


def pad_to_multiple(image: Tensor, factor: int) -> Tensor:
    """(B,C,H,W), extended below and on the right by its last pixels to multiples of `factor`."""
    height, width = image.shape[-2:]
    if height % factor == 0 and width % factor == 0:
        return image
    return functional.pad(image, (0, -width % factor, 0, -height % factor), mode="replicate")


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 convolutions pay: CUDA, or a CPU with AVX512-BF16 or AMX instructions."""
    if device.type == "cpu":
        cpu = torch.cpu.get_capabilities()
        return bool(cpu.get("avx512_bf16") or cpu.get("amx_bf16"))
    return torch.cuda.is_bf16_supported()


def for_display(net: StyleUNet) -> StyleUNet:
    """A copy of `net` for `refine`: in the layout that convolutions are fastest in, and with
    bfloat16 convolutions where the device is fast at them (the output differs by less than half an
    8-bit level on average). The style and the weights that depend on it stay float32."""
    net = copy.deepcopy(net).eval().to(memory_format=torch.channels_last)
    if has_fast_bfloat16(net.first.weight.device):
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                module.to(torch.bfloat16)
    return net


@torch.inference_mode()
def refine(net: StyleUNet, image: Tensor) -> Tensor:
    """Refine one frame (H,W,3) float32 RGB in [0,1] for display: the same shape, type and range.

    Deterministic. Give `net` as `for_display` makes it.
    """
    x = image.to(net.first.weight.device).permute(2, 0, 1)[None]
    return net(x)[0].permute(1, 2, 0)

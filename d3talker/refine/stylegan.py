"""StyleGAN2-style decoder whose features are scaled and shifted by maps from outside (SFT).

Source: the decoder of the StyleUNet of GPAvatar and GAGAvatar, after GFPGAN: modulated 3x3
convolutions from a learned constant, one style code for all layers, RGB skips.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.2  # negative slope of every leaky ReLU
GRID = 4  # side of the learned constant, and of the features that the style code is read from


def halve(x: Tensor) -> Tensor:
    """(B,C,H,W) to (B,C,H/2,W/2). For even H and W this is bilinear interpolation by 0.5."""
    return functional.avg_pool2d(x, 2)


def double(x: Tensor) -> Tensor:
    """(B,C,H,W) to (B,C,2H,2W), bilinear; computed in float32, several times faster on CPUs."""
    y = functional.interpolate(x.float(), scale_factor=2, mode="bilinear", align_corners=False)
    return y.to(x.dtype)


class ModulatedConv(nn.Module):
    """Convolution whose input channels are scaled by the style, without bias.

    With `demodulate` each output channel is divided by the norm of its scaled weights, so that the
    style changes the mixture of the inputs and not the size of the output.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, style_dim: int, demodulate: bool):
        super().__init__()
        self.weight = nn.Parameter(
            torch.randn(outputs, inputs, kernel, kernel) / math.sqrt(inputs * kernel**2)
        )
        self.scale = nn.Linear(style_dim, inputs)
        nn.init.normal_(self.scale.weight, std=1 / math.sqrt(style_dim))
        nn.init.ones_(self.scale.bias)
        self.demodulate = demodulate

    def forward(self, x: Tensor, style: Tensor, bias: Tensor) -> Tensor:
        """x (B,I,H,W), style (B,S), bias (O,) to (B,O,H,W).

        The weights are shared by the batch: scaling the input and the output channels instead of
        the weights is the same sum. For one image the weights are the smaller tensor to scale.
        """
        scale = self.scale(style)
        if self.demodulate:
            power = self.weight.square().sum((2, 3))  # (O,I)
            gain = math.sqrt(2) * torch.rsqrt(functional.linear(scale.square(), power) + 1e-8)
        else:
            gain = scale.new_ones(len(scale), len(self.weight))
        padding = self.weight.shape[-1] // 2
        if len(x) == 1:
            weight = self.weight * scale[0, :, None, None] * gain[0, :, None, None, None]
            return functional.conv2d(x, weight.to(x.dtype), bias.to(x.dtype), padding=padding)
        y = functional.conv2d(x * scale[:, :, None, None], self.weight, padding=padding)
        return y * gain[:, :, None, None] + bias[:, None, None]


class StyleConv(nn.Module):
    """Demodulated 3x3 convolution, optional noise while training, bias, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, style_dim: int, noise: bool):
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, style_dim, demodulate=True)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros(1)) if noise else None

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        y = self.conv(x, style, self.bias)
        if self.training and self.noise_strength is not None:
            y = y + self.noise_strength * torch.randn_like(y[:, :1])
        return functional.leaky_relu(y, SLOPE, inplace=True)


class ToRGB(nn.Module):
    """1x1 convolution to the output channels, scaled by the style, not demodulated."""

    def __init__(self, inputs: int, outputs: int, style_dim: int):
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 1, style_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        return self.conv(x, style, self.bias)


class StyleMLP(nn.Module):
    """Style code (B,S), divided by its root mean square, through `layers` linear layers."""

    def __init__(self, dim: int, layers: int):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(dim, dim) for _ in range(layers))
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, a=SLOPE, nonlinearity="leaky_relu")
            nn.init.zeros_(layer.bias)

    def forward(self, code: Tensor) -> Tensor:
        code = code * torch.rsqrt(code.square().mean(1, keepdim=True) + 1e-8)
        for layer in self.layers:
            code = functional.leaky_relu(layer(code), SLOPE)
        return code


class Decoder(nn.Module):
    """Image (B,out,H,W) from a style code and, per scale, maps that scale and shift the features.

    channels: from the coarsest level to the finest; each level after the first doubles the size.
    """

    def __init__(self, channels: list[int], out_dim: int, style_dim: int, layers: int, noise: bool):
        super().__init__()
        pairs = list(pairwise(channels))
        self.mlp = StyleMLP(style_dim, layers)
        self.constant = nn.Parameter(torch.randn(1, channels[0], GRID, GRID))
        self.first = StyleConv(channels[0], channels[0], style_dim, noise)
        self.up = nn.ModuleList(StyleConv(a, b, style_dim, noise) for a, b in pairs)
        self.same = nn.ModuleList(StyleConv(b, b, style_dim, noise) for _, b in pairs)
        self.to_rgb = nn.ModuleList(ToRGB(c, out_dim, style_dim) for c in channels)

    def forward(
        self, code: Tensor, size: tuple[int, int], maps: list[tuple[Tensor, Tensor]]
    ) -> Tensor:
        """code (B,S), (h,w) of the coarsest level, (scale, shift) per doubling to the image."""
        style = self.mlp(code)
        x = functional.interpolate(self.constant, size, mode="bilinear", align_corners=False)
        x = x.to(maps[0][0].dtype)
        x = self.first(x.expand(len(code), -1, -1, -1), style)
        image = self.to_rgb[0](x, style)
        for up, same, to_rgb, (scale, shift) in zip(
            self.up, self.same, self.to_rgb[1:], maps, strict=True
        ):
            x = torch.addcmul(shift, up(double(x), style), scale)
            x = same(x, style)
            image = double(image) + to_rgb(x, style)
        return image

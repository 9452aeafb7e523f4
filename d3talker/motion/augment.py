"""Random changes of voice and recording, applied to log-mel windows during training."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class AugmentSettings:
    """How strongly the sound is varied. Log-mel bands are standardised: units of their std."""

    warp: float = 0.12  # largest relative stretch of the band axis (length of the vocal tract)
    shift: float = 2.0  # largest shift of the band axis, bands
    gain: float = 0.2  # std of the relative change of contrast
    tilt: float = 0.3  # std of level, of slope and of a slow ripple over frequency (microphone)
    noise: float = 0.5  # largest std of white noise
    mask_bands: int = 8  # widest of two masked groups of bands


def warp_bands(mel: Tensor, stretch: Tensor, shift: Tensor) -> Tensor:
    """Read band b of mel (B,T,bands) at b * stretch + shift (B,), interpolated and clamped."""
    bands = mel.shape[2]
    position = torch.arange(bands) * stretch[:, None] + shift[:, None]
    position = position.clamp(0, bands - 1.001)
    low = position.long()
    weight = (position - low)[:, None]
    index = low[:, None].expand_as(mel)
    return mel.gather(2, index) * (1 - weight) + mel.gather(2, index + 1) * weight


def augment(mel: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """Vary each window of mel (B,T,bands) in voice, microphone, noise and missing bands."""
    batch, _, bands = mel.shape

    def uniform() -> Tensor:
        return 2 * torch.rand(batch, generator=generator) - 1

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape or (batch, 1, 1), generator=generator)

    mel = warp_bands(mel, 1 + settings.warp * uniform(), settings.shift * uniform())
    frequency = torch.linspace(-1, 1, bands)
    ripple = torch.cos(2 * torch.pi * uniform()[:, None, None] * frequency)
    mel = mel * (1 + settings.gain * normal())
    mel = mel + settings.tilt * (normal() + normal() * frequency + normal() * ripple)
    noise = settings.noise * uniform().abs()[:, None, None]
    mel = mel + noise * normal(*mel.shape)
    band = torch.arange(bands)
    for _ in range(2):
        width = torch.randint(0, settings.mask_bands + 1, (batch, 1), generator=generator)
        start = torch.randint(0, bands, (batch, 1), generator=generator)
        masked = (band >= start) & (band < start + width)
        mel = mel.masked_fill(masked[:, None], 0.0)
    return mel

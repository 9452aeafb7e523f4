"""What a training says of itself: rows of curves.csv."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from d3talker.avatar import Avatar

LOG_EVERY = 50  # iterations per row of the curves


class CurveRow(NamedTuple):
    """One row of curves.csv: means over the last iterations."""

    stage: str
    iteration: int
    loss: float
    l1: float
    dssim: float
    psnr: float
    gaussians: int


class Meter:
    """Means of loss, photometric part, L1 and PSNR since the last row."""

    def __init__(self) -> None:
        self.values: list[tuple[float, float, float, float]] = []

    @torch.no_grad()
    def add(self, loss: Tensor, photometric: Tensor, image: Tensor, target: Tensor) -> None:
        error = image.detach() - target
        psnr = -10 * torch.log10(error.square().mean())
        self.values.append(
            (loss.item(), photometric.item(), error.abs().mean().item(), psnr.item())
        )

    def row(self, stage: str, iteration: int, avatar: Avatar, weight: float) -> CurveRow:
        loss, photometric, l1, psnr = np.mean(self.values, axis=0).tolist()
        self.values.clear()
        dssim = (photometric - l1) / weight if weight else 0.0
        count = len(avatar.face) + len(avatar.mouth)
        return CurveRow(stage, iteration, loss, l1, dssim, psnr, count)

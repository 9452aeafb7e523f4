"""The audio-to-motion network: log-mel energies to standardised expression coefficients."""

import torch
from torch import Tensor, nn
from torch.nn import functional

BANDS = 40  # log-mel bands
HOP = 160  # samples between rows, 10 ms
HOPS_PER_FRAME = 4
ROW_MS = 10
CHANNELS = 16  # of the first 2-D convolution; the others have twice as many
HIDDEN = 96
DILATIONS = (1, 2, 3)  # frames; with the 2-D part the network hears 0.3 s before and after a frame


class MotionNet(nn.Module):
    """2-D convolutions over time and frequency, then a dilated stack over video frames.

    Input: log-mel (B,4T,BANDS); output: (B,T,coefficients), standardised over a person's clip.
    """

    def __init__(self, coefficients: int, dropout: float = 0.0) -> None:
        super().__init__()
        wide = 2 * CHANNELS
        self.spectral = nn.Sequential(  # strides (time, frequency): 4 and 8 in all
            nn.Conv2d(1, CHANNELS, 5, stride=(2, 2), padding=2),
            nn.BatchNorm2d(CHANNELS),
            nn.GELU(),
            nn.Conv2d(CHANNELS, wide, 3, stride=(1, 2), padding=1),
            nn.BatchNorm2d(wide),
            nn.GELU(),
            nn.Conv2d(wide, wide, 3, stride=(2, 2), padding=1),
            nn.BatchNorm2d(wide),
            nn.GELU(),
        )
        self.project = nn.Conv1d(wide * BANDS // 8, HIDDEN, 1)
        self.temporal = nn.ModuleList(
            nn.Conv1d(HIDDEN, HIDDEN, 3, padding=d, dilation=d) for d in DILATIONS
        )
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(HIDDEN, coefficients)

    def features(self, mel: Tensor) -> Tensor:
        """What the linear readout reads, (B,T,HIDDEN), of log-mel (B,4T,BANDS)."""
        maps = self.spectral(mel[:, None])  # (B,C,T,BANDS/8)
        x = self.dropout(self.project(maps.transpose(2, 3).flatten(1, 2)))
        for layer in self.temporal:
            x = x + self.dropout(functional.gelu(layer(x)))
        return x.transpose(1, 2)

    def forward(self, mel: Tensor) -> Tensor:
        return self.readout(self.features(mel))


def shift_rows(mel: Tensor, rows: int) -> Tensor:
    """Delay log-mel (4T,BANDS), or any rows, by `rows` (negative: advance), repeating the end."""
    index = torch.arange(len(mel)) - rows
    return mel[index.clamp(0, len(mel) - 1)]

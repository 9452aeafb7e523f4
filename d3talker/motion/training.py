"""Train audio-to-motion networks on the sound and the tracked expressions of several people."""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from d3talker.cli import progress
from d3talker.motion.augment import AugmentSettings, augment
from d3talker.motion.clips import Clip, delay_sound
from d3talker.motion.model import mean_prediction
from d3talker.motion.network import HOPS_PER_FRAME, MotionNet, shift_rows

log = logging.getLogger("d3talker")

LAGS = range(-24, 25)  # rows of 10 ms that sound and picture may be apart
REALIGN = (0.25, 0.45, 0.65)  # when the first network estimates lags, fraction of its steps
EDGE = 6  # frames at the ends of a clip left out when a lag is estimated


@dataclass(frozen=True)
class MotionSettings(AugmentSettings):
    """Training of the audio-to-motion networks on the pre-training people."""

    networks: int = 3  # trained from different seeds; their predictions are averaged
    steps: int = 600  # of each network
    batch: int = 16  # windows a step
    window: int = 100  # frames of a window; the shortest clip if that is shorter
    learning_rate: float = 2e-3  # peak of a one-cycle schedule, AdamW
    weight_decay: float = 0.05
    dropout: float = 0.3
    opening_weight: float = 1.0  # loss of the mouth opening beside the mean loss of coefficients


def sample_batch(
    clips: list[Clip], settings: MotionSettings, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random windows: mel (B,4W,BANDS), motion (B,W,C), valid (B,W), opening (B,C)."""
    window = min(settings.window, *(len(clip.motion) for clip in clips))
    rows = []
    for _ in range(settings.batch):
        clip = clips[torch.randint(len(clips), (), generator=generator)]
        start = int(torch.randint(len(clip.motion) - window + 1, (), generator=generator))
        frames = slice(start, start + window)
        hops = slice(HOPS_PER_FRAME * start, HOPS_PER_FRAME * (start + window))
        rows.append((clip.mel[hops], clip.motion[frames], clip.valid[frames], clip.opening))
    mel, motion, valid, opening = (torch.stack(column) for column in zip(*rows, strict=True))
    return augment(mel, settings, generator), motion, valid, opening


def motion_loss(
    predicted: Tensor, motion: Tensor, valid: Tensor, opening: Tensor, opening_weight: float
) -> Tensor:
    """Mean squared error of coefficients (B,T,C) and of the mouth opening, over valid (B,T)."""
    error = predicted - motion
    opening_error = torch.einsum("btc,bc->bt", error, opening)
    per_frame = error.square().mean(dim=2) + opening_weight * opening_error.square()
    return (per_frame * valid).sum() / valid.sum().clamp(min=1)


@torch.no_grad()
def lag_curve(network: MotionNet, clip: Clip) -> np.ndarray:
    """Correlation (len(LAGS),) of predicted and seen opening with the sound delayed by each lag."""
    training = network.training
    predicted = openings_by_lag([network.eval()], clip, LAGS)
    network.train(training)
    seen = clip.motion @ clip.opening
    inner = slice(EDGE, -EDGE)
    return np.array([correlation(row[inner], seen[inner]) for row in predicted])


def openings_by_lag(networks: list[MotionNet], clip: Clip, lags: range) -> Tensor:
    """Mouth opening (len(lags),T) that the networks hear, the sound delayed by rows of 10 ms.

    Delays of whole frames move a prediction by as many frames, so four predictions serve all lags;
    frames near the ends, where sound was missing, repeat their neighbours.
    """
    parts = [
        mean_prediction(networks, shift_rows(clip.mel, rows)) @ clip.opening
        for rows in range(HOPS_PER_FRAME)
    ]
    whole = [divmod(lag, HOPS_PER_FRAME) for lag in lags]
    return torch.stack([shift_rows(parts[rows], frames) for frames, rows in whole])


def correlation(a: Tensor, b: Tensor) -> float:
    """Pearson correlation of two vectors; 0 when one of them is constant."""
    a, b = a - a.mean(), b - b.mean()
    return float((a @ b) / (a.norm() * b.norm()).clamp(min=1e-9))


def estimate_lags(network: MotionNet, clips: list[Clip]) -> list[int]:
    """Rows of 10 ms by which each clip's picture comes after its sound, relative to the median.

    Only relative lags can be seen; most recordings are in sync, so the median counts as that.
    """
    lags = [LAGS[int(lag_curve(network, clip).argmax())] for clip in clips]
    return [int(lag - np.median(lags)) for lag in lags]


def train_network(
    clips: list[Clip], settings: MotionSettings, seed: int, lags: list[int] | None
) -> tuple[MotionNet, list[int], float]:
    """Train one network; returns it, the lags and the final loss.

    With `lags` None they start at 0 and are estimated by the network itself while it is young:
    a network that has seen many people knows the law of speech before it knows a clip by heart.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = MotionNet(clips[0].motion.shape[1], settings.dropout)
    optimizer = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=settings.steps, pct_start=0.1
    )
    realign = {int(part * settings.steps) for part in REALIGN} if lags is None else set()
    lags = lags or [0] * len(clips)
    aligned = list(map(delay_sound, clips, lags))
    losses = []
    for step in progress(range(settings.steps), settings.steps, f"motion network {seed}"):
        if step in realign:
            lags = estimate_lags(network, clips)
            aligned = list(map(delay_sound, clips, lags))
        mel, motion, valid, opening = sample_batch(aligned, settings, generator)
        loss = motion_loss(network(mel), motion, valid, opening, settings.opening_weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return network.eval(), lags, float(np.mean(losses[-50:]))


def train_motion(
    clips: list[Clip], settings: MotionSettings, seed: int
) -> tuple[list[MotionNet], list[int], list[float]]:
    """Train the ensemble. Returns networks, lags of the clips, and final losses of the networks."""
    networks, losses, lags = [], [], None
    for index in range(settings.networks):
        network, lags, loss = train_network(clips, settings, seed + index, lags)
        networks.append(network)
        losses.append(round(loss, 4))
    shown = ", ".join(f"{c.name} {10 * lag:+d}" for c, lag in zip(clips, lags, strict=True))
    log.info("picture after sound, ms: %s", shown)
    return networks, lags, losses

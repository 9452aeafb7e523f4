"""Tune an audio-to-motion model to one person's seconds, and calibrate its amplitude."""

import copy
import logging
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from d3talker.motion.clips import Clip, delay_sound
from d3talker.motion.model import Calibration, MotionModel, mean_prediction
from d3talker.motion.network import MotionNet
from d3talker.motion.training import LAGS, correlation, lag_curve, motion_loss

log = logging.getLogger("d3talker")


@dataclass(frozen=True)
class TuneMotionSettings:
    """Tuning of the audio-to-motion networks to the target's training seconds."""

    steps: int = 40  # over all training frames at once; more overfits
    learning_rate: float = 3e-4  # of Adam, falling linearly to 0
    dropout: float = 0.3
    opening_weight: float = 1.0  # loss of the mouth opening beside the mean loss of coefficients
    folds: int = 3  # parts of the training seconds that are predicted without having been seen
    margin: float = 0.1  # widening of the training range that predictions are clamped to
    clear_lag: int = 9  # rows of 10 ms from which sound and picture are taken to be out of step


def tune_network(
    network: MotionNet, clip: Clip, settings: TuneMotionSettings, seed: int
) -> MotionNet:
    """A copy of the network trained further on the valid frames of a clip.

    Batch normalisation keeps the statistics of the pre-training people.
    """
    torch.manual_seed(seed)
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = settings.dropout
            module.train()
    optimizer = torch.optim.Adam(network.parameters(), settings.learning_rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, settings.steps)
    batch = clip.motion[None], clip.valid[None], clip.opening[None]
    for _ in range(settings.steps):
        loss = motion_loss(network(clip.mel[None]), *batch, settings.opening_weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def tune_ensemble(
    networks: list[MotionNet], clip: Clip, settings: TuneMotionSettings, seed: int
) -> list[MotionNet]:
    """`tune_network` on each network, with consecutive seeds."""
    return [tune_network(n, clip, settings, seed + i) for i, n in enumerate(networks)]


def cross_fitted(
    networks: list[MotionNet], clip: Clip, settings: TuneMotionSettings, seed: int
) -> Tensor:
    """Predictions (T,C) of a clip, each fold of frames by networks tuned on the other folds."""
    predicted = torch.zeros_like(clip.motion)
    for frames in np.array_split(np.arange(len(clip.motion)), settings.folds):
        valid = clip.valid.clone()
        valid[frames] = 0
        tuned = tune_ensemble(networks, replace(clip, valid=valid), settings, seed)
        predicted[frames] = mean_prediction(tuned, clip.mel)[frames]
    return predicted


def calibrate(clip: Clip, predicted: Tensor, margin: float) -> Calibration:
    """Gain and range that turn predictions into the coefficients of a clip's person.

    `predicted` (T,C) must be of frames not trained on: there its amplitude is what it will be on
    new sound. A coefficient that correlates by r with the truth gets sqrt(r) of the true standard
    deviation: between the least-squares amplitude (r), which mumbles, and the full one (1), which
    moves at random what sound does not tell. The range is the 1st to 99th percentile of the
    person's frames, widened on each side by `margin` of it.
    """
    seen = clip.valid > 0
    truth, predicted = clip.motion[seen], predicted[seen]
    agreement = torch.tensor([correlation(a, b) for a, b in zip(predicted.T, truth.T, strict=True)])
    gain = clip.std * agreement.clamp(min=0).sqrt() * truth.std(0) / (predicted.std(0) + 1e-6)
    low, high = torch.quantile(truth * clip.std + clip.mean, torch.tensor([0.01, 0.99]), dim=0)
    widen = margin * (high - low)
    return Calibration(clip.mean, gain, low - widen, high + widen)


def tune_motion(
    model: MotionModel, clip: Clip, settings: TuneMotionSettings, seed: int
) -> tuple[MotionModel, dict]:
    """Tune and calibrate a model to a person's clip. Returns it and what was measured.

    A lag between sound and picture below `clear_lag` is learned by the networks. A longer one is
    a fault of the recording: the networks are tuned with it removed, and predict in sync.
    """
    curve = np.mean([lag_curve(network, clip) for network in model.networks], axis=0)
    lag = LAGS[int(curve.argmax())]
    clear = abs(lag) >= settings.clear_lag
    if clear:
        log.warning(
            "%s: the picture comes %+d ms after the sound; motion is predicted in sync with the "
            "sound, not with this recording",
            clip.name,
            10 * lag,
        )
        clip = delay_sound(clip, lag)
    held_out = cross_fitted(model.networks, clip, settings, seed)
    tuned = replace(
        model,
        networks=tune_ensemble(model.networks, clip, settings, seed),
        calibration=calibrate(clip, held_out, settings.margin),
    )
    opening = clip.motion @ clip.opening
    untuned = mean_prediction(model.networks, clip.mel)
    measured = {
        "picture_after_sound_ms": 10 * lag,
        "lag_compensated": clear,
        "opening_correlation_untuned": round(correlation(untuned @ clip.opening, opening), 3),
        "opening_correlation_held_out": round(correlation(held_out @ clip.opening, opening), 3),
    }
    return tuned, measured

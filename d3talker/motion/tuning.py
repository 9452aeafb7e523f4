"""Tune an audio-to-motion model to one person's seconds, and calibrate its amplitude."""

import copy
import logging
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from d3talker.motion.clips import Clip
from d3talker.motion.model import Calibration, MotionModel, mean_prediction
from d3talker.motion.network import MotionNet
from d3talker.motion.training import correlation, motion_loss

log = logging.getLogger("d3talker")

POOR_AGREEMENT = 0.2  # correlation of held-out and true mouth opening below which to warn


@dataclass(frozen=True)
class TuneMotionSettings:
    """Tuning of the audio-to-motion networks to the target's training seconds."""

    refit_weight: float = 1000.0  # frames that the pre-trained readout counts for when refitted
    tune_frames: int = 200  # training frames from which whole networks are tuned too
    steps: int = 40  # of tuning whole networks, over all training frames at once
    learning_rate: float = 3e-4  # of Adam, falling linearly to 0
    dropout: float = 0.3
    opening_weight: float = 1.0  # loss of the mouth opening beside the mean loss of coefficients
    folds: int = 3  # parts of the training seconds that are predicted without having been seen
    margin: float = 0.1  # widening of the training range that predictions are clamped to


@torch.no_grad()
def refit_readout(network: MotionNet, clip: Clip, weight: float) -> MotionNet:
    """A copy of the network whose readout is fitted to a clip, drawn to the pre-trained one.

    Ridge regression of what the readout misses on the features of the valid frames, solved
    exactly: with few frames little changes.
    """
    network = copy.deepcopy(network)
    seen = clip.valid > 0
    features = network.features(clip.mel[None])[0, seen]
    missed = clip.motion[seen] - network.readout(features)
    features = features - features.mean(dim=0)
    gram = features.T @ features + weight * torch.eye(features.shape[1])
    change = torch.linalg.solve(gram, features.T @ (missed - missed.mean(dim=0)))
    network.readout.weight += change.T
    return network


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
    """The networks with their readouts refitted and, if the clip is long enough, tuned as well.

    A refitted readout is safe for any length; whole networks learn more of the person but forget
    speech when the clip is short. The mean over both is better than either.
    """
    tuned = [refit_readout(network, clip, settings.refit_weight) for network in networks]
    if len(clip.motion) >= settings.tune_frames:
        tuned += [tune_network(n, clip, settings, seed + i) for i, n in enumerate(networks)]
    return tuned


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
    """Level, gain and range that turn predictions into the coefficients of a clip's person.

    `predicted` (T,C) must be of frames not trained on: there its amplitude is what it will be on
    new sound. One gain serves all coefficients, so that their interplay stays as predicted. Where
    the mouth opening correlates by r with the truth it gets sqrt(r) of the true amplitude:
    between the least-squares one (r), which mumbles, and the full one (1), which moves at random
    what sound does not tell. The range is the 1st to 99th percentile of the person's frames,
    widened on each side by `margin` of it.
    """
    seen = clip.valid > 0
    truth, predicted = clip.motion[seen], predicted[seen]
    heard = predicted @ clip.opening
    agreement = max(0.0, correlation(heard, truth @ clip.opening))
    gain = clip.std * agreement**0.5 / heard.std().clamp(min=1e-3)
    low, high = torch.quantile(truth * clip.std + clip.mean, torch.tensor([0.01, 0.99]), dim=0)
    widen = margin * (high - low)
    mean = clip.mean - gain * predicted.mean(dim=0)
    return Calibration(mean, gain, low - widen, high + widen)


def tune_motion(
    model: MotionModel, clip: Clip, settings: TuneMotionSettings, seed: int
) -> tuple[MotionModel, dict]:
    """Tune and calibrate a model to a person's clip. Returns it and what was measured."""
    held_out = cross_fitted(model.networks, clip, settings, seed)
    tuned = replace(
        model,
        networks=tune_ensemble(model.networks, clip, settings, seed),
        calibration=calibrate(clip, held_out, settings.margin),
    )
    opening = clip.motion @ clip.opening
    agreement = correlation(held_out @ clip.opening, opening)
    if agreement < POOR_AGREEMENT:
        log.warning(
            "%s: sound hardly tells how this mouth moves (correlation %.2f): the lips will move "
            "little; is the voice that of the person in the picture, and free of music?",
            clip.name,
            agreement,
        )
    untuned = mean_prediction(model.networks, clip.mel)
    measured = {
        "opening_correlation_untuned": round(correlation(untuned @ clip.opening, opening), 3),
        "opening_correlation_held_out": round(agreement, 3),
    }
    return tuned, measured

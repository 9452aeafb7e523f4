"""The audio-to-motion model: networks and one person's calibration, saved, loaded, applied."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from d3talker.artifacts import ArtifactError, load_tensors, save_tensors
from d3talker.motion.network import BANDS, HOP, MotionNet
from d3talker.speech.logmel import SAMPLES_PER_FRAME, log_mel


@dataclass(frozen=True)
class Calibration:
    """How standardised predictions become a person's coefficients; fields (C,) float32.

    coefficient = clip(mean + gain * prediction, low, high), in the units of track.npz.
    """

    mean: Tensor
    gain: Tensor
    low: Tensor
    high: Tensor


@dataclass(frozen=True)
class MotionModel:
    """An ensemble of networks.

    gap (C,): metres that a unit of each coefficient opens the lips. calibration: None for the
    model of the pre-training people, which is nobody's until it is tuned.
    """

    networks: list[MotionNet]
    gap: Tensor
    calibration: Calibration | None = None


def save_model(path: str | Path, model: MotionModel, meta: dict) -> None:
    """Write a model and what is known of its making (settings, people, correlations)."""
    tensors = {"gap": model.gap}
    for index, network in enumerate(model.networks):
        for name, tensor in network.state_dict().items():
            tensors[f"network{index}.{name}"] = tensor
    if model.calibration is not None:
        for name, tensor in vars(model.calibration).items():
            tensors[f"calibration.{name}"] = tensor
    save_tensors(path, tensors, meta | {"networks": len(model.networks)})


def load_model(path: str | Path) -> tuple[MotionModel, dict]:
    """Read a file of `save_model`: (model in evaluation mode, meta)."""
    tensors, meta = load_tensors(path)

    def part(name: str) -> dict[str, Tensor]:
        start = f"{name}."
        return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}

    try:
        gap = tensors["gap"]
        networks = [MotionNet(len(gap)).eval() for _ in range(meta["networks"])]
        for index, network in enumerate(networks):
            network.load_state_dict(part(f"network{index}"))
        values = part("calibration")
        calibration = Calibration(**values) if values else None
    except (KeyError, TypeError, RuntimeError) as error:
        raise ArtifactError(f"{path}: not an audio-to-motion model ({error})") from error
    return MotionModel(networks, gap, calibration), meta


@torch.no_grad()
def mean_prediction(networks: list[MotionNet], mel: Tensor) -> Tensor:
    """Standardised coefficients (T,C) of log-mel (4T,BANDS), the mean over the networks."""
    return torch.stack([network(mel[None])[0] for network in networks]).mean(dim=0)


def calibrated(prediction: Tensor, calibration: Calibration) -> Tensor:
    """A person's coefficients (T,C) of standardised ones (T,C)."""
    scaled = calibration.mean + calibration.gain * prediction
    return torch.clamp(scaled, calibration.low, calibration.high)


def predict_expression(model: MotionModel, samples: np.ndarray, coefficients: int) -> np.ndarray:
    """Expression (T,E) float32 of 16 kHz samples (n,), T = n // 640, E = `coefficients`.

    The first C coefficients move mouth and jaw and are predicted; the others are 0.
    """
    frames = len(samples) // SAMPLES_PER_FRAME
    mel = torch.from_numpy(log_mel(samples[: frames * SAMPLES_PER_FRAME], BANDS, HOP))
    lower = calibrated(mean_prediction(model.networks, mel), model.calibration).numpy()
    return np.pad(lower, ((0, 0), (0, coefficients - lower.shape[1])))

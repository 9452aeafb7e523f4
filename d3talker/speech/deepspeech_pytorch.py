"""DeepSpeech 2 from checkpoints of deepspeech.pytorch: letters at 50 Hz, as the paper names it.

That package is not on PyPI and is not needed: its network is rebuilt here, with modules named as in
its checkpoints: two convolutions over frequency and time, bidirectional LSTMs whose directions are
added, a linear layer. Number and width of the LSTMs are the file's; published are five of 1024
units.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from d3talker.artifacts import ArtifactError
from d3talker.metrics.weights import UNREADABLE, refusal
from d3talker.speech.logmel import SAMPLES_PER_FRAME
from d3talker.speech.windows import frame_windows

WINDOW, HOP = 320, 160  # samples of a spectrum and between spectra: 20 and 10 ms
BINS = WINDOW // 2 + 1
LETTERS = 29  # CTC's blank, apostrophe, A to Z, blank
FULL_SCALE = 32768 / 32767  # the package divides 16-bit samples by 32767
CONVOLVED = 32 * 41  # channels times what two strides leave of 161 bins
CLIP = 20.0
# Modules whose objects lie in a checkpoint beside the tensors. They are replaced by `Inert`.
BESIDE = ("deepspeech_pytorch.", "omegaconf.", "pytorch_lightning.", "typing.", "hydra.")


class Inert:
    """Stands for an object of a package that is not here: keeps nothing, does nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass

    def __hash__(self) -> int:  # it may be the key of a dictionary
        return id(self)


class EachRow(nn.Module):
    """A module over the rows of (n,C), under the name that the checkpoint has for it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, rows: Tensor) -> Tensor:
        return self.module(rows)


class Recurrent(nn.Module):
    """A bidirectional LSTM over rows (n,inputs) -> (n,hidden), the directions added."""

    def __init__(self, inputs: int, hidden: int, normalised: bool) -> None:
        super().__init__()
        self.batch_norm = EachRow(nn.BatchNorm1d(inputs)) if normalised else None
        self.rnn = nn.LSTM(inputs, hidden, bidirectional=True)

    def forward(self, rows: Tensor) -> Tensor:
        if self.batch_norm is not None:
            rows = self.batch_norm(rows)
        forwards, backwards = self.rnn(rows)[0].chunk(2, dim=1)
        return forwards + backwards


class DeepSpeech2(nn.Module):
    """Spectrum (161,n) at 100 Hz -> logits (m,29) at 50 Hz, m = (n + 1) // 2."""

    def __init__(self, hidden: int, layers: int) -> None:
        super().__init__()
        self.conv = nn.Module()
        self.conv.seq_module = nn.Sequential(
            nn.Conv2d(1, 32, (41, 11), stride=(2, 2), padding=(20, 5)),
            nn.BatchNorm2d(32),
            nn.Hardtanh(0, CLIP),
            nn.Conv2d(32, 32, (21, 11), stride=(2, 1), padding=(10, 5)),
            nn.BatchNorm2d(32),
            nn.Hardtanh(0, CLIP),
        )
        self.rnns = nn.Sequential(
            *(Recurrent(hidden if i else CONVOLVED, hidden, i > 0) for i in range(layers))
        )
        last = nn.Sequential(nn.BatchNorm1d(hidden), nn.Linear(hidden, LETTERS, bias=False))
        self.fc = nn.Sequential(EachRow(last))
        self.requires_grad_(False).eval()

    def forward(self, spectrum: Tensor) -> Tensor:
        maps = self.conv.seq_module(spectrum[None, None])[0]  # (32,41,m)
        return self.fc(self.rnns(maps.flatten(0, 1).T))


def read_checkpoint(path: str | Path) -> Mapping[str, Tensor]:
    """Tensors by name of a checkpoint, whose settings are objects of packages that are not here."""
    names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    known = [(type("Inert", (Inert,), {}), name) for name in names if name.startswith(BESIDE)]
    with torch.serialization.safe_globals(known):
        found = torch.load(path, map_location="cpu", weights_only=True)
    state = found.get("state_dict", found) if isinstance(found, Mapping) else None
    if not isinstance(state, Mapping):
        raise ArtifactError("it holds no tensors by name")
    return {name.removeprefix("model."): tensor for name, tensor in state.items()}


def load_deepspeech_pytorch(path: str | Path) -> DeepSpeech2:
    """The network in a checkpoint. Raises ArtifactError for any other file."""
    try:
        state = read_checkpoint(path)
        layers = {found[1] for name in state if (found := re.match(r"rnns\.(\d+)\.rnn\.", name))}
        if not layers or "rnns.0.rnn.weight_hh_l0" not in state:
            raise ArtifactError("lacks rnns.0.rnn.weight_hh_l0")
        rows, hidden = state["rnns.0.rnn.weight_hh_l0"].shape
        if rows != 4 * hidden:
            raise ArtifactError("its recurrent layers are no LSTMs")
        network = DeepSpeech2(hidden, len(layers))
        wanted = network.state_dict()
        if missing := [name for name in wanted if name not in state]:
            raise ArtifactError(f"lacks {', '.join(missing[:3])}")
        network.load_state_dict({name: state[name] for name in wanted})
    except UNREADABLE as error:
        raise refusal(path, "deepspeech_pytorch", error) from error
    return network


def spectrum(samples: np.ndarray) -> Tensor:
    """Standardised log magnitudes (161,n) at 100 Hz of samples in [-1,1), column i at i * 10 ms."""
    sound = torch.from_numpy((samples * FULL_SCALE).astype(np.float32))
    window = torch.hamming_window(WINDOW)  # periodic, as scipy's for spectra
    made = torch.stft(
        sound, WINDOW, HOP, window=window, center=True, pad_mode="constant", return_complex=True
    )
    logarithm = torch.log1p(made.abs())
    return (logarithm - logarithm.mean()) / logarithm.std().clamp(min=1e-6)


@torch.no_grad()
def features(samples: np.ndarray, network: DeepSpeech2) -> np.ndarray:
    """Speech features (T,16,29) float32 of 16 kHz samples (n,), T = n // 640."""
    frames = len(samples) // SAMPLES_PER_FRAME
    logits = network(spectrum(samples[: frames * SAMPLES_PER_FRAME])).numpy()
    return frame_windows(logits[: 2 * frames], frames)

"""Mozilla DeepSpeech 0.1.0: the letters that a sound suggests, 50 times a second (spec 1.2).

The network is rebuilt in torch with the weights of the frozen TensorFlow graph, which
`stages/convert_weights.py` takes out once. Layer sizes are the file's; the published ones are 2048
units, 4096 before the recurrent layer and beside each other out of it.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from python_speech_features import mfcc
from torch import Tensor, nn

from d3talker.artifacts import ArtifactError, load_tensors
from d3talker.metrics.weights import UNREADABLE, refusal
from d3talker.speech.graphdef import constants
from d3talker.speech.logmel import RATE, SAMPLES_PER_FRAME
from d3talker.speech.windows import frame_windows

CEPSTRA = 26
CONTEXT = 9  # 50 Hz rows before and after
INPUTS = CEPSTRA * (2 * CONTEXT + 1)  # 494
LETTERS = 29  # a to z, blank, apostrophe and CTC's blank
CLIP = 20.0  # of the rectified units
FORGET_BIAS = 1.0  # that TensorFlow's BasicLSTMCell adds
DENSE = ("1", "2", "3", "5", "6")  # layers h<n>, b<n>; the fourth is recurrent
DIRECTIONS = {"": "fw", "_reverse": "bw"}  # torch's suffix -> TensorFlow's name
PUBLISHED = "b90017e816572ddce84f5843f1fa21e6a377975e"  # SHA-1 of deepspeech-0_1_0-b90017e8.pb


def recurrent(direction: str, part: str) -> str:
    """Name of the kernel or bias of the LSTM of one direction in the graph."""
    return f"bidirectional_rnn/{direction}/basic_lstm_cell/{part}"


NAMES = [f"{kind}{layer}" for layer in DENSE for kind in "hb"]
NAMES += [recurrent(d, part) for d in DIRECTIONS.values() for part in ("kernel", "bias")]


class DeepSpeech(nn.Module):
    """Rows of context (n,494) -> logits (n,29)."""

    def __init__(self, first: int, second: int, third: int, cells: int, fifth: int) -> None:
        super().__init__()
        sizes = {
            "1": (INPUTS, first),
            "2": (first, second),
            "3": (second, third),
            "5": (2 * cells, fifth),
            "6": (fifth, LETTERS),
        }
        self.dense = nn.ModuleDict({name: nn.Linear(*size) for name, size in sizes.items()})
        self.recurrent = nn.LSTM(third, cells, bidirectional=True)
        self.requires_grad_(False).eval()

    def forward(self, rows: Tensor) -> Tensor:
        x = rows
        for layer in "123":
            x = self.dense[layer](x).clamp(0, CLIP)
        x, _ = self.recurrent(x)
        return self.dense["6"](self.dense["5"](x).clamp(0, CLIP))


def shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shapes that all tensors must have, given the widths of h1, h2, h3, b5 and a kernel."""
    h1, h2, h3 = (tensors[f"h{n}"].shape[1] for n in "123")
    cells, h5 = tensors[recurrent("fw", "kernel")].shape[1] // 4, tensors["b5"].shape[0]
    widths = {"1": (INPUTS, h1), "2": (h1, h2), "3": (h2, h3), "5": (2 * cells, h5)}
    wanted: dict[str, tuple[int, ...]] = {}
    for layer, size in (widths | {"6": (h5, LETTERS)}).items():
        wanted |= {f"h{layer}": size, f"b{layer}": size[1:]}
    for direction in DIRECTIONS.values():
        wanted[recurrent(direction, "kernel")] = (h3 + cells, 4 * cells)
        wanted[recurrent(direction, "bias")] = (4 * cells,)
    return wanted


def from_graph_tensors(tensors: Mapping[str, Tensor]) -> DeepSpeech:
    """The network of the graph's constants; raises ArtifactError if they do not belong together."""
    if missing := [name for name in NAMES if name not in tensors]:
        raise ArtifactError(f"lacks {', '.join(missing)}")
    for name, wanted in shapes(tensors).items():
        if tuple(tensors[name].shape) != wanted:
            raise ArtifactError(f"{name} is {tuple(tensors[name].shape)}, not {wanted}")
    sizes = [tensors[f"h{n}"].shape[1] for n in "123"]
    cells = tensors[recurrent("fw", "kernel")].shape[1] // 4
    network = DeepSpeech(*sizes, cells, tensors["b5"].shape[0])
    state = {}
    for layer in DENSE:
        state[f"dense.{layer}.weight"] = tensors[f"h{layer}"].T.contiguous()
        state[f"dense.{layer}.bias"] = tensors[f"b{layer}"]
    for suffix, direction in DIRECTIONS.items():
        kernel, bias = (tensors[recurrent(direction, part)] for part in ("kernel", "bias"))
        # TensorFlow: rows of the input, then of the state; columns i, j (candidate), f, o.
        i, j, f, o = kernel.T.split(cells)
        weight = torch.cat([i, f, j, o])
        state[f"recurrent.weight_ih_l0{suffix}"] = weight[:, : sizes[2]].contiguous()
        state[f"recurrent.weight_hh_l0{suffix}"] = weight[:, sizes[2] :].contiguous()
        i, j, f, o = bias.split(cells)
        state[f"recurrent.bias_ih_l0{suffix}"] = torch.cat([i, f + FORGET_BIAS, j, o])
        state[f"recurrent.bias_hh_l0{suffix}"] = torch.zeros(4 * cells)
    network.load_state_dict(state)
    return network


def load_deepspeech(path: str | Path) -> DeepSpeech:
    """The converted weights. Raises ArtifactError, which says how to make them, for other files."""
    try:
        if Path(path).suffix == ".pb":
            raise ArtifactError("the frozen graph itself, which is to be converted once")
        return from_graph_tensors(load_tensors(path)[0])
    except UNREADABLE as error:
        raise refusal(path, "deepspeech", error) from error


def read_graph(path: str | Path) -> tuple[dict[str, Tensor], str]:
    """The network's constants in a frozen graph, and the file's SHA-1.

    Raises ArtifactError for a file that has the published one's name and is another, or that lacks
    layers.
    """
    with Path(path).open("rb") as file:
        sha1 = hashlib.file_digest(file, "sha1").hexdigest()
    if PUBLISHED[:8] in Path(path).name and sha1 != PUBLISHED:
        raise ArtifactError(f"{path}: its SHA-1 is {sha1}, not {PUBLISHED}: fetch it again")
    found = constants(path)
    tensors = {name: torch.from_numpy(found[name].copy()) for name in NAMES if name in found}
    try:
        from_graph_tensors(tensors)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: not the graph of DeepSpeech 0.1.0 ({error})") from error
    return tensors, sha1


def context_rows(samples: np.ndarray) -> np.ndarray:
    """What the network hears of samples (n,) in [-1,1): (m,494) float32 at 50 Hz.

    26 cepstra of every second 10 ms, each row with the nine rows before and after, zeros beyond the
    ends; then one mean and one standard deviation for the whole matrix.
    """
    loud = np.round(samples.astype(np.float64) * 32768)
    cepstra = np.pad(mfcc(loud, RATE, numcep=CEPSTRA)[::2], ((CONTEXT, CONTEXT), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(cepstra, 2 * CONTEXT + 1, axis=0)
    rows = windows.transpose(0, 2, 1).reshape(len(windows), INPUTS)
    return ((rows - rows.mean()) / rows.std()).astype(np.float32)


@torch.no_grad()
def deepspeech_features(samples: np.ndarray, network: DeepSpeech) -> np.ndarray:
    """Speech features (T,16,29) float32 of samples (n,), T = n // 640."""
    frames = len(samples) // SAMPLES_PER_FRAME
    rows = context_rows(samples[: frames * SAMPLES_PER_FRAME])
    logits = network(torch.from_numpy(rows)).numpy()
    # Both rates are 50 Hz, so that interpolation to 2 T rows only repeats the last one; then the
    # original's window of one row leaves out the last.
    rows = np.minimum(np.arange(2 * frames - 1), len(logits) - 1)
    return frame_windows(logits[rows], frames)

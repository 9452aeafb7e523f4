"""SyncNet v2: whether lips and speech belong together (Chung and Zisserman 2016; spec 7.6)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from python_speech_features import mfcc
from torch import Tensor, nn
from torch.nn import functional as F

from d3talker.metrics.scores import Undefined
from d3talker.metrics.weights import UNREADABLE, check_digest, refusal

RATE, SAMPLES_PER_FRAME = 16000, 640
CLIP = 5  # frames, 0.2 s, that a pair of embeddings shows
COLUMNS_PER_FRAME = 4  # of the MFCC, 100 Hz
SHIFT = 15  # frames, largest shift of the sound to each side
BATCH = 20
FULL_SCALE = 32768  # the MFCC are those of 16-bit numbers: the energy is among them
COUNTER = "num_batches_tracked"  # of batch norm in training; files of old versions lack it


class SyncNet(nn.Module):
    """Both streams, with modules and tensors named as in the published file."""

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(
            *block(nn.Conv2d, 1, 64, 3, padding=1),
            nn.MaxPool2d(1),
            *block(nn.Conv2d, 64, 192, 3, padding=1),
            nn.MaxPool2d(3, (1, 2)),
            *block(nn.Conv2d, 192, 384, 3, padding=1),
            *block(nn.Conv2d, 384, 256, 3, padding=1),
            *block(nn.Conv2d, 256, 256, 3, padding=1),
            nn.MaxPool2d(3, 2),
            *block(nn.Conv2d, 256, 512, (5, 4)),
        )
        flat = {"padding": (0, 1, 1)}
        self.netcnnlip = nn.Sequential(
            *block(nn.Conv3d, 3, 96, (5, 7, 7), stride=(1, 2, 2)),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *block(nn.Conv3d, 96, 256, (1, 5, 5), stride=(1, 2, 2), **flat),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), **flat),
            *block(nn.Conv3d, 256, 256, (1, 3, 3), **flat),
            *block(nn.Conv3d, 256, 256, (1, 3, 3), **flat),
            *block(nn.Conv3d, 256, 256, (1, 3, 3), **flat),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *block(nn.Conv3d, 256, 512, (1, 6, 6)),
        )
        self.netfcaud, self.netfclip = head(), head()
        self.requires_grad_(False).eval()

    def hear(self, columns: Tensor) -> Tensor:
        """Embeddings (B,1024) of MFCC (B,1,13,20)."""
        return self.netfcaud(self.netcnnaud(columns).flatten(1))

    def see(self, clips: Tensor) -> Tensor:
        """Embeddings (B,1024) of clips (B,3,5,224,224), BGR, 0..255."""
        return self.netfclip(self.netcnnlip(clips).flatten(1))


def block(convolution: type, inside: int, outside: int, kernel, **options) -> list[nn.Module]:
    """A convolution in two or three dimensions, batch norm and ReLU."""
    norm = {nn.Conv2d: nn.BatchNorm2d, nn.Conv3d: nn.BatchNorm3d}[convolution]
    return [convolution(inside, outside, kernel, **options), norm(outside), nn.ReLU()]


def head() -> nn.Sequential:
    """The fully connected end of a stream."""
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024))


def load_syncnet(path: str | Path) -> SyncNet:
    """The network in syncnet_v2.model, or in a file of tensors of the same names and shapes.

    Raises ArtifactError, which says where the file is to be had, for any other file.
    """
    network = SyncNet()
    try:
        check_digest(path, "syncnet")
        state = dict(torch.load(path, map_location="cpu", weights_only=True))
        counters = {n: t for n, t in network.state_dict().items() if n.endswith(COUNTER)}
        network.load_state_dict(counters | state)
    except UNREADABLE as error:
        raise refusal(path, "syncnet", error) from error
    return network


@dataclass(frozen=True)
class Agreement:
    """Mean distance of lips and speech by shift of the speech: (31,), -15 to 15 frames."""

    distances: np.ndarray

    @property
    def sync_d(self) -> float:
        return float(self.distances.min())

    @property
    def sync_c(self) -> float:
        return float(np.median(self.distances) - self.distances.min())

    @property
    def offset(self) -> int:
        """Frames by which the speech has to come later to fit best; SyncNet's sign."""
        return SHIFT - int(self.distances.argmin())


@torch.no_grad()
def measure(network: SyncNet, faces: Sequence[np.ndarray], samples: np.ndarray) -> Agreement:
    """How well a face track and its sound agree.

    faces: T crops (224,224,3) uint8 RGB; samples: (640 T,) float32 in [-1,1), 16 kHz.
    Raises Undefined if there is no whole clip.
    """
    frames = min(len(faces), len(samples) // SAMPLES_PER_FRAME)
    starts = range(frames - CLIP)
    if len(starts) == 0:
        raise Undefined(f"{frames} frames with sound are too few for SyncNet, which sees {CLIP}")
    columns = mfcc_columns(samples)
    seen, heard = [], []
    for batch in batches(starts):
        clips = torch.from_numpy(np.stack([clip(faces[v : v + CLIP]) for v in batch]))
        seen.append(network.see(clips))
        first = [COLUMNS_PER_FRAME * v for v in batch]
        sounds = torch.stack([columns[:, v : v + COLUMNS_PER_FRAME * CLIP] for v in first])
        heard.append(network.hear(sounds[:, None]))
    return Agreement(distances_by_shift(torch.cat(seen), torch.cat(heard)))


def batches(starts: range) -> Iterator[range]:
    for first in range(0, len(starts), BATCH):
        yield starts[first : first + BATCH]


def clip(faces: Sequence[np.ndarray]) -> np.ndarray:
    """Five crops (224,224,3) uint8 RGB as SyncNet sees them: (3,5,224,224) float32 BGR, 0..255."""
    return np.stack(faces)[..., ::-1].astype(np.float32).transpose(3, 0, 1, 2)


def mfcc_columns(samples: np.ndarray) -> Tensor:
    """Cepstra (13,n) float32 at 100 Hz of sound (N,) in [-1,1); the first is the log energy."""
    loud = np.round(samples.astype(np.float64) * FULL_SCALE)
    return torch.from_numpy(mfcc(loud, RATE).T.astype(np.float32))


def distances_by_shift(seen: Tensor, heard: Tensor) -> np.ndarray:
    """Distances of embeddings (n,1024) by shift, mean over n: (31,).

    The sound is continued by zeros, so that the ends count as well.
    """
    padded = F.pad(heard, (0, 0, SHIFT, SHIFT))
    shifts = range(2 * SHIFT + 1)
    distances = [F.pairwise_distance(seen, padded[s : s + len(seen)]).mean() for s in shifts]
    return torch.stack(distances).numpy()


def mean_agreement(agreements: Sequence[Agreement]) -> dict[str, float]:
    """Sync-C, Sync-D and offset, means over a video's tracks."""
    if not agreements:
        raise Undefined("S3FD follows no face of more than 100 px for more than 100 frames")
    names = ("sync_c", "sync_d", "offset")
    return {name: float(np.mean([getattr(a, name) for a in agreements])) for name in names}

"""HuBERT and wav2vec 2.0 from a folder, by transformers in the environment `speech`.

Nothing is downloaded. Sound is heard in parts of 20 s (spec 1.2, 5.1).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoFeatureExtractor, HubertModel, Wav2Vec2ForCTC

from d3talker.artifacts import ArtifactError
from d3talker.metrics.weights import UNREADABLE, refusal
from d3talker.speech.logmel import RATE, SAMPLES_PER_FRAME
from d3talker.speech.pretrained_folder import HUBERT_CHANNELS, check_folder
from d3talker.speech.windows import frame_windows

HOP, KERNEL = 320, 400  # samples between rows, and under one row
PART = 1000 * HOP  # samples heard at once


class Listener:
    """A network and how its folder says that sound is to be normalised."""

    def __init__(self, key: str, folder: str | Path, network: type) -> None:
        self.config = check_folder(key, folder)
        try:
            self.normalise = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
            found, told = network.from_pretrained(
                folder, local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
            # What the file lacks would be random. Masks are of training alone.
            missing = [n for n in told["missing_keys"] if not n.endswith("masked_spec_embed")]
            if missing:
                raise ArtifactError(f"lacks {', '.join(sorted(missing)[:3])}")
            self.network: nn.Module = found.eval()
        except UNREADABLE as error:
            raise refusal(folder, key, error) from error

    @torch.no_grad()
    def rows(self, samples: np.ndarray, of: Callable[[Tensor], Tensor]) -> np.ndarray:
        """`of` the normalised sound (1,n), part by part: (m,C) float32, m = (n - 80) // 320."""
        values = self.normalise(samples, sampling_rate=RATE, return_tensors="pt").input_values
        count = (len(samples) - (KERNEL - HOP)) // HOP
        parts = []
        for start in range(0, count * HOP, PART):
            part = values[:, start : start + PART + KERNEL - HOP]
            if part.shape[1] >= KERNEL:
                parts.append(of(part)[0].numpy())
        return np.concatenate(parts)[:count]


def load_hubert(folder: str | Path) -> Listener:
    """HuBERT-large. Raises ArtifactError for a folder that is not it."""
    return Listener("hubert", folder, HubertModel)


def hubert_rows(samples: np.ndarray, hubert: Listener) -> np.ndarray:
    """Last hidden states (m,1024) float32 at 50 Hz of 16 kHz samples (n,), m = (n - 80) // 320."""
    return hubert.rows(samples, lambda part: hubert.network(part).last_hidden_state)


def hubert_features(samples: np.ndarray, folder: str | Path) -> np.ndarray:
    """Speech features (T,2,1024) float32, T = n // 640: the two rows of each frame.

    The sound ends within its last row, which is that before it once more.
    """
    rows = hubert_rows(samples, load_hubert(folder))
    frames = len(samples) // SAMPLES_PER_FRAME
    rows = rows[np.minimum(np.arange(2 * frames), len(rows) - 1)]
    return rows.reshape(frames, 2, HUBERT_CHANNELS)


def wav2vec_features(samples: np.ndarray, folder: str | Path) -> np.ndarray:
    """Speech features (T,16,44) float32, T = n // 640, of the letters of a wav2vec 2.0."""
    wav2vec = Listener("wav2vec", folder, Wav2Vec2ForCTC)
    frames = len(samples) // SAMPLES_PER_FRAME
    rows = wav2vec.rows(samples, lambda part: wav2vec.network(part).logits)
    return frame_windows(rows[: 2 * frames], frames)

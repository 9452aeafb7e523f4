"""Speech features by their name in `backends.speech`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from d3talker.cli import InputError
from d3talker.metrics.weights import catalogue
from d3talker.speech import logmel


def extract(name: str, samples: np.ndarray, weights: str | Path | None) -> tuple[np.ndarray, dict]:
    """Features (T,W,C) float32 of 16 kHz samples (n,), T = n // 640, and what is known of them.

    `weights` is the file of `models.<name>`, of a folder that which holds the weights. Raises
    InputError without one where it is needed.
    """
    about = {"extractor": name, "fps": 25}
    if name == "logmel":
        about["normalisation"] = "each band: mean 0, std 1 per clip"
        return logmel.speech_features(samples), about
    if weights is None:
        raise InputError(f"--extractor {name} needs --weights: {catalogue()[name].source}")
    features = _network(name)(samples, weights)
    return features, about | {"weights": Path(weights).name}


def _network(name: str) -> Callable[[np.ndarray, str | Path], np.ndarray]:
    """What hears samples with the network in a file; the packages it needs are imported."""
    if name == "deepspeech":
        from d3talker.speech.deepspeech import deepspeech_features, load_deepspeech

        return lambda samples, file: deepspeech_features(samples, load_deepspeech(file))
    if name == "deepspeech_pytorch":
        from d3talker.speech import deepspeech_pytorch as own

        return lambda samples, file: own.features(samples, own.load_deepspeech_pytorch(file))
    from d3talker.speech import transformer

    if name == "hubert":
        return lambda samples, file: transformer.hubert_features(samples, Path(file).parent)
    return lambda samples, file: transformer.wav2vec_features(samples, Path(file).parent)

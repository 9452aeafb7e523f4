"""Log-mel energies of 16 kHz sound, and speech features made of them.

The speech features stand in for the DeepSpeech logits of the original pipelines: the same shape
(T,16,29), the same window layout, but 29 log-mel bands where DeepSpeech has 29 characters.
"""

from pathlib import Path

import numpy as np
import scipy.io.wavfile

from d3talker.cli import InputError
from d3talker.speech.windows import frame_windows

RATE = 16000  # Hz
SAMPLES_PER_FRAME = 640  # of a 25 fps video
FFT_SIZE = 512
WINDOW = 400  # samples, 25 ms
LOW_HZ, HIGH_HZ = 60.0, 7600.0
ENERGY_FLOOR = 1e-6  # of a signal whose RMS is LEVEL: about -34 dB below the mean of a band
LEVEL = 0.05  # RMS that every clip is scaled to before the logarithm

FEATURE_BANDS = 29  # channels of DeepSpeech
FEATURE_HOP = 320  # samples, 50 Hz


def read_wav(path: str | Path) -> np.ndarray:
    """Samples (n,) float32 in [-1,1] of a 16 kHz mono WAV of at least one frame."""
    try:
        rate, samples = scipy.io.wavfile.read(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable WAV file ({error})") from error
    if rate != RATE or samples.ndim != 1 or samples.dtype != np.int16:
        raise InputError(
            f"{path}: must be {RATE} Hz mono 16-bit, is {rate} Hz, shape {samples.shape}, "
            f"{samples.dtype}; convert it with stages/ingest_audio.py"
        )
    if len(samples) < SAMPLES_PER_FRAME:
        raise InputError(f"{path}: {len(samples)} samples are less than one video frame")
    return samples.astype(np.float32) / 32768


def mel_filterbank(bands: int) -> np.ndarray:
    """Triangular filters (bands, FFT_SIZE/2+1) float32, equally spaced in mel, unit sum each."""
    low, high = 2595 * np.log10(1 + np.array([LOW_HZ, HIGH_HZ]) / 700)
    edges = 700 * (10 ** (np.linspace(low, high, bands + 2) / 2595) - 1)
    frequencies = np.arange(FFT_SIZE // 2 + 1) * RATE / FFT_SIZE
    rising = (frequencies - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - frequencies) / np.diff(edges)[1:, None]
    filters = np.maximum(0, np.minimum(rising, falling))
    return (filters / filters.sum(axis=1, keepdims=True)).astype(np.float32)


def log_mel(samples: np.ndarray, bands: int, hop: int) -> np.ndarray:
    """Standardised log-mel energies (len(samples)//hop, bands) float32 of samples (n,).

    Row i is a 25 ms Hann window centred on sample i * hop; outside the clip there is silence.
    Each clip is scaled to one RMS first, and each band is then brought to mean 0 and standard
    deviation 1 over the clip, so that microphone and level do not matter. Silence gives zeros.
    """
    level = np.sqrt(np.mean(np.square(samples, dtype=np.float64)))
    scaled = samples * np.float32(LEVEL / max(level, 1e-4))
    padded = np.pad(scaled, WINDOW // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::hop]
    windows = windows[: len(samples) // hop] * np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    power = np.abs(np.fft.rfft(windows, FFT_SIZE)) ** 2
    energy = np.log(power @ mel_filterbank(bands).T + ENERGY_FLOOR)
    energy = (energy - energy.mean(axis=0)) / (energy.std(axis=0) + 1e-3)
    return energy.astype(np.float32)


def speech_features(samples: np.ndarray) -> np.ndarray:
    """Speech features (T,16,29) float32 of samples (n,), T = n // 640 (spec 1.2, step 7).

    Windows of 16 rows of 29 standardised bands at 50 Hz: windows.py.
    """
    frames = len(samples) // SAMPLES_PER_FRAME
    rows = log_mel(samples[: frames * SAMPLES_PER_FRAME], FEATURE_BANDS, FEATURE_HOP)
    return frame_windows(rows, frames)

"""A small formant synthesizer that speaks random syllables with known timing.

Source-filter synthesis: a glottal pulse train and white noise pass through resonators whose
frequencies follow the phones. The same phones give the targets of the mouth, so sound and lips
agree by construction. The vowel formants are the means of Peterson and Barney (1952), male voices.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from d3talker.split import FPS

RATE = 16000  # samples per second
STEP = 0.01  # seconds between phone labels and between changes of the filters
STEP_SAMPLES = int(RATE * STEP)
BANDWIDTHS = (80.0, 100.0, 140.0)  # Hz, of the three formants
LIP_SMOOTHING = 0.035  # s, standard deviation: how far ahead the lips prepare the next phone
CLOSURE_SMOOTHING = 0.015  # s, the same for the closure of /m b p/, which is fast
FORMANT_SMOOTHING = 0.02  # s
NOISE_LEVEL = 0.08  # of the noise source, beside vowels of peak 1
ROOM_LEVEL = 0.001  # of the background noise, so that silence is not digital zero


@dataclass(frozen=True)
class Phone:
    """How a phone sounds and what the mouth does.

    formants: F1-F3 in Hz; duration: seconds; voice, noise: amplitudes of the two sources;
    noise_band: centre frequency and bandwidth of the noise in Hz; opening: lip gap, 0 closed to 1
    wide open; spread: lip width, -1 rounded to 1 spread; closed: whether the lips must touch.
    """

    formants: tuple[float, float, float]
    duration: float
    voice: float
    noise: float
    opening: float
    spread: float
    noise_band: tuple[float, float] = (3000.0, 2000.0)
    closed: bool = False


SILENCE = "sil"
PHONES = {
    SILENCE: Phone((500, 1500, 2500), 0.30, 0.0, 0.0, 0.03, 0.0),
    "a": Phone((730, 1090, 2440), 0.16, 1.0, 0.0, 1.00, 0.1),
    "e": Phone((530, 1840, 2480), 0.14, 0.9, 0.0, 0.55, 0.6),
    "i": Phone((270, 2290, 3010), 0.14, 0.8, 0.0, 0.25, 1.0),
    "o": Phone((570, 840, 2410), 0.15, 0.9, 0.0, 0.60, -0.7),
    "u": Phone((300, 870, 2240), 0.14, 0.8, 0.0, 0.22, -1.0),
    "m": Phone((250, 1000, 2200), 0.09, 0.25, 0.0, 0.0, 0.0, closed=True),
    "n": Phone((250, 1500, 2500), 0.08, 0.25, 0.0, 0.18, 0.1),
    "l": Phone((360, 1300, 2700), 0.07, 0.5, 0.0, 0.30, 0.1),
    "w": Phone((290, 650, 2150), 0.08, 0.5, 0.0, 0.12, -1.0),
    "b": Phone((250, 900, 2200), 0.09, 0.08, 0.0, 0.0, 0.0, (1000, 1500), closed=True),
    "p": Phone((400, 900, 2200), 0.10, 0.0, 0.0, 0.0, 0.0, (1000, 1500), closed=True),
    "t": Phone((400, 1700, 2600), 0.09, 0.0, 0.0, 0.15, 0.2, (4000, 2500)),
    "k": Phone((400, 1800, 2300), 0.09, 0.0, 0.0, 0.25, 0.0, (2200, 1000)),
    "f": Phone((400, 1200, 2300), 0.10, 0.0, 0.10, 0.06, 0.1, (5000, 4500)),
    "s": Phone((400, 1700, 2600), 0.11, 0.0, 0.30, 0.12, 0.4, (6000, 2000)),
    "sh": Phone((400, 1700, 2500), 0.11, 0.0, 0.30, 0.18, -0.7, (3000, 1500)),
}
VOWELS = ("a", "e", "i", "o", "u")
CODAS = ("n", "m", "s", "l")
PLOSIVES = ("b", "p", "t", "k")
ONSETS = tuple(name for name in PHONES if name not in (*VOWELS, SILENCE))


@dataclass(frozen=True)
class Voice:
    """pitch: mean fundamental frequency in Hz; formant_scale: 1 for a male vocal tract, larger
    for a shorter one; pace: 1 normal, larger is slower."""

    pitch: float = 120.0
    formant_scale: float = 1.0
    pace: float = 1.0


def random_phones(rng: np.random.Generator, seconds: float, pace: float = 1.0) -> np.ndarray:
    """Labels of random syllables in phrases with pauses: (seconds / STEP,) strings of PHONES."""
    steps = round(seconds / STEP)
    labels: list[str] = []

    def add(name: str) -> None:
        duration = PHONES[name].duration * pace * rng.uniform(0.8, 1.25)
        labels.extend([name] * round(duration / STEP))

    while len(labels) < steps:
        add(SILENCE)
        for _ in range(rng.integers(4, 10)):
            if rng.random() < 0.9:
                add(rng.choice(ONSETS))
            add(rng.choice(VOWELS))
            if rng.random() < 0.2:
                add(rng.choice(CODAS))
    return np.array(labels[:steps])


def mouth_targets(labels: np.ndarray) -> np.ndarray:
    """Lip opening and spread of every video frame, (T,2), with coarticulation.

    The targets of the phones are smoothed in time; a closed phone then closes the lips fully,
    whatever its neighbours want. Frame i takes the value at its middle.
    """
    smooth = LIP_SMOOTHING / STEP
    opening = gaussian_filter1d(per_step(labels, "opening"), smooth, mode="nearest")
    spread = gaussian_filter1d(per_step(labels, "spread"), smooth, mode="nearest")
    closed = gaussian_filter1d(per_step(labels, "closed"), CLOSURE_SMOOTHING / STEP)
    opening *= 1 - np.clip(1.2 * closed, 0, 1)
    frames = round(len(labels) * STEP * FPS)
    middle = (np.arange(frames) + 0.5) / FPS / STEP - 0.5
    steps = np.arange(len(labels))
    return np.stack([np.interp(middle, steps, opening), np.interp(middle, steps, spread)], axis=1)


def synthesize(labels: np.ndarray, voice: Voice, rng: np.random.Generator) -> np.ndarray:
    """Speak phone `labels` (one per STEP): (len(labels) * STEP_SAMPLES,) float32 in [-1,1]."""
    smooth = 0.01 / STEP
    voiced = gaussian_filter1d(per_step(labels, "voice"), smooth)
    noise = gaussian_filter1d(per_step(labels, "noise") + bursts(labels), smooth / 2)
    formants = per_step(labels, "formants") * voice.formant_scale
    formants = gaussian_filter1d(formants, FORMANT_SMOOTHING / STEP, axis=0)

    sound = upsample(voiced) * glottal_source(pitch_contour(labels, voice, rng), rng)
    for frequencies, bandwidth in zip(formants.T, BANDWIDTHS, strict=True):
        sound = resonate(sound, frequencies, np.full(len(labels), bandwidth))
    hiss = upsample(noise) * rng.standard_normal(len(labels) * STEP_SAMPLES)
    band = per_step(labels, "noise_band")
    hiss = resonate(hiss, band[:, 0], band[:, 1])
    sound = sound / max(np.abs(sound).max(), 1e-9) + NOISE_LEVEL * hiss
    sound += ROOM_LEVEL * rng.standard_normal(len(sound))
    return (0.7 * sound / max(np.abs(sound).max(), 1e-9)).astype(np.float32)


def per_step(labels: np.ndarray, field: str) -> np.ndarray:
    """The value of a Phone's `field` for each label: (n,) or (n,k) float64."""
    table = {name: getattr(phone, field) for name, phone in PHONES.items()}
    return np.array([table[name] for name in labels], float)


def bursts(labels: np.ndarray) -> np.ndarray:
    """Noise amplitude of the releases: the last step of every plosive, (n,)."""
    plosive = np.isin(labels, PLOSIVES)
    return 0.5 * (plosive & (np.roll(labels, -1) != labels))


def pitch_contour(labels: np.ndarray, voice: Voice, rng: np.random.Generator) -> np.ndarray:
    """Fundamental frequency per step in Hz (n,): falls through each phrase, starts anew after a
    pause, with slow random movement."""
    silent = labels == SILENCE
    start = np.maximum.accumulate(np.where(silent, np.arange(len(labels)), 0))
    since = (np.arange(len(labels)) - start) * STEP
    wander = gaussian_filter1d(rng.standard_normal(len(labels)), 12.0)
    wander /= wander.std() + 1e-9
    return voice.pitch * (1.12 - 0.12 * np.minimum(since, 2.0) + 0.05 * wander)


def glottal_source(pitch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pulse train at `pitch` Hz per step with 1 % jitter, -6 dB per octave after lip radiation."""
    jitter = 1 + 0.01 * rng.standard_normal(len(pitch))
    phase = np.cumsum(upsample(pitch * jitter) / RATE)
    pulses = np.diff(np.floor(phase), prepend=0.0)
    return lfilter([1.0], [1.0, -0.95], pulses)


def resonate(signal: np.ndarray, frequencies: np.ndarray, bandwidths: np.ndarray) -> np.ndarray:
    """Pass `signal` through one two-pole resonator of unit gain at 0 Hz that changes every step.

    frequencies, bandwidths: (n,) Hz; the signal has n * STEP_SAMPLES samples.
    """
    radius = np.exp(-np.pi * bandwidths / RATE)
    a1 = -2 * radius * np.cos(2 * np.pi * frequencies / RATE)
    a2 = radius**2
    out = np.empty_like(signal)
    state = np.zeros(2)
    for i in range(len(frequencies)):
        block = slice(i * STEP_SAMPLES, (i + 1) * STEP_SAMPLES)
        denominator = [1.0, a1[i], a2[i]]
        out[block], state = lfilter([sum(denominator)], denominator, signal[block], zi=state)
    return out


def upsample(values: np.ndarray) -> np.ndarray:
    """Linear interpolation of one value per step to one per sample."""
    samples = np.arange(len(values) * STEP_SAMPLES) / STEP_SAMPLES - 0.5
    return np.interp(samples, np.arange(len(values)), values)

"""The pitch of a voice as the audio-to-motion network of Real3D-Portrait hears it (spec 5.1)."""

import numpy as np

from d3talker.speech.logmel import RATE

STEP_S = 0.02  # 50 Hz
FLOOR_HZ, CEILING_HZ, VOICING = 80.0, 750.0, 0.6  # of Praat's autocorrelation
LOW_HZ, HIGH_HZ, STEPS = 50.0, 1100.0, 255  # of the coarse scale


def pitch(samples: np.ndarray, rows: int) -> np.ndarray:
    """Fundamental frequency (rows,) float32 in Hz at 50 Hz of 16 kHz samples (n,); 0: unvoiced.

    By Praat's autocorrelation, cut to `rows` or continued with its last value. Needs parselmouth,
    which the environment `speech` has.
    """
    import parselmouth

    sound = parselmouth.Sound(samples.astype(np.float64), RATE)
    found = sound.to_pitch_ac(
        time_step=STEP_S,
        pitch_floor=FLOOR_HZ,
        voicing_threshold=VOICING,
        pitch_ceiling=CEILING_HZ,
    ).selected_array["frequency"][:rows]
    return np.pad(found, (0, rows - len(found)), mode="edge").astype(np.float32)


def coarse(frequency: np.ndarray) -> np.ndarray:
    """Steps 1..255, equal in mel between 50 and 1100 Hz, of frequencies (n,) Hz; unvoiced is 1."""
    mel, low, high = (
        1127 * np.log1p(np.asarray(f, np.float64) / 700) for f in (frequency, LOW_HZ, HIGH_HZ)
    )
    steps = np.rint((mel - low) * (STEPS - 1) / (high - low) + 1)
    return np.where(np.asarray(frequency) > 0, np.clip(steps, 1, STEPS), 1).astype(np.int64)

"""The demo people's voice: sound and mouth follow the same phones."""

import pytest

pytest.importorskip("scipy")

import numpy as np
from scipy.linalg import solve_toeplitz

from d3talker.demo.voice import (
    PHONES,
    RATE,
    STEP_SAMPLES,
    VOWELS,
    Voice,
    mouth_targets,
    random_phones,
    synthesize,
)


def formants_by_lpc(sound: np.ndarray, order: int = 12) -> np.ndarray:
    """Resonance frequencies in Hz, ascending, of a steady sound at 16 kHz."""
    emphasised = np.append(0, sound[1:] - 0.95 * sound[:-1]) * np.hamming(len(sound))
    correlation = np.correlate(emphasised, emphasised, "full")[len(sound) - 1 :][: order + 1]
    predictor = solve_toeplitz(correlation[:-1], correlation[1:])
    roots = np.roots(np.r_[1, -predictor])
    roots = roots[(roots.imag > 0) & (np.abs(roots) > 0.9)]
    return np.sort(np.angle(roots) * RATE / (2 * np.pi))


@pytest.mark.parametrize("vowel", VOWELS)
def test_vowel_has_its_first_two_formants(vowel):
    sound = synthesize(np.array([vowel] * 80), Voice(pitch=90), np.random.default_rng(0))
    found = formants_by_lpc(sound[RATE // 5 : RATE // 2].astype(float))
    for expected in PHONES[vowel].formants[:2]:
        assert np.abs(found - expected).min() < 0.12 * expected + 30


def test_shorter_vocal_tract_raises_the_formants():
    labels = np.array(["a"] * 80)
    low, high = (
        formants_by_lpc(synthesize(labels, Voice(90, scale), np.random.default_rng(0))[3000:9000])
        for scale in (1.0, 1.2)
    )
    assert high[0] > 1.1 * low[0]


def test_fricative_is_high_and_vowel_is_low():
    def centroid(phone: str) -> float:
        sound = synthesize(np.array([phone] * 50), Voice(), np.random.default_rng(0))
        power = np.abs(np.fft.rfft(sound)) ** 2
        return (power * np.fft.rfftfreq(len(sound), 1 / RATE)).sum() / power.sum()

    assert centroid("s") > 4000
    assert centroid("a") < 1500


@pytest.mark.parametrize("phone", [name for name, phone in PHONES.items() if phone.closed])
def test_closed_phone_closes_the_lips_between_open_vowels(phone):
    labels = np.array(["a"] * 20 + [phone] * 8 + ["a"] * 20)
    opening = mouth_targets(labels)[:, 0]
    assert opening[6] < 0.05
    assert opening[2] > 0.9


def test_rounded_and_spread_vowels_differ_in_lip_width():
    assert mouth_targets(np.array(["u"] * 40))[5, 1] < -0.9
    assert mouth_targets(np.array(["i"] * 40))[5, 1] > 0.9


def test_silence_is_quiet():
    labels = np.array(["a"] * 30 + ["sil"] * 40)
    sound = synthesize(labels, Voice(), np.random.default_rng(0))
    vowel, silence = sound[: 25 * STEP_SAMPLES], sound[40 * STEP_SAMPLES :]
    assert silence.std() < 0.02 * vowel.std()


def test_lengths_follow_the_labels():
    labels = random_phones(np.random.default_rng(3), 2.0)
    assert len(labels) == 200
    assert len(synthesize(labels, Voice(), np.random.default_rng(0))) == 2 * RATE
    assert mouth_targets(labels).shape == (50, 2)


def test_same_seed_same_utterance_other_seed_another():
    first, again, other = (random_phones(np.random.default_rng(seed), 4.0) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    sounds = [synthesize(first, Voice(), np.random.default_rng(5)) for _ in range(2)]
    np.testing.assert_array_equal(*sounds)

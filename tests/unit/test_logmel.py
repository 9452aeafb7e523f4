"""Speech features have DeepSpeech's window layout."""

import numpy as np
import pytest

pytest.importorskip("scipy")

import scipy.io.wavfile

from d3talker.cli import InputError
from d3talker.speech.logmel import log_mel, mel_filterbank, read_wav, speech_features

RATE, FRAME = 16000, 640


def tone(hertz, seconds):
    return np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE).astype(np.float32)


@pytest.mark.parametrize("frames", [100, 250, 301, 1779])
def test_there_is_one_window_of_sixteen_rows_of_29_bands_for_each_frame(frames):
    features = speech_features(np.zeros(frames * FRAME, np.float32))
    assert features.shape == (frames, 16, 29)
    assert features.dtype == np.float32


def test_samples_after_the_last_whole_frame_are_dropped():
    assert len(speech_features(np.ones(10 * FRAME + 639, np.float32))) == 10


def test_a_click_is_seen_by_the_eight_windows_around_its_frame():
    samples = np.zeros(50 * FRAME, np.float32)
    samples[20 * FRAME + FRAME // 2] = 1.0  # row 41 of the 50 Hz rows
    loud = speech_features(samples).mean(axis=2) > 1.0  # (T,16)
    frames, rows = np.nonzero(loud)
    assert frames.tolist() == list(range(17, 25))
    assert rows.tolist() == [41 - (2 * frame - 8) for frame in range(17, 25)]


def test_windows_beyond_the_ends_are_zero():
    features = speech_features(tone(440, 2.0))
    assert not features[0, :8].any()
    assert not features[-1, 10:].any()
    assert features[25].any(axis=1).all()


def test_silence_gives_finite_features_near_zero():
    assert np.abs(speech_features(np.zeros(20 * FRAME, np.float32))).max() < 0.1


def test_loudness_of_the_recording_does_not_matter():
    speech = tone(300, 2.0) * tone(3, 2.0) + np.random.default_rng(0).normal(0, 0.05, 2 * RATE)
    np.testing.assert_allclose(log_mel(speech, 40, 160), log_mel(0.1 * speech, 40, 160), atol=1e-3)


def test_each_band_of_a_clip_has_mean_0_and_deviation_1():
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)
    rows = log_mel(noise, 40, 160)
    assert rows.shape == (200, 40)
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(rows.std(axis=0), 1, atol=0.01)


def test_a_tone_is_strongest_in_the_band_around_its_frequency():
    filters = mel_filterbank(40)
    np.testing.assert_allclose(filters.sum(axis=1), 1, rtol=1e-5)
    centres = filters @ (np.arange(257) * RATE / 512)
    sound = np.concatenate([np.zeros(RATE, np.float32), tone(1000, 1.0)])
    rows = log_mel(sound, 40, 160)
    change = rows[150] - rows[50]
    assert abs(centres[change.argmax()] - 1000) < 200 or change.std() < 0.1
    assert (np.diff(centres) > 0).all()


def test_a_wav_of_another_rate_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "fast.wav"
    scipy.io.wavfile.write(path, 44100, np.zeros(44100, np.int16))
    with pytest.raises(InputError, match=r"fast\.wav.*16000 Hz.*ingest_audio"):
        read_wav(path)

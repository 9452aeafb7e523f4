import numpy as np
import pytest

pytest.importorskip("torch")

import scipy.io.wavfile
import scipy.ndimage
import torch

from d3talker.artifacts import load_json, save_arrays, save_json
from d3talker.cli import InputError
from d3talker.motion.clips import make_clip
from d3talker.motion.model import MotionModel, mean_prediction, save_model
from d3talker.motion.network import BANDS, MotionNet, shift_rows
from d3talker.motion.sync import EDGE, Lag, SyncSettings, measure_lag, verdict
from d3talker.motion.training import openings_by_lag
from stages import sync

LAGS_MS = list(range(-500, 501, 10))
FRAMES = 25 * 30


def mouth(seed, frames=FRAMES):
    """A mouth opening at 100 Hz, (4 * frames,), that changes about as fast as in speech."""
    noise = np.random.default_rng(seed).normal(size=4 * frames)
    return scipy.ndimage.gaussian_filter1d(noise, 8) * 5


def hear(signal):
    """What a network hears of a mouth (4T,) with the sound delayed by each lag: (L,T)."""
    return np.stack([np.roll(signal, ms // 10)[::4] for ms in LAGS_MS])


def lag_of(late_rows, noise=0.0, frames=FRAMES):
    signal = mouth(0, frames)
    seen, heard = np.roll(signal, late_rows)[::4], signal + noise * mouth(1, frames)
    return measure_lag(hear(heard), seen, np.ones(frames, bool), LAGS_MS)


@pytest.mark.parametrize("late_rows", [-21, 0, 7, 40])
def test_a_lag_is_found_to_ten_milliseconds(late_rows):
    lag = lag_of(late_rows)
    assert lag.best_ms == 10 * late_rows
    assert lag.interval_ms == (10 * late_rows, 10 * late_rows)
    assert lag.agreement == pytest.approx(1.0, abs=1e-3)


def test_noise_widens_the_interval_around_the_lag():
    lag = lag_of(8, noise=2.0)
    low, high = lag.interval_ms
    assert low <= 80 <= high
    assert 10 < high - low < 100
    assert lag.agreement < 0.5


def test_frames_without_a_face_do_not_count():
    signal, valid = mouth(0), np.ones(FRAMES, bool)
    seen = np.roll(signal, 12)[::4].copy()
    seen[100:300], valid[100:300] = 1e3, False
    assert measure_lag(hear(signal), seen, valid, LAGS_MS).best_ms == 120


def test_a_mouth_that_stands_still_agrees_with_nothing():
    lag = measure_lag(hear(mouth(0)), np.zeros(FRAMES), np.ones(FRAMES, bool), LAGS_MS)
    assert lag.agreement == 0
    assert "unknown" in verdict(lag, SyncSettings())[1]


def test_a_clip_of_seconds_gets_no_verdict():
    assert lag_of(0, frames=2 * EDGE + 100) is None
    moved, text = verdict(None, SyncSettings())
    assert not moved and "too short" in text


@pytest.mark.parametrize(
    ("best", "interval", "agreement", "moved", "words"),
    [
        (120, (100, 140), 0.5, True, "120 ms after the sound"),
        (-60, (-80, -50), 0.5, True, "60 ms before the sound"),
        (30, (20, 40), 0.8, False, "in step"),
        (50, (-10, 70), 0.5, False, "in step"),
        (120, (20, 220), 0.5, False, "too uncertain"),
        (120, (100, 140), 0.2, False, "unknown"),
        (500, (490, 500), 0.8, False, "too uncertain"),
        (-500, (-500, -500), 0.8, False, "too uncertain"),
    ],
)
def test_only_a_clear_and_noticeable_lag_moves_the_sound(best, interval, agreement, moved, words):
    lag = Lag(best, interval, agreement, 0.1, [])
    assert verdict(lag, SyncSettings())[0] == moved
    assert words in verdict(lag, SyncSettings())[1]
    assert not verdict(lag, SyncSettings(correct=False))[0]


def test_four_predictions_serve_all_lags():
    torch.manual_seed(0)
    networks = [MotionNet(2).eval(), MotionNet(2).eval()]
    samples = np.random.default_rng(0).normal(0, 0.1, 120 * 640).astype(np.float32)
    expression = np.random.default_rng(1).normal(size=(120, 2))
    clip = make_clip("anna", samples, expression, np.ones(120, bool), np.array([0.004, 0.001]))
    assert clip.mel.shape == (480, BANDS)
    lags = range(-10, 11)
    fast = openings_by_lag(networks, clip, lags)
    for row, lag in zip(fast, lags, strict=True):
        plain = mean_prediction(networks, shift_rows(clip.mel, lag)) @ clip.opening
        inner = slice(EDGE, -EDGE)
        torch.testing.assert_close(row[inner], plain[inner], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("ms", [-80, 0, 30, 5000])
def test_moved_sound_keeps_its_length_and_is_silent_where_nothing_is_left(ms):
    samples = np.arange(1, 16001, dtype=np.float32)
    moved = sync.delayed(samples, ms)
    assert len(moved) == len(samples)
    shift = 16 * ms
    kept = np.arange(1, 16001)[max(0, -shift) : max(0, 16000 - max(0, shift))]
    np.testing.assert_array_equal(moved[moved > 0], kept)
    np.testing.assert_array_equal(np.flatnonzero(moved) - max(0, shift), np.arange(len(kept)))


def run_stage(folder, monkeypatch):
    """Run the stage sync on the files of `folder`."""
    files = {"--model": "m.safetensors", "--ingest": "ingest.json", "--audio": "a.wav"}
    files |= {"--track": "t.npz", "--out-audio": "o.wav", "--out-json": "o.json"}
    arguments = [str(part) for name, file in files.items() for part in (name, folder / file)]
    monkeypatch.setattr("sys.argv", ["sync", *arguments])
    sync.main()


def test_a_person_whom_the_model_has_met_is_refused(tmp_path, monkeypatch):
    save_model(
        tmp_path / "m.safetensors",
        MotionModel([MotionNet(2)], torch.ones(2)),
        {"people": ["anna", "bert"]},
    )
    save_json(tmp_path / "ingest.json", {"identity": "anna", "frames": 400})
    with pytest.raises(InputError, match="has learned from anna"):
        run_stage(tmp_path, monkeypatch)


def test_a_model_tuned_to_a_person_is_refused(tmp_path, monkeypatch):
    model = MotionModel([MotionNet(2)], torch.ones(2))
    save_model(tmp_path / "m.safetensors", model, {"identity": "anna"})
    with pytest.raises(InputError, match=r"m\.safetensors: tuned .* the file of pretrain_motion"):
        run_stage(tmp_path, monkeypatch)


def test_the_stage_reports_and_keeps_the_sound_of_a_clip_it_cannot_judge(tmp_path, monkeypatch):
    torch.manual_seed(0)
    save_model(
        tmp_path / "m.safetensors",
        MotionModel([MotionNet(2)], torch.tensor([0.004, 0.001])),
        {"people": ["bert"]},
    )
    save_json(tmp_path / "ingest.json", {"identity": "anna", "frames": 600})
    random = np.random.default_rng(0)
    sound = random.normal(0, 3000, 600 * 640).astype(np.int16)
    scipy.io.wavfile.write(tmp_path / "a.wav", 16000, sound)
    expression = random.normal(size=(600, 3)).astype(np.float32)
    save_arrays(tmp_path / "t.npz", expression=expression, valid=np.ones(600, bool))
    run_stage(tmp_path, monkeypatch)
    found = load_json(tmp_path / "o.json")
    assert found["sound_moved_ms"] == 0 and "unknown" in found["verdict"]
    assert found["frames"] == [0, 300]
    assert len(found["picture_after_sound"]["agreement_by_lag"]) == len(found["lags_ms"]) == 101
    np.testing.assert_array_equal(scipy.io.wavfile.read(tmp_path / "o.wav")[1], sound)

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from d3talker.cli import InputError
from d3talker.motion.augment import AugmentSettings, augment, warp_bands
from d3talker.motion.clips import delay_sound, load_clip, make_clip
from d3talker.motion.model import (
    Calibration,
    MotionModel,
    calibrated,
    load_model,
    mean_prediction,
    predict_expression,
    save_model,
)
from d3talker.motion.network import BANDS, MotionNet
from d3talker.motion.training import (
    LAGS,
    MotionSettings,
    correlation,
    lag_curve,
    motion_loss,
    train_motion,
)
from d3talker.motion.tuning import (
    TuneMotionSettings,
    calibrate,
    refit_readout,
    tune_ensemble,
    tune_motion,
)

FRAME = 640
GAP = np.array([0.005, 0.0], np.float32)  # only the first coefficient opens the lips
QUICK = MotionSettings(networks=1, steps=50, batch=6, window=60)
TUNE = TuneMotionSettings(steps=10, tune_frames=100)


def speak(seed, frames=200):
    """Noise whose loudness is the mouth opening: samples, expression (T,2), valid (T,)."""
    random = np.random.default_rng(seed)
    knots = random.uniform(0, 1, frames // 5 + 2)
    loudness = np.interp(np.arange(frames * FRAME) / (5 * FRAME), np.arange(len(knots)), knots)
    samples = (loudness**2 * random.normal(0, 0.1, frames * FRAME)).astype(np.float32)
    opening = loudness.reshape(frames, FRAME).mean(axis=1)
    expression = np.stack([3 * opening - 1, 0.5 - opening], axis=1).astype(np.float32)
    return samples, expression, np.ones(frames, bool)


def person(seed, frames=200):
    return make_clip(f"person{seed}", *speak(seed, frames), GAP)


@pytest.fixture(scope="module")
def pretrained():
    clips = [person(0), delay_sound(person(1), 10), person(4)]
    networks, lags, _ = train_motion(clips, QUICK, seed=0)
    return MotionModel(networks, torch.from_numpy(GAP)), lags


@pytest.fixture(scope="module")
def tuned(pretrained):
    return tune_motion(pretrained[0], person(2, 125), TUNE, seed=0)


def test_the_network_gives_one_row_for_each_video_frame():
    network = MotionNet(10).eval()
    assert network(torch.zeros(2, 4 * 37, BANDS)).shape == (2, 37, 10)


def test_the_network_hears_at_most_a_third_of_a_second_around_a_frame():
    network = MotionNet(3).eval()
    mel = torch.zeros(1, 4 * 60, BANDS)
    changed = mel.clone()
    changed[0, 4 * 30] = 5.0
    with torch.no_grad():
        moved = (network(changed) - network(mel)).abs().amax(dim=(0, 2)) > 1e-6
    frames = moved.nonzero()[:, 0]
    assert frames.min() >= 30 - 8 and frames.max() <= 30 + 8


def test_a_law_of_motion_is_learned_and_holds_for_a_new_voice(pretrained):
    new = person(5)
    predicted = mean_prediction(pretrained[0].networks, new.mel)
    assert correlation(predicted @ new.opening, new.motion @ new.opening) > 0.7


def test_training_finds_which_recording_is_out_of_step(pretrained):
    _, lags = pretrained
    assert lags == pytest.approx([0, -10, 0], abs=4)


def test_the_same_seed_gives_the_same_networks():
    settings = replace(QUICK, steps=5)
    clips = [person(0, 80), person(1, 80)]
    first, second = (train_motion(clips, settings, seed=3)[0][0] for _ in range(2))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_lag_of_the_picture_is_seen_by_a_network_that_never_saw_the_person(pretrained):
    late = delay_sound(person(5), -12)  # the sound comes 120 ms early: the picture is late
    curve = lag_curve(pretrained[0].networks[0], late)
    assert LAGS[int(curve.argmax())] == pytest.approx(12, abs=4)


def test_frames_without_a_face_do_not_count_in_the_loss():
    motion, valid = torch.zeros(1, 4, 2), torch.tensor([[1.0, 1, 0, 1]])
    predicted = motion.clone()
    predicted[0, 2] = 100.0
    assert motion_loss(predicted, motion, valid, torch.ones(1, 2), 1.0) == 0


def test_calibration_gives_the_opening_square_root_of_correlation_of_its_amplitude():
    clip = person(3)
    weak = 0.3 * clip.motion + 0.1 * torch.randn(
        clip.motion.shape, generator=torch.Generator().manual_seed(0)
    )
    restored = calibrated(weak, calibrate(clip, weak, margin=10.0))
    agreement = correlation(weak[:, 0], clip.motion[:, 0])
    assert restored[:, 0].std() / clip.std[0] == pytest.approx(agreement**0.5, rel=0.02)
    assert restored[:, 0].mean() == pytest.approx(float(clip.mean[0]), abs=1e-4)


def test_a_mouth_that_sound_does_not_tell_is_held_at_its_mean():
    clip = person(3)
    calibration = calibrate(clip, -clip.motion, margin=0.1)
    assert torch.equal(calibration.gain, torch.zeros(2))
    assert torch.equal(calibration.mean, clip.mean)


def test_a_refitted_readout_is_the_old_one_when_the_new_frames_weigh_nothing(pretrained):
    network, clip = pretrained[0].networks[0], person(2, 50)
    kept = refit_readout(network, clip, weight=1e9)
    free = refit_readout(network, clip, weight=1.0)
    with torch.no_grad():
        before, after = (
            motion_loss(
                n(clip.mel[None]), clip.motion[None], clip.valid[None], clip.opening[None], 1.0
            )
            for n in (network, free)
        )
    torch.testing.assert_close(kept.readout.weight, network.readout.weight)
    assert after < before


def test_a_short_clip_refits_readouts_and_a_longer_one_tunes_networks_too(pretrained):
    networks = pretrained[0].networks
    settings = TuneMotionSettings(steps=2, tune_frames=60)
    assert len(tune_ensemble(networks, person(2, 50), settings, seed=0)) == 1
    assert len(tune_ensemble(networks, person(2, 70), settings, seed=0)) == 2


def test_predictions_stay_within_the_widened_range_of_the_training_seconds(tuned):
    model, _ = tuned
    _, seen, _ = speak(2, 125)
    loud = speak(9)[0] * np.linspace(0, 4, 200 * FRAME, dtype=np.float32)
    expression = predict_expression(model, loud, coefficients=5)
    reach = np.ptp(seen[:, 0])
    assert expression[:, 0].max() <= seen[:, 0].max() + 0.1 * reach
    assert expression[:, 0].min() >= seen[:, 0].min() - 0.1 * reach


def test_prediction_has_a_row_per_frame_and_only_moves_the_lower_face(tuned):
    expression = predict_expression(tuned[0], speak(6)[0][: 61 * FRAME + 300], coefficients=5)
    assert expression.shape == (61, 5)
    assert expression.dtype == np.float32
    assert not expression[:, 2:].any()


def test_a_tuned_model_moves_the_new_person_in_their_own_units(tuned):
    samples, truth, _ = speak(7)
    expression = predict_expression(tuned[0], samples, coefficients=2)
    assert np.corrcoef(expression[:, 0], truth[:, 0])[0, 1] > 0.7
    assert 0.5 < expression[:, 0].std() / truth[:, 0].std() < 1.3


def test_a_model_is_the_same_after_saving_and_loading(tuned, tmp_path):
    model, measured = tuned
    save_model(tmp_path / "model.safetensors", model, {"measured": measured})
    loaded, meta = load_model(tmp_path / "model.safetensors")
    samples = speak(8, 50)[0]
    np.testing.assert_array_equal(
        predict_expression(loaded, samples, 4), predict_expression(model, samples, 4)
    )
    assert meta["measured"] == measured


def test_a_longer_vocal_tract_moves_energy_to_lower_bands():
    mel = torch.zeros(1, 1, 40)
    mel[0, 0, 20] = 1.0
    warped = warp_bands(mel, torch.tensor([1.25]), torch.tensor([0.0]))
    assert warped[0, 0].argmax() == 16


def test_no_augmentation_leaves_the_sound_as_it_is():
    off = AugmentSettings(warp=0.0, shift=0.0, gain=0.0, tilt=0.0, noise=0.0, mask_bands=0)
    mel = torch.randn(3, 8, 40)
    changed = augment(mel, off, torch.Generator().manual_seed(0))
    torch.testing.assert_close(changed, mel, atol=0.01, rtol=0.01)


def test_calibrated_values_are_clamped():
    calibration = Calibration(*torch.tensor([[1.0], [2.0], [-1.0], [2.0]]))
    values = calibrated(torch.tensor([[-5.0], [0.25], [5.0]]), calibration)
    assert values[:, 0].tolist() == [-1.0, 1.5, 2.0]


def test_sound_shorter_than_the_track_is_refused(tmp_path):
    import scipy.io.wavfile

    from d3talker.artifacts import save_arrays

    scipy.io.wavfile.write(tmp_path / "short.wav", 16000, np.zeros(30 * FRAME, np.int16))
    save_arrays(
        tmp_path / "track.npz", expression=np.zeros((50, 2), np.float32), valid=np.ones(50, bool)
    )
    with pytest.raises(InputError, match=r"short\.wav: 30 frames of sound for 50"):
        load_clip("person", tmp_path / "short.wav", tmp_path / "track.npz", GAP)

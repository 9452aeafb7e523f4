"""Image metrics agree with scikit-image and respect masks, boxes and the order of frames."""

import numpy as np
import pytest

pytest.importorskip("skimage")
pytest.importorskip("cv2")

from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from d3talker.face.model import RIGID
from d3talker.metrics import image
from d3talker.metrics.lips import LIPS
from d3talker.metrics.scores import Scores, Undefined

SIZE = 64


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    noise = rng.normal(0, 12, truth.shape)
    return np.clip(truth + noise, 0, 255).astype(np.uint8), truth


def compare(renders, truths, heads, points, valid):
    """compare_frames with a face crop that shows the whole of these small frames."""
    wanted = points[0, RIGID, :2]
    return image.compare_frames(renders, truths, heads, points, valid, wanted)


def landmarks(corner=(20, 30), side=10):
    points = np.zeros((1, 478, 3), np.float32)
    points[0, RIGID, :2] = np.random.default_rng(9).uniform(0, SIZE, (len(RIGID), 2))
    points[0, LIPS, :2] = corner
    points[0, LIPS[::2], :2] += side
    return points


def test_psnr_is_scikit_images(pair):
    expected = peak_signal_noise_ratio(pair[1] / 255, pair[0] / 255, data_range=1)
    assert image.psnr(image.squared_error(*pair)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("change", ["noise", "blur", "shift", "dark", "other"])
def test_ssim_is_scikit_images_with_a_window_of_11_pixels(pair, change):
    noisy, _ = pair
    rows, columns = np.mgrid[:SIZE, :SIZE]
    truth = np.stack([rows * 4, columns * 4, (rows - 30) ** 2 // 8], axis=2).astype(np.uint8)
    render = {
        "noise": (truth * 0.8 + noisy * 0.2).astype(np.uint8),
        "blur": truth // 2 + np.roll(truth, 2, axis=1) // 2,
        "shift": np.roll(truth, 5, axis=0),
        "dark": truth // 3,
        "other": noisy,
    }[change]
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    grey = render.astype(np.float64), truth.astype(np.float64)
    expected = structural_similarity(*grey, channel_axis=2, data_range=255, **window)
    assert image.ssim(render, truth) == pytest.approx(expected, abs=1e-9)
    assert image.ssim(truth, truth) == 1


def test_a_change_that_the_truth_lacks_is_flicker_and_so_is_a_missing_one(pair):
    _, truth = pair
    truth = truth // 2
    head = np.zeros((SIZE, SIZE), bool)
    head[10:20, 10:30] = True
    brighter = truth + np.uint8(6)
    assert image.change_error(truth, truth, truth, truth, head) == 0
    assert image.change_error(brighter, truth, truth, truth, head) == 6
    assert image.change_error(truth, truth, brighter, truth, head) == 6
    assert image.change_error(brighter, truth, brighter, truth, head) == 0
    assert image.change_error(truth, brighter, brighter, truth, head) == 12
    elsewhere = truth.copy()
    elsewhere[40:] += 9
    assert image.change_error(elsewhere, truth, truth, truth, head) == 0
    assert np.isnan(image.change_error(truth, truth, truth, truth, head & False))


def test_the_mouth_box_holds_the_lips_and_a_margin():
    rows, columns = image.mouth_box(landmarks()[0], 512)
    assert (columns.start, columns.stop) == (20 - 12, 30 + 12)
    assert (rows.start, rows.stop) == (30 - 12, 40 + 12)


def test_an_error_outside_the_head_leaves_the_heads_psnr_alone(pair):
    _, truth = pair
    head = np.zeros((1, SIZE, SIZE), bool)
    head[0, :32] = True
    render = truth.copy()
    render[40:] = 255 - render[40:]
    scores = compare([render], [truth], head, landmarks((5, 5), 8), np.ones(1, bool))
    assert np.isinf(scores["psnr_head"][0])
    assert np.isinf(scores["psnr_mouth"][0])
    assert scores["psnr"][0] < 15


def test_psnr_is_averaged_in_decibels():
    assert image.mean_score(np.array([30.0, 40.0])) == 35


def test_frames_without_a_face_do_not_count_for_the_mouth(pair):
    render, truth = pair
    head = np.ones((2, SIZE, SIZE), bool)
    points = np.repeat(landmarks(), 2, axis=0)
    scores = compare([render] * 2, [truth] * 2, head, points, np.array([True, False]))
    assert np.isnan(scores["psnr_mouth"][1])
    assert image.mean_score(scores["psnr_mouth"]) == scores["psnr_mouth"][0]


def test_the_truth_against_itself_has_no_psnr_but_a_reason(pair):
    head = np.ones((1, SIZE, SIZE), bool)
    per_frame = compare(pair[1:], pair[1:], head, landmarks(), np.ones(1, bool))
    scores = Scores()
    for name, values in per_frame.items():
        scores.measure(name, lambda values=values: image.mean_score(values))
    assert scores.values["ssim"] == pytest.approx(1)
    assert scores.values["psnr"] is None
    assert "identical" in scores.missing["psnr"]


def test_a_region_that_no_frame_shows_is_undefined():
    with pytest.raises(Undefined, match="no frame"):
        image.mean_score(np.array([np.nan, np.nan]))

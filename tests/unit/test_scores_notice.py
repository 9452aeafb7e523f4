"""What every score has to notice: frames in a wrong order, a mouth that is late, a still head.

A made-up person of 64 px speaks for 80 frames; a render of it is the same with a little noise.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest

pytest.importorskip("cv2")

from d3talker.face.model import LIPS_INNER, LIPS_OUTER, RIGID
from d3talker.metrics import image, lips, openface
from d3talker.metrics.scores import Scores

SIZE, FRAMES, LATE = 64, 80, 3
LOW_IS_BEST = ("ssim", "ssim_face", "psnr", "psnr_head", "psnr_mouth", "mouth_corr")
LOW_IS_BEST += ("mouth_energy_corr",)  # these are best where they are high
HEAD = np.zeros((FRAMES, SIZE, SIZE), bool)
HEAD[:, 8:56, 10:54] = True
TEMPLATE = np.random.default_rng(8).uniform(10, 54, (len(RIGID), 2))  # the crop is 112 px


@dataclass(frozen=True)
class Clip:
    """What is seen of a video; each has one entry per frame."""

    frames: np.ndarray
    points: np.ndarray
    fan: np.ndarray
    opening: np.ndarray
    units: np.ndarray

    def at(self, order):
        """The same video with its frames in another order."""
        return Clip(*(getattr(self, name)[order] for name in self.__dataclass_fields__))


def speech(seed=0):
    noise = np.random.default_rng(seed).normal(size=FRAMES + 6)
    slow = np.convolve(noise, np.hanning(9)[1:-1], "valid")
    return 0.05 + 0.2 * (slow - slow.min()) / np.ptp(slow)


def filmed(opening):
    """A textured head whose mouth opens; points, action units and pixels follow it."""
    rng = np.random.default_rng(1)
    background = rng.integers(0, 255, (SIZE, SIZE, 3)).astype(np.uint8)
    still, fan = np.zeros((478, 3)), rng.uniform(0, SIZE, (68, 2))
    still[RIGID, :2] = TEMPLATE
    still[LIPS_OUTER, :2] = [32, 40]
    still[LIPS_OUTER[:10], 0] += 14
    still[LIPS_INNER, :2] = [39, 40]
    frames, points, fans = [], [], []
    for value in opening:
        frame, mesh, shape = background.copy(), still.copy(), fan.copy()
        frame[40 : 40 + round(60 * value), 30:48] = 20
        mesh[LIPS_INNER[:10], 1] += 60 * value
        shape[55:60, 1] += 60 * value
        frames.append(frame), points.append(mesh), fans.append(shape)
    units = np.repeat(4 * opening[:, None], 17, axis=1)
    return Clip(np.array(frames), np.array(points), np.array(fans), opening, units)


def noisy(clip, seed=2):
    """The render: the clip with noise in everything that is seen of it."""
    rng = np.random.default_rng(seed)
    pixels = clip.frames + rng.normal(0, 2, clip.frames.shape)
    return Clip(
        np.clip(np.round(pixels), 0, 255).astype(np.uint8),
        clip.points + rng.normal(0, 0.1, clip.points.shape),
        clip.fan + rng.normal(0, 0.1, clip.fan.shape),
        clip.opening + rng.normal(0, 0.003, FRAMES),
        np.clip(clip.units + rng.normal(0, 0.02, clip.units.shape), 0, 5),
    )


def scores_of(render, truth, sound):
    """Every score that needs no weights, or whose weights only find the points given here."""
    scores, valid = Scores(), np.ones(FRAMES, bool)
    per_frame = image.compare_frames(
        render.frames, truth.frames, HEAD, truth.points, valid, TEMPLATE
    )
    for name, values in per_frame.items():
        scores.measure(name, lambda values=values: image.mean_score(values))
    for name, measure, part in (
        ("lip_distance", lips.lip_distances, "points"),
        ("lmd", lips.fan_distances, "fan"),
    ):
        distances = measure(getattr(render, part), getattr(truth, part), valid)
        scores.measure(name, lambda distances=distances: lips.mean_distance(distances))
    scores.measure("mouth_corr", lambda: lips.pearson(render.opening, truth.opening))
    scores.measure("mouth_energy_corr", lambda: lips.pearson(render.opening, sound))
    scores.measure("av_offset_frames", lambda: lips.best_lag(render.opening, truth.opening))
    scores.measure("av_offset_of_sound", lambda: lips.best_lag(render.opening, sound))
    scores.values |= openface.aue(render.units, truth.units)
    return scores


@pytest.fixture(scope="module")
def truth():
    return filmed(speech())


@pytest.fixture(scope="module")
def good(truth):
    return scores_of(noisy(truth), truth, truth.opening).values


def worse(name, value, than):
    return value < than if name in LOW_IS_BEST else value > than


def test_the_truth_itself_is_perfect(truth):
    scores = scores_of(truth, truth, truth.opening)
    one = ("ssim", "ssim_face", "mouth_corr", "mouth_energy_corr")
    for name in one:
        assert scores.values.pop(name) == pytest.approx(1, abs=1e-9), name
    for name in ("psnr", "psnr_head", "psnr_mouth"):
        assert scores.values.pop(name) is None and "identical" in scores.missing[name]
    assert set(scores.values.values()) == {0} and len(scores.values) == 7


def test_a_wrong_order_of_frames_is_punished_by_every_score(truth, good):
    order = np.random.default_rng(3).permutation(FRAMES)
    shuffled = scores_of(noisy(truth).at(order), truth, truth.opening).values
    compared = [name for name in good if not name.startswith("av_offset")]
    assert len(compared) == 12
    for name in compared:
        assert worse(name, shuffled[name], good[name]), name


def test_a_mouth_that_is_late_is_found_by_the_offset_and_costs_every_other_score(truth, good):
    late = scores_of(noisy(truth).at(np.roll(np.arange(FRAMES), LATE)), truth, truth.opening).values
    assert (good["av_offset_frames"], late["av_offset_frames"]) == (0, LATE)
    assert (good["av_offset_of_sound"], late["av_offset_of_sound"]) == (0, LATE)
    for name in set(good) - {"av_offset_frames", "av_offset_of_sound"}:
        assert worse(name, late[name], good[name]), name


def test_a_still_head_flickers_like_the_truth_moves_and_has_no_correlation(truth, good):
    still = scores_of(truth.at(np.zeros(FRAMES, int)), truth, truth.opening)
    box = truth.frames[:, 8:56, 10:54].astype(int)
    moves = np.abs(np.diff(box, axis=0)).mean()
    assert still.values["flicker"] == pytest.approx(moves) and moves > 0
    for name in ("mouth_corr", "mouth_energy_corr", "av_offset_frames"):
        assert still.values[name] is None and "constant" in still.missing[name]
    for name in ("lip_distance", "lmd", "aue_lower", "ssim", "psnr_mouth"):
        assert still.values[name] is None or worse(name, still.values[name], good[name]), name


def test_a_render_that_trembles_is_punished_by_flicker_and_by_little_else(truth, good):
    frames = truth.frames.astype(int) + np.where(np.arange(FRAMES) % 2, 2, -2)[:, None, None, None]
    trembling = replace(truth, frames=np.clip(frames, 0, 255).astype(np.uint8))
    bad = scores_of(trembling, truth, truth.opening).values
    assert bad["flicker"] > 1.5 * good["flicker"]
    assert bad["psnr"] == pytest.approx(good["psnr"], abs=1) and bad["ssim"] > good["ssim"]


def test_perceptual_distance_notices_a_wrong_order_as_well(truth):
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchmetrics")
    from d3talker.metrics.alexnet import AlexNet
    from d3talker.metrics.lpips import load_heads, lpips

    torch.manual_seed(0)
    network, heads = AlexNet(), load_heads()
    clips = [
        torch.from_numpy(c.frames[::8]).permute(0, 3, 1, 2) / 255 for c in (noisy(truth), truth)
    ]
    right = lpips(network, heads, *clips).mean()
    wrong = lpips(network, heads, clips[0].roll(5, 0), clips[1]).mean()
    assert 0 < right < wrong
    assert lpips(network, heads, clips[1], clips[1]).max() == 0

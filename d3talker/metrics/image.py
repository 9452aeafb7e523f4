"""How close rendered frames are to the true ones: PSNR of frames and regions, and SSIM."""

from collections.abc import Iterable

import numpy as np
from skimage.metrics import structural_similarity

from d3talker.metrics.lips import LIPS
from d3talker.metrics.scores import Undefined

IMAGE_METRICS = ("psnr", "psnr_head", "psnr_mouth", "ssim")
MOUTH_MARGIN = 12 / 512  # border of the mouth box around the lips, share of the frame's side


def squared_error(render: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Squared difference of images in [0,1], mean over channels: (H,W,3) uint8 -> (H,W)."""
    difference = (render.astype(np.float32) - truth.astype(np.float32)) / 255
    return (difference**2).mean(axis=2)


def psnr(error: np.ndarray) -> float:
    """Peak signal-to-noise ratio, dB, of the squared errors of some pixels.

    Infinite where nothing differs, NaN where there are no pixels.
    """
    if error.size == 0:
        return float("nan")
    mean = error.mean(dtype=np.float64)
    return float(-10 * np.log10(mean)) if mean else float("inf")


def ssim(render: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity of two images (H,W,3) uint8, whole frame.

    The standard one: Gaussian window of 11x11 pixels with sigma 1.5, mean over channels.
    """
    return float(
        structural_similarity(
            render.astype(np.float32) / 255,
            truth.astype(np.float32) / 255,
            data_range=1,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def mouth_box(points: np.ndarray, size: int) -> tuple[slice, slice]:
    """Rows and columns around the lips of one frame. points: (478,3) px; size: frame side, px."""
    lips = points[LIPS, :2]
    margin = MOUTH_MARGIN * size
    left, top = np.clip(np.floor(lips.min(axis=0) - margin), 0, size).astype(int)
    right, bottom = np.clip(np.ceil(lips.max(axis=0) + margin), 0, size).astype(int)
    return slice(top, bottom), slice(left, right)


def compare_frames(
    renders: Iterable[np.ndarray],
    truths: Iterable[np.ndarray],
    heads: np.ndarray,
    points: np.ndarray,
    valid: np.ndarray,
) -> dict[str, np.ndarray]:
    """Every image metric of every frame: name -> (T,); NaN where a frame lacks the region.

    renders, truths: T frames (S,S,3) uint8. heads: (T,S,S) bool head masks, points: (T,478,3) px
    and valid: (T,) bool landmarks of the truth.
    """
    rows = []
    for n, (render, truth) in enumerate(zip(renders, truths, strict=True)):
        error = squared_error(render, truth)
        mouth = error[mouth_box(points[n], len(error))] if valid[n] else error[:0]
        rows.append((psnr(error), psnr(error[heads[n]]), psnr(mouth), ssim(render, truth)))
    return dict(zip(IMAGE_METRICS, np.array(rows).T, strict=True))


def mean_score(values: np.ndarray) -> float:
    """Mean over the frames that have a value (for PSNR the mean of dB, spec 7.2)."""
    values = values[~np.isnan(values)]
    if len(values) == 0:
        raise Undefined("no frame shows this region")
    if np.isinf(values).any():
        raise Undefined("identical to the truth in at least one frame, so infinite")
    return float(values.mean())

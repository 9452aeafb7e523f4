"""How close rendered frames are to the true ones: PSNR, SSIM, and how alike they change."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import cv2
import numpy as np

from d3talker.face.parsing import extents
from d3talker.metrics.face_crop import crop_face
from d3talker.metrics.lips import LIPS
from d3talker.metrics.scores import Undefined

IMAGE_METRICS = ("psnr", "psnr_head", "psnr_mouth", "ssim", "ssim_face", "flicker")
WINDOW, SIGMA = 11, 1.5  # px, Gaussian window of SSIM
BORDER = WINDOW // 2  # px without a whole window around them
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # SSIM's constants for the range of 8 bits
STRIP = 32  # rows worked on at a time, so that they stay in the cache
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
    """Structural similarity of two images (H,W,3) uint8, both sides at least 11 px.

    The standard one (Wang et al. 2004; spec 7.4a): Gaussian window of 11x11 pixels with sigma 1.5,
    mean over channels and over the places of a whole window. Equal to scikit-image's in float64,
    and five times as fast.
    """
    total, places = 0.0, (len(render) - 2 * BORDER) * (render.shape[1] - 2 * BORDER) * 3
    for top in range(0, len(render) - 2 * BORDER, STRIP):
        rows = slice(top, top + STRIP + 2 * BORDER)
        total += similarities(render[rows].astype(float), truth[rows].astype(float)).sum()
    return float(total / places)


def similarities(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """SSIM of each place with a whole window: (H,W,3) float64 of 0..255 -> (H-10,W-10,3)."""
    mean_x, mean_y = windowed(x), windowed(y)
    product, powers = mean_x * mean_y, mean_x**2 + mean_y**2
    covariance = windowed(x * y) - product
    variances = windowed(x**2 + y**2) - powers
    luminance = (2 * product + C1) / (powers + C1)
    return luminance * (2 * covariance + C2) / (variances + C2)


def windowed(image: np.ndarray) -> np.ndarray:
    """Weighted mean around each pixel that has a whole window: (H,W,3) -> (H-10,W-10,3)."""
    blurred = cv2.GaussianBlur(image, (WINDOW, WINDOW), SIGMA)
    return blurred[BORDER:-BORDER, BORDER:-BORDER]


def change_error(
    render: np.ndarray,
    before: np.ndarray,
    truth: np.ndarray,
    truth_before: np.ndarray,
    head: np.ndarray,
) -> float:
    """How differently two videos change from one frame to the next, grey levels.

    Mean over the box around `head` (H,W) bool and over channels of
    |(render - before) - (truth - truth_before)|; frames (H,W,3) uint8. A flickering render changes
    where the truth does not, a still one does not change where the truth does. NaN without a head.
    """
    if not head.any():
        return float("nan")
    (left, top), (right, bottom) = (corner[0] for corner in extents(head[None]))
    box = slice(top, bottom), slice(left, right)
    now, then, true_now, true_then = (
        image[box].astype(np.int16) for image in (render, before, truth, truth_before)
    )
    return float(np.abs((now - then) - (true_now - true_then)).mean())


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
    template: np.ndarray,
    more: Mapping[str, Callable[[np.ndarray, np.ndarray], float]] = MappingProxyType({}),
) -> dict[str, np.ndarray]:
    """Every image metric of every frame: name -> (T,); NaN where a frame lacks the region.

    renders, truths: T frames (S,S,3) uint8. heads: (T,S,S) bool head masks, points: (T,478,3) px
    and valid: (T,) bool landmarks of the truth. template: of `face_crop.template`. more: other
    metrics of (render, truth), by name.
    """
    rows, before = [], None
    for n, (render, truth) in enumerate(zip(renders, truths, strict=True)):
        error = squared_error(render, truth)
        mouth, ssim_face = error[:0], float("nan")
        if valid[n]:
            mouth = error[mouth_box(points[n], len(error))]
            ssim_face = ssim(*crop_face([render, truth], points[n], template))
        flicker = float("nan")
        if before is not None:
            flicker = change_error(render, before[0], truth, before[1], heads[n - 1] | heads[n])
        psnrs = psnr(error), psnr(error[heads[n]]), psnr(mouth)
        others = [measure(render, truth) for measure in more.values()]
        rows.append((*psnrs, ssim(render, truth), ssim_face, flicker, *others))
        before = render, truth
    return dict(zip((*IMAGE_METRICS, *more), np.array(rows).T, strict=True))


def mean_score(values: np.ndarray) -> float:
    """Mean over the frames that have a value (for PSNR the mean of dB, spec 7.2)."""
    values = values[~np.isnan(values)]
    if len(values) == 0:
        raise Undefined("no frame shows this region")
    if np.isinf(values).any():
        raise Undefined("identical to the truth in at least one frame, so infinite")
    return float(values.mean())

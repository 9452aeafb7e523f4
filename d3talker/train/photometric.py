"""The image loss: absolute difference and structural dissimilarity (method spec 3.3)."""

import math

import numpy as np
import torch
from numba import njit, prange

from d3talker.compiled import JIT
from d3talker.simd.memory import load_at, store_at
from d3talker.simd.rows import LANES, filled, inverse, lane_columns, lane_rows, larger, select

DSSIM_WEIGHT = 0.2
C1, C2 = np.float32(0.01**2), np.float32(0.03**2)  # of SSIM, for images in [0,1]
REACH = 5  # px, from the centre to the edge of the window
SIGMA = 1.5  # px
CHANNELS = 3
ONE, TWO, FOUR = np.float32(1), np.float32(2), np.float32(4)

_window = np.array([math.exp(-(k**2) / (2 * SIGMA**2)) for k in range(-REACH, REACH + 1)])
WINDOW = (_window / _window.sum()).astype(np.float32)


def l1_dssim(
    image: torch.Tensor, target: torch.Tensor, dssim_weight: float = DSSIM_WEIGHT
) -> torch.Tensor:
    """mean |image - target| + dssim_weight (1 - mean SSIM), of two images (H,W,3) float32 in [0,1].

    SSIM has a Gaussian window of 11 x 11 pixels and zeros beyond the image's edge. Differentiable
    by `image` only. The absolute difference is not scaled by 1 - dssim_weight. Compiled on the
    CPU, in plain torch elsewhere.

    Images may be smaller than the window and lie in memory in any order. The loss is NaN if a value
    is not finite. Raises ValueError for images of another type, of different shapes, or empty.
    """
    for name, tensor in (("image", image), ("target", target)):
        if tensor.ndim != 3 or tensor.shape[2] != CHANNELS or tensor.dtype != torch.float32:
            raise ValueError(
                f"{name}: expected (H, W, {CHANNELS}) float32, "
                f"got {tuple(tensor.shape)} {tensor.dtype}"
            )
    if image.shape != target.shape or image.numel() == 0:
        raise ValueError(
            f"image and target: expected one shape that is not empty, "
            f"got {tuple(image.shape)} and {tuple(target.shape)}"
        )
    if image.device.type != "cpu":
        return l1_dssim_reference(image, target, dssim_weight)
    return _L1DSSIM.apply(image, target, dssim_weight)


def l1_dssim_reference(
    image: torch.Tensor, target: torch.Tensor, dssim_weight: float = DSSIM_WEIGHT
) -> torch.Tensor:
    """`l1_dssim` in plain torch, of any dtype, on any device."""
    height, width, _ = image.shape
    # A product of matrices, because CUDA rounds the factors of float32 convolutions to 10 bits:
    # too few for a variance that is the difference of two means.
    down, along = blur_matrix(height, image), blur_matrix(width, image)

    def blur(x):
        return down @ x @ along

    a, b = image.permute(2, 0, 1), target.permute(2, 0, 1)
    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    ssim = (2 * mean_a * mean_b + float(C1)) * (2 * covariance + float(C2))
    ssim = ssim / ((mean_a**2 + mean_b**2 + float(C1)) * (var_a + var_b + float(C2)))
    return (image - target).abs().mean() + dssim_weight * (1 - ssim.mean())


def blur_matrix(size: int, like: torch.Tensor) -> torch.Tensor:
    """The symmetric matrix (size,size) of the window along one axis, zeros beyond its ends."""
    place = torch.arange(size, device=like.device)
    distance = (place[:, None] - place).abs()
    weights = torch.from_numpy(WINDOW[REACH:]).to(like)
    return torch.where(distance <= REACH, weights[distance.clamp(max=REACH)], 0.0)


class _L1DSSIM(torch.autograd.Function):
    @staticmethod
    def forward(ctx, image, target, dssim_weight):
        a, b = padded(image), padded(target)
        height, length = image.shape[0], image.shape[1] * CHANNELS
        gradient = torch.empty(image.shape)
        by_moments = [np.zeros_like(a) for _ in range(3)]
        difference, ssim = np.zeros((2, height, LANES), np.float32)
        fill_ssim(a, b, length, *by_moments, difference, ssim)
        lines = gradient.numpy().reshape(height, length)
        fill_gradient(a, b, *by_moments, np.float32(dssim_weight), lines)
        ctx.save_for_backward(gradient)
        l1, similarity = (
            part.sum(dtype=np.float64) / (height * length) for part in (difference, ssim)
        )
        return image.new_tensor(l1 + dssim_weight * (1 - similarity))

    @staticmethod
    def backward(ctx, by_loss):
        (gradient,) = ctx.saved_tensors
        return by_loss * gradient, None, None


def padded(image: torch.Tensor) -> np.ndarray:
    """An image (H,W,3) with zeros around, its lines in the columns from LANES: float32."""
    height, width, _ = image.shape
    lines = -(-width * CHANNELS // LANES)
    array = np.zeros((height + 2 * REACH, (lines + 2) * LANES), np.float32)
    inside = array[REACH : REACH + height, LANES : LANES + width * CHANNELS]
    inside[:] = image.detach().reshape(height, -1).numpy()
    return array


# Kernels. A line of a padded image holds the channels of a pixel side by side, 16 numbers at once.


@njit(_nrt=False, **JIT)
def blurred_down(lines, y, x):
    """The window down 16 columns of `lines` (m,n), from line y to y + 2 REACH."""
    total = filled(0.0)
    for k in range(2 * REACH + 1):
        total += load_at(lines, y + k, x) * WINDOW[k]
    return total


@njit(_nrt=False, **JIT)
def blurred_along(lines, y, x):
    """The window along 16 places of line y."""
    total = filled(0.0)
    for k in range(2 * REACH + 1):
        total += load_at(lines, y, x + (k - REACH) * CHANNELS) * WINDOW[k]
    return total


@njit(_nrt=False, **JIT)
def moments_down(a, b, y, moments):
    """The window down the lines y to y + 2 REACH of a, b, a^2, b^2 and ab: `moments` (5,n)."""
    for x in range(LANES, a.shape[1] - LANES, LANES):
        of_a, of_b = filled(0.0), filled(0.0)
        of_aa, of_bb, of_ab = filled(0.0), filled(0.0), filled(0.0)
        for k in range(2 * REACH + 1):
            p, q = load_at(a, y + k, x), load_at(b, y + k, x)
            weighted_p, weighted_q = p * WINDOW[k], q * WINDOW[k]
            of_a += weighted_p
            of_b += weighted_q
            of_aa += weighted_p * p
            of_bb += weighted_q * q
            of_ab += weighted_p * q
        store_at(moments, 0, x, of_a)
        store_at(moments, 1, x, of_b)
        store_at(moments, 2, x, of_aa)
        store_at(moments, 3, x, of_bb)
        store_at(moments, 4, x, of_ab)


@njit(_nrt=False, **JIT)
def ssim_line(a, b, y, length, moments, by_mean, by_square, by_product, difference, ssim):
    """One line of `fill_ssim`."""
    sum_of_differences, sum_of_ssim = filled(0.0), filled(0.0)
    line = REACH + y
    for x in range(LANES, a.shape[1] - LANES, LANES):
        mean_a, mean_b = blurred_along(moments, 0, x), blurred_along(moments, 1, x)
        squares, product = mean_a * mean_a + mean_b * mean_b, mean_a * mean_b
        variances = blurred_along(moments, 2, x) + blurred_along(moments, 3, x) - squares
        luminance = product * TWO + C1
        structure = (blurred_along(moments, 4, x) - product) * TWO + C2
        inverse_means, inverse_variances = inverse(squares + C1), inverse(variances + C2)
        both = inverse_means * inverse_variances
        value = luminance * structure * both
        by_mean_a = mean_b * (structure - luminance) * both
        by_mean_a += mean_a * value * (inverse_variances - inverse_means)
        inside = lane_columns() + lane_rows() * FOUR < np.float32(length + LANES - x)
        store_at(by_mean, line, x, select(inside, by_mean_a * TWO, 0.0))
        store_at(by_square, line, x, select(inside, value * inverse_variances * -ONE, 0.0))
        store_at(by_product, line, x, select(inside, luminance * both * TWO, 0.0))
        sum_of_ssim += select(inside, value, 0.0)
        p, q = load_at(a, line, x), load_at(b, line, x)
        sum_of_differences += larger(p - q, q - p)
    store_at(ssim, y, 0, sum_of_ssim)
    store_at(difference, y, 0, sum_of_differences)


@njit(parallel=True, **JIT)
def fill_ssim(a, b, length, by_mean, by_square, by_product, difference, ssim):
    """Sums of |a - b| and SSIM over each line: (H,16), and the derivatives of SSIM by the blurred
    a, a^2 and ab, padded."""
    for y in prange(ssim.shape[0]):
        moments = np.zeros((5, a.shape[1]), np.float32)
        moments_down(a, b, y, moments)
        ssim_line(a, b, y, length, moments, by_mean, by_square, by_product, difference, ssim)


@njit(_nrt=False, **JIT)
def gradient_line(a, b, y, by_mean, by_square, by_product, dssim_weight, scale, down, result):
    """One line of `fill_gradient`."""
    for x in range(LANES, a.shape[1] - LANES, LANES):
        store_at(down, 0, x, blurred_down(by_mean, y, x))
        store_at(down, 1, x, blurred_down(by_square, y, x))
        store_at(down, 2, x, blurred_down(by_product, y, x))
    for x in range(LANES, a.shape[1] - LANES, LANES):
        p, q = load_at(a, REACH + y, x), load_at(b, REACH + y, x)
        by_ssim = blurred_along(down, 0, x) + p * blurred_along(down, 1, x) * TWO
        by_ssim += q * blurred_along(down, 2, x)
        sign = select(p > q, 1.0, 0.0) - select(p < q, 1.0, 0.0)
        store_at(result, 0, x, (sign - by_ssim * dssim_weight) * scale)


@njit(parallel=True, **JIT)
def fill_gradient(a, b, by_mean, by_square, by_product, dssim_weight, gradient):
    """Gradient (H,3W) of the loss by a. Blurring is its own transpose, the window being
    symmetric."""
    scale = ONE / np.float32(gradient.size)
    for y in prange(gradient.shape[0]):
        down = np.zeros((3, a.shape[1]), np.float32)
        result = np.empty((1, a.shape[1]), np.float32)
        gradient_line(a, b, y, by_mean, by_square, by_product, dssim_weight, scale, down, result)
        for i in range(gradient.shape[1]):
            gradient[y, i] = result[0, LANES + i]

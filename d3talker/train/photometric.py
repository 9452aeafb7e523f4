"""The image loss: absolute difference and structural dissimilarity (method spec 3.3)."""

import math

import numpy as np
import torch
from numba import njit, prange

from d3talker.compiled import JIT

DSSIM_WEIGHT = 0.2
C1, C2 = np.float32(0.01**2), np.float32(0.03**2)  # of SSIM, for images in [0,1]
REACH = 5  # px, from the centre to the edge of the window
SIGMA = 1.5  # px
CHANNELS = 3
ONE, TWO = np.float32(1), np.float32(2)

_window = np.array([math.exp(-(k**2) / (2 * SIGMA**2)) for k in range(-REACH, REACH + 1)])
WINDOW = (_window / _window.sum()).astype(np.float32)


def l1_dssim(
    image: torch.Tensor, target: torch.Tensor, dssim_weight: float = DSSIM_WEIGHT
) -> torch.Tensor:
    """mean |image - target| + dssim_weight (1 - mean SSIM), of two images (H,W,3) float32 in [0,1].

    SSIM has a Gaussian window of 11 x 11 pixels and zeros beyond the image's edge. Differentiable
    by `image`. The absolute difference is not scaled by 1 - dssim_weight.
    """
    return _L1DSSIM.apply(image, target, dssim_weight)


def l1_dssim_reference(
    image: torch.Tensor, target: torch.Tensor, dssim_weight: float = DSSIM_WEIGHT
) -> torch.Tensor:
    """`l1_dssim` in plain torch, of any dtype, for tests."""
    window = torch.from_numpy(WINDOW).to(image.dtype)
    kernel = torch.outer(window, window).expand(CHANNELS, 1, -1, -1)

    def blur(x):
        return torch.nn.functional.conv2d(x, kernel, padding=REACH, groups=CHANNELS)

    a, b = image.permute(2, 0, 1)[None], target.permute(2, 0, 1)[None]
    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    ssim = (2 * mean_a * mean_b + float(C1)) * (2 * covariance + float(C2))
    ssim = ssim / ((mean_a**2 + mean_b**2 + float(C1)) * (var_a + var_b + float(C2)))
    return (image - target).abs().mean() + dssim_weight * (1 - ssim.mean())


class _L1DSSIM(torch.autograd.Function):
    @staticmethod
    def forward(ctx, image, target, dssim_weight):
        height = image.shape[0]
        a = image.detach().contiguous().numpy().reshape(height, -1)
        b = target.detach().contiguous().numpy().reshape(height, -1)
        moments = np.empty((5, *a.shape), np.float32)
        by_moments = np.empty((3, *a.shape), np.float32)
        difference, ssim, gradient = (np.empty_like(a) for _ in range(3))
        fill_moments(a, b, moments, difference)
        fill_ssim(moments, ssim, by_moments)
        fill_gradient(a, b, by_moments, np.float32(dssim_weight), gradient)
        ctx.save_for_backward(torch.from_numpy(gradient).view(image.shape))
        return image.new_tensor(difference.mean() + dssim_weight * (1 - ssim.mean()))

    @staticmethod
    def backward(ctx, by_loss):
        (gradient,) = ctx.saved_tensors
        return by_loss * gradient, None, None


# Kernels. A row of an image is one line of W x 3 numbers, the channels of a pixel side by side.


@njit(**JIT)
def blurred_row(image, y, out):
    """Row y of the image (H, 3W) after the window, into `out` (3W,)."""
    height, length = image.shape
    margin = REACH * CHANNELS
    padded = np.zeros(length + 2 * margin, np.float32)
    down = padded[margin : margin + length]
    for row in range(max(y - REACH, 0), min(y + REACH + 1, height)):
        weight = WINDOW[row - y + REACH]
        source = image[row]
        for i in range(length):
            down[i] += weight * source[i]
    out[:] = 0
    for k in range(2 * REACH + 1):
        weight = WINDOW[k]
        source = padded[k * CHANNELS : k * CHANNELS + length]
        for i in range(length):
            out[i] += weight * source[i]


@njit(parallel=True, **JIT)
def fill_moments(a, b, moments, difference):
    for y in prange(a.shape[0]):
        for i in range(a.shape[1]):
            p, q = a[y, i], b[y, i]
            moments[0, y, i] = p
            moments[1, y, i] = q
            moments[2, y, i] = p * p
            moments[3, y, i] = q * q
            moments[4, y, i] = p * q
            difference[y, i] = abs(p - q)


@njit(parallel=True, **JIT)
def fill_ssim(moments, ssim, by_moments):
    """SSIM at each pixel, and its derivatives by the blurred a, a^2 and a b."""
    for y in prange(ssim.shape[0]):
        blurred = np.empty((5, ssim.shape[1]), np.float32)
        for moment in range(5):
            blurred_row(moments[moment], y, blurred[moment])
        for i in range(ssim.shape[1]):
            mean_a, mean_b = blurred[0, i], blurred[1, i]
            covariance = blurred[4, i] - mean_a * mean_b
            variances = blurred[2, i] - mean_a * mean_a + blurred[3, i] - mean_b * mean_b
            luminance = TWO * mean_a * mean_b + C1
            structure = TWO * covariance + C2
            inverse_means = ONE / (mean_a * mean_a + mean_b * mean_b + C1)
            inverse_variances = ONE / (variances + C2)
            inverse = inverse_means * inverse_variances
            value = luminance * structure * inverse
            ssim[y, i] = value
            by_moments[0, y, i] = TWO * (
                mean_b * (structure - luminance) * inverse
                + mean_a * value * (inverse_variances - inverse_means)
            )
            by_moments[1, y, i] = -value * inverse_variances
            by_moments[2, y, i] = TWO * luminance * inverse


@njit(parallel=True, **JIT)
def fill_gradient(a, b, by_moments, dssim_weight, gradient):
    """Gradient of the loss by a. Blurring is its own transpose, the window being symmetric."""
    scale = ONE / np.float32(a.size)
    for y in prange(a.shape[0]):
        blurred = np.empty((3, a.shape[1]), np.float32)
        for moment in range(3):
            blurred_row(by_moments[moment], y, blurred[moment])
        for i in range(a.shape[1]):
            by_ssim = blurred[0, i] + TWO * a[y, i] * blurred[1, i] + b[y, i] * blurred[2, i]
            sign = np.float32(a[y, i] > b[y, i]) - np.float32(a[y, i] < b[y, i])
            gradient[y, i] = scale * (sign - dssim_weight * by_ssim)

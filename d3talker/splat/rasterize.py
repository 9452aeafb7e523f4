"""Draw 3-D Gaussians, with gradients, on the CPU.

The rasterizer of 3-D Gaussian Splatting with depth and alpha (method spec 3.2): Gaussians are
projected to ellipses, sorted by depth, listed by tiles of 16 x 16 pixels and blended from near to
far. The Jacobian of the projection is taken at the centre of the Gaussian itself, even far outside
the image, so that a cropped view is exactly a window of the whole one. reference.py is the same
in plain torch.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numba
import numpy as np
import torch

from d3talker.simd.memory import new_lines
from d3talker.simd.rows import LANES
from d3talker.splat.binning import bin_splats, gather, nearest_first
from d3talker.splat.camera import Camera
from d3talker.splat.checks import check_background, check_camera, check_gaussians
from d3talker.splat.projection import SPLAT, project, project_backward
from d3talker.splat.tiles import CHANNELS, blend
from d3talker.splat.tiles_backward import MOMENTS, PIXEL_MOMENTS, blend_backward, sum_by_splat


class Rendering(NamedTuple):
    color: torch.Tensor  # (H,W,3) float32
    depth: torch.Tensor  # (H,W) float32, sum of weight times z, m: not divided by alpha
    alpha: torch.Tensor  # (H,W) float32, 1 - transmittance
    features: torch.Tensor  # (H,W,F) float32, blended like colors over zeros


@dataclass
class GradientStats:
    """What densification wants to know of each Gaussian, gathered over backward passes."""

    count: int  # N
    device: torch.device | str = "cpu"  # where these are, whatever device draws
    gradient_norm: torch.Tensor = field(init=False)  # (N,) sum of |dL / d centre|, centre in NDC
    visible: torch.Tensor = field(init=False)  # (N,) number of passes in which it was in view
    radius: torch.Tensor = field(init=False)  # (N,) largest 3-sigma radius on the screen, px

    def __post_init__(self):
        self.gradient_norm = torch.zeros(self.count, device=self.device)
        self.visible = torch.zeros_like(self.gradient_norm)
        self.radius = torch.zeros_like(self.gradient_norm)

    def add(self, splats: np.ndarray, by_centre: np.ndarray, width: int, height: int) -> None:
        """Add one view: `splats` (M,) SPLAT in view and the gradients (N,2) of all centres, px."""
        # The image is two units of normalised device coordinates wide and high.
        norm = np.hypot(by_centre[:, 0] * (width / 2), by_centre[:, 1] * (height / 2))
        self.gradient_norm += torch.from_numpy(norm).to(self.device)
        index = torch.from_numpy(splats["index"].astype(np.int64)).to(self.device)
        self.visible[index] += 1
        radius = torch.from_numpy(splats["radius"].copy()).to(self.device)
        self.radius[index] = torch.maximum(self.radius[index], radius)


def rasterize(
    means: torch.Tensor,
    quats: torch.Tensor,
    scales: torch.Tensor,
    opacities: torch.Tensor,
    colors: torch.Tensor,
    camera: Camera,
    background: torch.Tensor | None = None,
    stats: GradientStats | None = None,
    features: torch.Tensor | None = None,
) -> Rendering:
    """Draw N Gaussians; differentiable by all their tensors, which are float32, N >= 0.

    means (N,3) world positions, m; quats (N,4) rotations (w,x,y,z) of any length but zero; scales
    (N,3) standard deviations, m, not negative; opacities (N,) from 0 to 1; colors (N,3) RGB;
    background (3,) or (H,W,3) RGB of any float type, black by default; features (N,F) anything else
    to blend, such as normals or attention. Tensors may lie in memory in any order. Scales of zero
    make a point, which is drawn as wide as a pixel; one too near the camera (NEAR) or fainter than
    MIN_ALPHA is not drawn, and its gradients are zero.

    A backward pass adds to `stats`. There is no gradient by the camera: to optimise a pose, move
    the Gaussians instead. Raises ValueError naming the argument, for a wrong shape, type or size,
    for values that are not finite or out of range (see checks.py), and where so many Gaussians are
    so large in the image that memory would not do (see bin_splats).
    """
    if features is None:
        features = means.new_zeros(len(means), 0)
    if background is None:
        background = torch.zeros(3, dtype=torch.float32)
    check_gaussians(means, quats, scales, opacities, colors, features)
    check_camera(camera)
    check_background(background, camera)
    if stats is not None and stats.count != len(means):
        raise ValueError(f"stats: those of {len(means)} Gaussians expected, got {stats.count}")
    return Rendering(
        *_Rasterize.apply(
            means, quats, scales, opacities, colors, features, background.float(), camera, stats
        )
    )


def lay_over(rendering: Rendering, background: torch.Tensor) -> Rendering:
    """A rendering over black laid over the image `background` (H,W,3)."""
    return rendering._replace(color=rendering.color + (1 - rendering.alpha[..., None]) * background)


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


def _lines(image: torch.Tensor) -> np.ndarray:
    """An image (H,W,3) as (H,3W)."""
    return _array(image).reshape(len(image), -1)


def _pose(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.ascontiguousarray(camera.R, dtype=np.float64),
        np.ascontiguousarray(camera.t, dtype=np.float64),
    )


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, means, quats, scales, opacities, colors, features, background, camera, stats):
        width, height = camera.width, camera.height
        geometry = [_array(tensor) for tensor in (means, quats, scales, opacities)]
        projected = np.empty(len(means), SPLAT)
        project(
            *geometry, *_pose(camera), float(camera.focal), float(camera.cx), float(camera.cy),
            width, height, projected,
        )  # fmt: skip
        splats, values = gather(
            projected, _array(colors), _array(features), nearest_first(projected)
        )
        bins = bin_splats(splats, width, height)
        images, alpha = [], torch.empty(height, width)
        touched = np.empty(len(bins.splat) + LANES, np.uint16)
        behind = _lines(background.expand(1, width, 3) if background.dim() == 1 else background)
        for first in range(0, values.shape[1], CHANNELS):
            three, fourth = torch.empty(height, width, 3), torch.empty(height, width)
            blend(
                splats, values, first, bins, behind, _lines(three), fourth.numpy(), alpha.numpy(),
                touched, numba.get_num_threads(),
            )  # fmt: skip
            images += [three, fourth]
            behind = np.zeros((1, 3 * width), np.float32)
        ctx.save_for_backward(means, quats, scales, opacities, alpha, *images)
        ctx.camera, ctx.stats, ctx.features = camera, stats, features.shape[1]
        ctx.background_is_a_color = background.dim() == 1
        ctx.splats, ctx.values, ctx.bins, ctx.touched = splats, values, bins, touched
        return *images[:2], alpha, _joined(images[2:], alpha, ctx.features)

    @staticmethod
    def backward(ctx, by_color, by_depth, by_alpha, by_features):
        means, quats, scales, opacities, alpha = (
            _array(tensor) for tensor in ctx.saved_tensors[:5]
        )
        images = ctx.saved_tensors[5:]
        camera, splats, bins = ctx.camera, ctx.splats, ctx.bins
        moments = np.zeros((len(splats), MOMENTS))
        by_values = np.empty_like(ctx.values)
        slots = new_lines(len(bins.splat))
        groups = [(_lines(by_color), _array(by_depth), _array(by_alpha))]
        groups += _split(by_features, ctx.values.shape[1] - CHANNELS)
        for group, gradients in enumerate(groups):
            first = group * CHANNELS
            blend_backward(
                splats, ctx.values, first, bins, ctx.touched, PIXEL_MOMENTS,
                _lines(images[2 * group]), _array(images[2 * group + 1]), alpha, *gradients, slots,
                numba.get_num_threads(),
            )  # fmt: skip
            sum_by_splat(splats, bins.splat_start, slots, moments, by_values, first)
        results = [np.zeros_like(array) for array in (means, quats, scales, opacities)]
        by_centre = np.zeros((len(means), 2), np.float32)
        by_value = np.zeros((len(means), by_values.shape[1]), np.float32)
        project_backward(
            splats, moments, by_values, means, quats, scales, opacities, *_pose(camera),
            float(camera.focal), *results, by_centre, by_value,
        )  # fmt: skip
        if ctx.stats is not None:
            ctx.stats.add(splats, by_centre, camera.width, camera.height)
        results += [by_value[:, :3], by_value[:, 4 : 4 + ctx.features]]
        by_background = None
        if ctx.needs_input_grad[6]:
            by_background = by_color * (1 - torch.from_numpy(alpha))[..., None]
            if ctx.background_is_a_color:
                by_background = by_background.sum((0, 1))
        return *(torch.from_numpy(array) for array in results), by_background, None, None


def _joined(images: list[torch.Tensor], alpha: torch.Tensor, count: int) -> torch.Tensor:
    """(H,W,count) from images of three channels and of one, in turn."""
    if not images:
        return alpha.new_zeros(*alpha.shape, 0)
    layers = [image.reshape(*alpha.shape, -1) for image in images]
    return torch.cat(layers, dim=-1)[..., :count]


def _split(by_features: torch.Tensor, channels: int) -> list[tuple[np.ndarray, ...]]:
    """Gradients by the images of each four features and by alpha, from those of (H,W,F)."""
    missing = channels - by_features.shape[-1]
    padded = torch.nn.functional.pad(by_features, (0, missing))
    none = np.zeros(by_features.shape[:2], np.float32)
    return [
        (_lines(part[..., :3]), _array(part[..., 3]), none)
        for part in padded.split(CHANNELS, dim=-1)
        if channels
    ]

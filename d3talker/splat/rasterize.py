"""Draw 3-D Gaussians, with gradients, on the CPU.

The rasterizer of 3-D Gaussian Splatting with depth and alpha (method spec 3.2): Gaussians are
projected to ellipses, sorted by depth, listed by tiles of 16 x 16 pixels and blended from near to
far. The Jacobian of the projection is taken at the centre of the Gaussian itself, even far outside
the image, so that a cropped view is exactly a window of the whole one. reference.py is the same
in plain torch.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from d3talker.splat.binning import Bins, bin_splats, nearest_first
from d3talker.splat.camera import Camera
from d3talker.splat.projection import SPLAT, SPLAT_GRADIENT, project, project_backward
from d3talker.splat.tiles import blend, blend_backward, sum_by_splat


class Rendering(NamedTuple):
    color: torch.Tensor  # (H,W,3) float32
    depth: torch.Tensor  # (H,W) float32, sum of weight times z, m: not divided by alpha
    alpha: torch.Tensor  # (H,W) float32, 1 - transmittance


@dataclass
class GradientStats:
    """What densification wants to know of each Gaussian, gathered over backward passes."""

    count: int  # N
    gradient_norm: torch.Tensor = field(init=False)  # (N,) sum of |dL / d centre|, centre in NDC
    visible: torch.Tensor = field(init=False)  # (N,) number of passes in which it was in view
    radius: torch.Tensor = field(init=False)  # (N,) largest 3-sigma radius on the screen, px

    def __post_init__(self):
        self.gradient_norm = torch.zeros(self.count)
        self.visible = torch.zeros(self.count)
        self.radius = torch.zeros(self.count)

    def add(self, splats: np.ndarray, gradients: np.ndarray, width: int, height: int) -> None:
        """Add one view: `splats` (M,) SPLAT in view and their `gradients` (M,) SPLAT_GRADIENT."""
        index = torch.from_numpy(splats["index"].astype(np.int64))
        # The image is two units of normalised device coordinates wide and high.
        norm = np.hypot(gradients["x"] * (width / 2), gradients["y"] * (height / 2))
        self.gradient_norm[index] += torch.from_numpy(norm)
        self.visible[index] += 1
        radius = torch.from_numpy(splats["radius"].copy())
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
) -> Rendering:
    """Draw N Gaussians; differentiable by all five of their tensors, which are float32.

    means (N,3) world positions, m; quats (N,4) rotations (w,x,y,z) of any length; scales (N,3)
    standard deviations, m, positive; opacities (N,) in (0,1); colors (N,3) RGB; background (3,)
    RGB, black by default. A backward pass adds to `stats`. There is no gradient by the camera: to
    optimise a pose, move the Gaussians instead.
    """
    count = len(means)
    tensors = {
        "means": (means, (count, 3)),
        "quats": (quats, (count, 4)),
        "scales": (scales, (count, 3)),
        "opacities": (opacities, (count,)),
        "colors": (colors, (count, 3)),
    }
    for name, (tensor, shape) in tensors.items():
        if tensor.shape != shape or tensor.dtype != torch.float32:
            raise ValueError(
                f"{name}: expected {shape} float32, got {tuple(tensor.shape)} {tensor.dtype}"
            )
        if not np.isfinite(tensor.detach().numpy().sum()):
            raise ValueError(f"{name}: not all values are finite")
    if background is None:
        background = torch.zeros(3, dtype=torch.float32)
    return Rendering(
        *_Rasterize.apply(means, quats, scales, opacities, colors, camera, background, stats)
    )


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


def _pose(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.ascontiguousarray(camera.R, dtype=np.float64),
        np.ascontiguousarray(camera.t, dtype=np.float64),
    )


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, means, quats, scales, opacities, colors, camera, background, stats):
        width, height = camera.width, camera.height
        arrays = [_array(tensor) for tensor in (means, quats, scales, opacities, colors)]
        projected = np.empty(len(means), SPLAT)
        project(
            *arrays, *_pose(camera), float(camera.focal), float(camera.cx), float(camera.cy),
            width, height, projected,
        )  # fmt: skip
        splats = nearest_first(projected)
        bins = bin_splats(splats, width, height)
        color = torch.empty(height, width, 3)
        depth, alpha = torch.empty(height, width), torch.empty(height, width)
        blend(
            splats, bins.tile_start, bins.splat, _array(background),
            color.numpy(), depth.numpy(), alpha.numpy(),
        )  # fmt: skip
        ctx.save_for_backward(means, quats, scales, opacities, color, depth, alpha)
        ctx.camera, ctx.stats, ctx.splats, ctx.bins = camera, stats, splats, bins
        return color, depth, alpha

    @staticmethod
    def backward(ctx, by_color, by_depth, by_alpha):
        *parameters, color, depth, alpha = (_array(tensor) for tensor in ctx.saved_tensors)
        camera, splats, bins = ctx.camera, ctx.splats, ctx.bins
        image_gradients = [_array(tensor) for tensor in (by_color, by_depth, by_alpha)]
        gradients = _splat_gradients(splats, bins, (color, depth, alpha), image_gradients)
        if ctx.stats is not None:
            ctx.stats.add(splats, gradients, camera.width, camera.height)
        results = [np.zeros_like(array) for array in parameters]
        results.append(np.zeros((len(results[0]), 3), np.float32))
        project_backward(
            splats, gradients, *parameters, *_pose(camera), float(camera.focal), *results
        )
        return *(torch.from_numpy(array) for array in results), None, None, None


def _splat_gradients(splats: np.ndarray, bins: Bins, image, image_gradients) -> np.ndarray:
    """Gradients (M,) SPLAT_GRADIENT of the splats from those of color, depth and alpha."""
    values = len(SPLAT_GRADIENT.names)
    pair_gradients = np.zeros(len(bins.pair), SPLAT_GRADIENT)
    blend_backward(splats, bins.tile_start, bins.splat, *image, *image_gradients, pair_gradients)
    gradients = np.empty(len(splats), SPLAT_GRADIENT)
    sum_by_splat(
        bins.splat_start,
        bins.pair,
        pair_gradients.view(np.float32).reshape(-1, values),
        gradients.view(np.float32).reshape(-1, values),
    )
    return gradients

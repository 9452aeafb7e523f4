"""What the adapters of CUDA rasterizers share.

Tensors may be on any device: they are brought to the GPU, and the image back to where they were.
"""

from collections.abc import Callable
from functools import wraps

import torch

from d3talker.splat.camera import Camera
from d3talker.splat.checks import check_background, check_camera, check_gaussians
from d3talker.splat.rasterize import Rendering, lay_over
from d3talker.splat.reference import rasterize_reference

DEVICE = "cuda"
# Gaussians far outside the image are projected by a limited tangent in these rasterizers, not in
# ours. So that none of them reaches into the image, a larger one is drawn and cut: a Gaussian
# would need a standard deviation of a quarter of the margin and more.
MARGIN = 64  # px, on each side


def adapter(draw: Callable[..., Rendering]) -> Callable[..., Rendering]:
    """The function `rasterize` from one that draws at least one Gaussian over a colour.

    `draw` takes what `rasterize` of rasterize.py takes, with nothing left out; its errors are
    raised here.
    """

    @wraps(draw)
    def rasterize(
        means, quats, scales, opacities, colors, camera, background=None, stats=None, features=None
    ) -> Rendering:
        if features is None:
            features = means.new_zeros(len(means), 0)
        if background is None:
            background = means.new_zeros(3)
        gaussians = means, quats, scales, opacities, colors
        check_camera(camera)
        check_gaussians(*gaussians, features)
        check_background(background, camera)
        colour = means.new_zeros(3) if background.dim() == 3 else background
        if len(means) == 0:  # the packages divide by the number of Gaussians
            rendering = rasterize_reference(*gaussians, camera, colour, stats, features)
        else:
            rendering = draw(*gaussians, camera, colour, stats, features)
        return lay_over(rendering, background) if background.dim() == 3 else rendering

    return rasterize


def on_gpu(*tensors: torch.Tensor) -> list[torch.Tensor]:
    """The tensors on the GPU, contiguous; differentiable."""
    return [tensor.to(DEVICE).contiguous() for tensor in tensors]


def world_to_camera(camera: Camera) -> torch.Tensor:
    """The matrix (4,4) that takes homogeneous positions of the world to the camera's axes."""
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = torch.as_tensor(camera.R)
    matrix[:3, 3] = torch.as_tensor(camera.t)
    return matrix

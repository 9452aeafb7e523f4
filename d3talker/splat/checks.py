"""What the rasterizers accept: each error names the tensor or the field of the camera."""

import math
from numbers import Integral

import numpy as np
import torch

from d3talker.splat.camera import Camera

LARGEST = 1e9  # of any number: what is computed from such numbers stays finite in float32
MAX_SIDE = 1 << 14  # px; float32 places pixels of such an image to a thousandth
MIN_QUAT_LENGTH = 1e-12  # a shorter one has no direction

# The least and the largest value of each tensor; the others reach from -LARGEST to LARGEST.
RANGES = {"scales": (0.0, LARGEST), "opacities": (0.0, 1.0)}


def check_gaussians(
    means: torch.Tensor,
    quats: torch.Tensor,
    scales: torch.Tensor,
    opacities: torch.Tensor,
    colors: torch.Tensor,
    features: torch.Tensor,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Raise ValueError for tensors that are not those of N Gaussians, as `rasterize` has them.

    Linear in the number of values. Tensors may be on any device, in any order in memory.
    """
    count = len(means)
    tensors = {
        "means": (means, (count, 3)),
        "quats": (quats, (count, 4)),
        "scales": (scales, (count, 3)),
        "opacities": (opacities, (count,)),
        "colors": (colors, (count, 3)),
        "features": (features, (count, features.shape[-1] if features.ndim == 2 else "F")),
    }
    for name, (tensor, shape) in tensors.items():
        if tensor.shape != shape or tensor.dtype != dtype:
            expected = f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
            raise ValueError(
                f"{name}: expected {expected} {_short(dtype)}, "
                f"got {tuple(tensor.shape)} {_short(tensor.dtype)}"
            )
        check_values(name, tensor.detach(), *RANGES.get(name, (-LARGEST, LARGEST)))
    quats = quats.detach()
    if count and not (quats.square() @ quats.new_ones(4)).min() >= MIN_QUAT_LENGTH**2:
        raise ValueError(f"quats: a length below {MIN_QUAT_LENGTH} gives no rotation")


def check_values(name: str, values: torch.Tensor, low: float, high: float) -> None:
    """Raise ValueError if not all of `values` are from `low` to `high`."""
    if values.numel() == 0:
        return
    least, largest = (value.item() for value in torch.aminmax(values))  # both nan if there is one
    if not (least >= low and largest <= high):
        wrong = least if not least >= low else largest
        raise ValueError(f"{name}: expected finite values from {low:g} to {high:g}, got {wrong:g}")


def check_background(background: torch.Tensor, camera: Camera) -> None:
    """Raise ValueError if the background is neither a colour nor an image of the camera's size."""
    image = camera.height, camera.width, 3
    if background.shape not in ((3,), image) or not background.is_floating_point():
        raise ValueError(
            f"background: expected (3,) or {image} of floating point, "
            f"got {tuple(background.shape)} {_short(background.dtype)}"
        )
    check_values("background", background.detach(), -LARGEST, LARGEST)


def check_camera(camera: Camera) -> None:
    """Raise ValueError for a camera that can draw no image."""
    for name, side in (("width", camera.width), ("height", camera.height)):
        if not (isinstance(side, Integral) and 1 <= side <= MAX_SIDE):
            raise ValueError(
                f"camera.{name}: expected a whole number from 1 to {MAX_SIDE}, got {side}"
            )
    if not 0 < camera.focal <= LARGEST:
        raise ValueError(f"camera.focal: expected more than 0 px, got {camera.focal}")
    for name, number in (("cx", camera.cx), ("cy", camera.cy)):
        if not math.fabs(number) <= LARGEST:
            raise ValueError(f"camera.{name}: expected a finite number of px, got {number}")
    for name, shape, limit in (("R", (3, 3), 1.001), ("t", (3,), LARGEST)):
        value = getattr(camera, name)
        tensor = value if isinstance(value, torch.Tensor) else torch.tensor(np.asarray(value))
        if tensor.shape != shape:
            raise ValueError(f"camera.{name}: expected {shape}, got {tuple(tensor.shape)}")
        check_values(f"camera.{name}", tensor, -limit, limit)


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")

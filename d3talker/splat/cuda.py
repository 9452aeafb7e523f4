"""What the adapters of CUDA rasterizers share.

Tensors may be on any device: they are brought to the GPU, and the image back to where they were.
"""

import torch

from d3talker.splat.camera import Camera

DEVICE = "cuda"
# Gaussians far outside the image are projected by a limited tangent in these rasterizers, not in
# ours. So that none of them reaches into the image, a larger one is drawn and cut: a Gaussian
# would need a standard deviation of a quarter of the margin and more.
MARGIN = 64  # px, on each side


def check_arguments(means, quats, scales, opacities, colors, features) -> None:
    """Raise ValueError naming a tensor that has not the shape and type that `rasterize` asks."""
    count = len(means)
    tensors = {
        "means": (means, (count, 3)),
        "quats": (quats, (count, 4)),
        "scales": (scales, (count, 3)),
        "opacities": (opacities, (count,)),
        "colors": (colors, (count, 3)),
        "features": (features, (count, features.shape[-1])),
    }
    for name, (tensor, shape) in tensors.items():
        if tensor.shape != shape or tensor.dtype != torch.float32:
            raise ValueError(
                f"{name}: expected {shape} float32, got {tuple(tensor.shape)} {tensor.dtype}"
            )


def on_gpu(*tensors: torch.Tensor) -> list[torch.Tensor]:
    """The tensors on the GPU, contiguous; differentiable."""
    return [tensor.to(DEVICE).contiguous() for tensor in tensors]


def world_to_camera(camera: Camera) -> torch.Tensor:
    """The matrix (4,4) that takes homogeneous positions of the world to the camera's axes."""
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = torch.as_tensor(camera.R)
    matrix[:3, 3] = torch.as_tensor(camera.t)
    return matrix

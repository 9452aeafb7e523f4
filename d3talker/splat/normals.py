"""Surface normals of Gaussians: the axis along which a Gaussian is thinnest (method spec 3.2).

To see them, draw them as features: `normal_image(rasterize(..., features=normals).features)`.
"""

import torch

from d3talker.splat.camera import Camera
from d3talker.splat.reference import pose_like, rotation_matrices


def surface_normals(
    quats: torch.Tensor, scales: torch.Tensor, means: torch.Tensor, camera: Camera
) -> torch.Tensor:
    """Unit normals (N,3), in the axes of the world, that face the camera; differentiable by quats.

    quats (N,4) (w,x,y,z) of any length, scales (N,3) m, means (N,3) m.
    """
    thinnest = scales.argmin(dim=1)[:, None, None].expand(-1, 3, 1)
    normals = rotation_matrices(quats).gather(2, thinnest)[:, :, 0]
    R, t = pose_like(camera, means)
    away = ((means + t @ R) * normals).sum(dim=1, keepdim=True) > 0  # the camera is at -R^T t
    return torch.where(away, -normals, normals)


def normal_image(features: torch.Tensor) -> torch.Tensor:
    """Unit normals (H,W,3) of blended ones (H,W,3); zeros where nothing was drawn."""
    return torch.nn.functional.normalize(features, dim=-1)

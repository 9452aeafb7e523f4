"""The image of rasterize.py in plain torch: short and slow, of any dtype, for tests.

Every Gaussian is evaluated at every pixel, in memory proportional to N x H x W.
"""

import torch

from d3talker.splat.camera import Camera
from d3talker.splat.projection import LOW_PASS, MIN_ALPHA, NEAR
from d3talker.splat.rasterize import Rendering
from d3talker.splat.tiles import MAX_ALPHA, MIN_TRANSMITTANCE


def rotation_matrices(quats: torch.Tensor) -> torch.Tensor:
    """Rotation matrices (N,3,3) of quaternions (N,4) (w,x,y,z) of any length."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=1).unbind(1)
    return torch.stack(
        [
            1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
            2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
        ],
        dim=1,
    ).view(-1, 3, 3)  # fmt: skip


def project_reference(
    means: torch.Tensor, quats: torch.Tensor, scales: torch.Tensor, camera: Camera
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Centres (N,2) px, covariances (N,2,2) px^2 and depths (N,) m of the Gaussians."""
    R = torch.as_tensor(camera.R, dtype=means.dtype)
    t = torch.as_tensor(camera.t, dtype=means.dtype)
    x, y, z = (means @ R.T + t).unbind(1)
    zero = torch.zeros_like(z)
    J = camera.focal * torch.stack([1 / z, zero, -x / z**2, zero, 1 / z, -y / z**2], dim=1)
    axes = J.view(-1, 2, 3) @ R @ (rotation_matrices(quats) * scales[:, None, :])
    covariances = axes @ axes.transpose(1, 2) + LOW_PASS * torch.eye(2, dtype=means.dtype)
    u, v = camera.focal * x / z + camera.cx, camera.focal * y / z + camera.cy
    return torch.stack([u, v], dim=1), covariances, z


def rasterize_reference(
    means: torch.Tensor,
    quats: torch.Tensor,
    scales: torch.Tensor,
    opacities: torch.Tensor,
    colors: torch.Tensor,
    camera: Camera,
    background: torch.Tensor | None = None,
) -> Rendering:
    """As `rasterize`, differentiated by autograd."""
    dtype = means.dtype
    centres, covariances, depths = project_reference(means, quats, scales, camera)
    order = torch.argsort(depths, stable=True)
    order = order[depths[order] > NEAR]
    columns = torch.arange(camera.width, dtype=dtype) + 0.5
    rows = torch.arange(camera.height, dtype=dtype) + 0.5
    pixels = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).flip(-1)
    offsets = pixels.view(-1, 1, 2) - centres[order]  # (HW,N,2)
    mahalanobis = torch.einsum(
        "pni,nij,pnj->pn", offsets, torch.linalg.inv(covariances[order]), offsets
    )
    alphas = (opacities[order] * torch.exp(-0.5 * mahalanobis)).clamp(max=MAX_ALPHA)
    alphas = torch.where(alphas >= MIN_ALPHA, alphas, 0.0)
    after = torch.cumprod(1 - alphas, dim=1)
    alphas = torch.where(after >= MIN_TRANSMITTANCE, alphas, 0.0)
    after = torch.cumprod(1 - alphas, dim=1)
    before = torch.cat([after.new_ones(len(after), 1), after], dim=1)
    weights = before[:, :-1] * alphas
    transmittance = before[:, -1]
    color = weights @ colors[order]
    if background is not None:
        color = color + transmittance[:, None] * background
    shape = camera.height, camera.width
    return Rendering(
        color.view(*shape, 3),
        (weights @ depths[order]).view(shape),
        (1 - transmittance).view(shape),
    )

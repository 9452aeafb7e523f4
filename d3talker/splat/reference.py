"""The image of rasterize.py in plain torch: short and slow, of any dtype, on any device.

Every Gaussian is evaluated at every pixel, in memory proportional to N x H x W. An ellipse so long
and thin that its covariance is singular in the dtype raises torch.linalg.LinAlgError.
"""

import torch

from d3talker.splat.camera import Camera
from d3talker.splat.checks import check_background, check_camera, check_gaussians
from d3talker.splat.projection import LOW_PASS, MIN_ALPHA, NEAR, RADIUS_SIGMAS
from d3talker.splat.rasterize import GradientStats, Rendering
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


def pose_like(camera: Camera, tensor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """R (3,3) and t (3,) of the camera, of the dtype and on the device of `tensor`."""
    return torch.as_tensor(camera.R).to(tensor), torch.as_tensor(camera.t).to(tensor)


def project_reference(
    means: torch.Tensor, quats: torch.Tensor, scales: torch.Tensor, camera: Camera
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Centres (N,2) px, covariances (N,2,2) px^2 and depths (N,) m of the Gaussians."""
    R, t = pose_like(camera, means)
    x, y, z = (means @ R.T + t).unbind(1)
    zero = torch.zeros_like(z)
    J = camera.focal * torch.stack([1 / z, zero, -x / z**2, zero, 1 / z, -y / z**2], dim=1)
    axes = J.view(-1, 2, 3) @ R @ (rotation_matrices(quats) * scales[:, None, :])
    covariances = axes @ axes.transpose(1, 2) + LOW_PASS * torch.eye(2).to(means)
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
    stats: GradientStats | None = None,
    features: torch.Tensor | None = None,
) -> Rendering:
    """As `rasterize`, differentiated by autograd, also by the background. Checks the same, but
    the type is that of `means`."""
    if features is None:
        features = means.new_zeros(len(means), 0)
    check_gaussians(means, quats, scales, opacities, colors, features, means.dtype)
    check_background(means.new_zeros(3) if background is None else background, camera)
    check_camera(camera)
    order = _nearest_first(means.detach(), camera)
    centres, covariances, depths = project_reference(
        means[order], quats[order], scales[order], camera
    )
    if stats is not None and centres.requires_grad:
        geometry = [tensor.detach() for tensor in (means, quats, scales, opacities)]

        def record(gradient: torch.Tensor) -> None:
            by_centre = torch.zeros_like(means[:, :2]).index_copy(0, order, gradient)
            record_view(stats, *geometry, camera, by_centre.detach())

        centres.register_hook(record)
    alphas = _alphas(centres, covariances, opacities[order], camera)
    after = torch.cumprod(1 - alphas, dim=1)
    before = torch.cat([after.new_ones(len(after), 1), after], dim=1)
    weights = before[:, :-1] * alphas
    transmittance = before[:, -1]
    color = weights @ colors[order]
    if background is not None:
        shape = camera.height, camera.width, 3
        color = color + transmittance[:, None] * background.expand(shape).reshape(-1, 3)
    shape = camera.height, camera.width
    return Rendering(
        color.view(*shape, 3),
        (weights @ depths).view(shape),
        (1 - transmittance).view(shape),
        (weights @ features[order]).view(*shape, features.shape[1]),
    )


def _nearest_first(means: torch.Tensor, camera: Camera) -> torch.Tensor:
    """Indices of the Gaussians that are in front of the camera, sorted by depth."""
    R, t = pose_like(camera, means)
    depths = (means @ R.T + t)[:, 2]
    order = torch.argsort(depths, stable=True)
    return order[depths[order] > NEAR]


def _alphas(centres, covariances, opacities, camera: Camera) -> torch.Tensor:
    """Alpha (H W, N) of sorted Gaussians in every pixel; zero once a pixel has stopped."""
    columns = torch.arange(camera.width).to(centres) + 0.5
    rows = torch.arange(camera.height).to(centres) + 0.5
    pixels = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).flip(-1)
    offsets = pixels.view(-1, 1, 2) - centres  # (HW,N,2)
    mahalanobis = torch.einsum("pni,nij,pnj->pn", offsets, torch.linalg.inv(covariances), offsets)
    alphas = (opacities * torch.exp(-0.5 * mahalanobis)).clamp(max=MAX_ALPHA)
    alphas = torch.where(alphas >= MIN_ALPHA, alphas, 0.0)
    return torch.where(torch.cumprod(1 - alphas, dim=1) >= MIN_TRANSMITTANCE, alphas, 0.0)


@torch.no_grad()
def record_view(
    stats: GradientStats,
    means: torch.Tensor,
    quats: torch.Tensor,
    scales: torch.Tensor,
    opacities: torch.Tensor,
    camera: Camera,
    by_centre: torch.Tensor,
) -> None:
    """Add one view to `stats`: `by_centre` (N,2) is the gradient by the centres, 1/px.

    Visible are those whose alpha can reach MIN_ALPHA in a pixel of the image, as in rasterize.py.
    """
    geometry = (tensor.double() for tensor in (means, quats, scales))
    centres, covariances, depths = project_reference(*geometry, camera)
    variances = covariances.diagonal(dim1=1, dim2=2)  # (N,2)
    sigmas = (2 * torch.log(opacities.double() / MIN_ALPHA)).clamp(min=0).sqrt()
    reach = sigmas[:, None] * variances.sqrt()
    size = torch.tensor([camera.width, camera.height]).to(centres)
    first = torch.ceil(centres - reach - 0.5).clamp(min=0)
    last = torch.minimum(torch.floor(centres + reach - 0.5), size - 1)
    visible = (depths > NEAR) & (opacities > MIN_ALPHA) & (first <= last).all(dim=1)
    half_trace = variances.mean(dim=1)
    half_gap = 0.5 * (variances[:, 0] - variances[:, 1])
    largest = half_trace + torch.hypot(half_gap, covariances[:, 0, 1])
    radius = torch.where(visible, RADIUS_SIGMAS * largest.sqrt(), 0.0)
    # The image is two units of normalised device coordinates wide and high.
    norm = (by_centre * (size / 2)).norm(dim=1)
    stats.gradient_norm += norm.to(stats.gradient_norm)
    stats.visible += visible.to(stats.visible)
    stats.radius = torch.maximum(stats.radius, radius.to(stats.radius))

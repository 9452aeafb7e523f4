"""The interface of rasterize.py by gsplat 1.5.

gsplat limits alpha to 0.999 where we limit it to 0.99, so that images differ by up to 0.01 where
Gaussians are more opaque than that. All else is equal: low-pass filter, near plane, smallest
alpha, pixel centres, accumulated depth.
"""

import torch

from d3talker.splat.camera import Camera
from d3talker.splat.cuda import MARGIN, adapter, on_gpu, world_to_camera
from d3talker.splat.projection import LOW_PASS, NEAR
from d3talker.splat.rasterize import GradientStats, Rendering
from d3talker.splat.reference import record_view


@adapter
def rasterize(
    means: torch.Tensor,
    quats: torch.Tensor,
    scales: torch.Tensor,
    opacities: torch.Tensor,
    colors: torch.Tensor,
    camera: Camera,
    background: torch.Tensor,
    stats: GradientStats | None,
    features: torch.Tensor,
) -> Rendering:
    """As `rasterize` of rasterize.py. Tensors may be on any device."""
    from gsplat import rasterization

    geometry = on_gpu(means, quats, scales, opacities)
    values = torch.cat(on_gpu(colors, features), dim=1)
    behind = torch.cat([background.to(values), values.new_zeros(features.shape[1])])
    view = camera.crop(-MARGIN, -MARGIN, camera.width + 2 * MARGIN, camera.height + 2 * MARGIN)
    images, alpha, meta = rasterization(
        *geometry,
        values,
        viewmats=world_to_camera(view).to(values)[None],
        Ks=intrinsics(view).to(values)[None],
        width=view.width,
        height=view.height,
        near_plane=NEAR,
        eps2d=LOW_PASS,
        packed=False,
        backgrounds=behind[None],
        render_mode="RGB+D",  # the last channel is the accumulated depth
    )
    if stats is not None and meta["means2d"].requires_grad:
        detached = [tensor.detach() for tensor in geometry]
        meta["means2d"].register_hook(
            lambda gradient: record_view(stats, *detached, camera, gradient[0])
        )
    rows, columns = slice(MARGIN, MARGIN + camera.height), slice(MARGIN, MARGIN + camera.width)
    images = images[0, rows, columns].to(means.device)
    alpha = alpha[0, rows, columns, 0].to(means.device)
    return Rendering(images[..., :3], images[..., -1], alpha, images[..., 3:-1])


def intrinsics(camera: Camera) -> torch.Tensor:
    """The matrix (3,3) from camera space to homogeneous pixels; the first pixel's centre is 0.5."""
    return torch.tensor(
        [[camera.focal, 0.0, camera.cx], [0.0, camera.focal, camera.cy], [0.0, 0.0, 1.0]],
        dtype=torch.float64,
    )

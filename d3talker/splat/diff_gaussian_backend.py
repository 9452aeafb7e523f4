"""The interface of rasterize.py by diff-gaussian-rasterization with depth, alpha and attributes.

The package is diff_gauss, the rasterizer of InsTaG and TalkingGaussian. It lists a Gaussian only
in the tiles within three standard deviations of its centre, where its alpha can still be 0.011,
so that images differ by that much outside. All else is equal.
"""

import math

import torch

from d3talker.splat.camera import Camera
from d3talker.splat.cuda import MARGIN, adapter, on_gpu, world_to_camera
from d3talker.splat.rasterize import GradientStats, Rendering
from d3talker.splat.reference import record_view

MAX_FEATURES = 34  # what the package was compiled for


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
    """As `rasterize` of rasterize.py. Tensors may be on any device.

    Raises ValueError for more than MAX_FEATURES features.
    """
    from diff_gauss import GaussianRasterizer

    if features.shape[1] > MAX_FEATURES:
        raise ValueError(f"features: at most {MAX_FEATURES}, got {features.shape[1]}")
    geometry = on_gpu(means, quats, scales, opacities)
    view, left, top = centred(camera)
    # Nothing but its gradient is used: that of the centres, in NDC of the image drawn.
    centres = torch.zeros_like(geometry[0], requires_grad=True)
    if stats is not None:
        detached = [tensor.detach() for tensor in geometry]
        to_pixels = 2 / torch.tensor([view.width, view.height]).to(centres)
        centres.register_hook(
            lambda gradient: record_view(stats, *detached, camera, gradient[:, :2] * to_pixels)
        )
    colors, attributes = on_gpu(colors, features)
    color, depth, _, alpha, _, extra = GaussianRasterizer(settings(view, background, colors))(
        means3D=geometry[0],
        means2D=centres,
        opacities=geometry[3][:, None],
        colors_precomp=colors,
        scales=geometry[2],
        rotations=torch.nn.functional.normalize(geometry[1], dim=1),  # it does not normalise
        extra_attrs=attributes if features.shape[1] else None,
    )
    if features.shape[1] == 0:
        extra = color[:0]
    rows, columns = slice(top, top + camera.height), slice(left, left + camera.width)
    color, depth, alpha, extra = (
        image[:, rows, columns].to(means.device) for image in (color, depth, alpha, extra)
    )
    return Rendering(color.permute(1, 2, 0), depth[0], alpha[0], extra.permute(1, 2, 0))


def centred(camera: Camera) -> tuple[Camera, int, int]:
    """A larger view whose optical axis is at its centre; columns left of and rows above `camera`.

    The rasterizer limits tangents to 1.3 times those of half an image, on both sides of the
    optical axis alike, wherever the principal point is.
    """
    left, right = _margins(camera.width, camera.cx)
    top, bottom = _margins(camera.height, camera.cy)
    width, height = camera.width + left + right, camera.height + top + bottom
    return camera.crop(-left, -top, width, height), left, top


def _margins(size: int, centre: float) -> tuple[int, int]:
    """Pixels to add before and after `size`, so that `centre` is in the middle but for a pixel."""
    lopsided = size - 2 * centre
    return MARGIN + max(0, math.ceil(lopsided)), MARGIN + max(0, math.ceil(-lopsided))


def projection(camera: Camera) -> torch.Tensor:
    """The matrix (4,4) from camera space to clip space, of any principal point.

    Divided by its last row, x = -1 and 1 are the left and right edge of the image. The rasterizer
    uses no third row.
    """
    width, height = camera.width, camera.height
    return torch.tensor(
        [
            [2 * camera.focal / width, 0.0, 2 * camera.cx / width - 1, 0.0],
            [0.0, 2 * camera.focal / height, 2 * camera.cy / height - 1, 0.0],
            [0.0, 0.0, 1.0, 0.0],
            [0.0, 0.0, 1.0, 0.0],
        ],
        dtype=torch.float64,
    )


def settings(camera: Camera, background: torch.Tensor, like: torch.Tensor):
    """GaussianRasterizationSettings; matrices are transposed, for row vectors."""
    from diff_gauss import GaussianRasterizationSettings

    pose = world_to_camera(camera)
    return GaussianRasterizationSettings(
        image_height=camera.height,
        image_width=camera.width,
        tanfovx=camera.width / (2 * camera.focal),
        tanfovy=camera.height / (2 * camera.focal),
        bg=background.to(like),
        scale_modifier=1.0,
        viewmatrix=pose.T.to(like).contiguous(),
        projmatrix=(projection(camera) @ pose).T.to(like).contiguous(),
        sh_degree=0,
        campos=(-pose[:3, :3].T @ pose[:3, 3]).to(like),
        prefiltered=False,
        debug=False,
    )

"""Stand-ins of the GPU packages in plain torch, so that their adapters are tested without a GPU.

Each follows the package's documented conventions, also where they differ from ours: what it limits,
how its matrices and grids are laid out, in which units it gives gradients.
"""

import sys
from types import SimpleNamespace
from typing import NamedTuple

import torch

from d3talker.splat.reference import rotation_matrices

LOW_ALPHA, LOW_TRANSMITTANCE, TILE = 1 / 255, 1e-4, 16


def covariance(position, focal, limits, quats, scales, rotation):
    """Covariances (N,2,2) px^2, the tangents limited to `limits` (low x, high x, low y, high y)."""
    x, y, z = position.unbind(1)
    x = z * (x / z).clamp(*limits[:2])
    y = z * (y / z).clamp(*limits[2:])
    zero = torch.zeros_like(z)
    J = focal * torch.stack([1 / z, zero, -x / z**2, zero, 1 / z, -y / z**2], dim=1).view(-1, 2, 3)
    axes = J @ rotation @ (rotation_matrices(quats) * scales[:, None, :])
    return axes @ axes.transpose(1, 2)


def blend(offsets, covariances, depths, drawn, opacities, values, max_alpha):
    """Blended values (P,C) and alpha (P,) of pixels at `offsets` (P,N,2) from the centres."""
    order = torch.argsort(depths)
    inverse = torch.linalg.inv(covariances)
    power = torch.einsum("pni,nij,pnj->pn", offsets, inverse, offsets)
    alphas = (opacities * torch.exp(-0.5 * power)).clamp(max=max_alpha)
    alphas = torch.where(drawn & (alphas >= LOW_ALPHA), alphas, 0.0)[:, order]
    alphas = torch.where(torch.cumprod(1 - alphas, 1) > LOW_TRANSMITTANCE, alphas, 0.0)
    after = torch.cumprod(1 - alphas, dim=1)
    before = torch.cat([after.new_ones(len(after), 1), after[:, :-1]], dim=1)
    return (before * alphas) @ values[order], 1 - after[:, -1]


def pixel_grid(width, height, first):
    """Positions (P,2) of the pixels; that of the first one is (first, first)."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([columns, rows], dim=-1).view(-1, 2) + first


def gsplat_rasterization(
    means, quats, scales, opacities, colors, viewmats, Ks, width, height,
    near_plane, eps2d, packed, backgrounds, render_mode,
):  # fmt: skip
    assert not packed and render_mode == "RGB+D" and len(means) > 0
    view, K = viewmats[0], Ks[0]
    focal, cx, cy = K[0, 0], K[0, 2].item(), K[1, 2].item()
    assert focal == K[1, 1]
    position = means @ view[:3, :3].T + view[:3, 3]
    margin_x, margin_y = 0.15 * width, 0.15 * height
    limits = (
        torch.tensor(
            [-cx - margin_x, width - cx + margin_x, -cy - margin_y, height - cy + margin_y]
        )
        / focal.cpu()
    )
    drawn = position[:, 2] >= near_plane
    safe = torch.where(drawn[:, None], position, torch.tensor([0.0, 0.0, 1.0]))
    limits = limits.tolist()
    covariances = covariance(safe, focal, limits, quats, scales, view[:3, :3])
    covariances = covariances + eps2d * torch.eye(2)
    means2d = (focal * safe[:, :2] / safe[:, 2:] + K[:2, 2])[None]
    values = torch.cat([colors, safe[:, 2:]], dim=1)
    offsets = pixel_grid(width, height, 0.5)[:, None] - means2d[0]
    image, alpha = blend(offsets, covariances, safe[:, 2], drawn, opacities, values, 0.999)
    behind = torch.cat([backgrounds[0], torch.zeros(1)])
    image = image + (1 - alpha)[:, None] * behind
    shape = 1, height, width
    return image.view(*shape, -1), alpha.view(*shape, 1), {"means2d": means2d}


class GaussianRasterizationSettings(NamedTuple):
    image_height: int
    image_width: int
    tanfovx: float
    tanfovy: float
    bg: torch.Tensor
    scale_modifier: float
    viewmatrix: torch.Tensor
    projmatrix: torch.Tensor
    sh_degree: int
    campos: torch.Tensor
    prefiltered: bool
    debug: bool


class GaussianRasterizer:
    def __init__(self, raster_settings):
        self.settings = raster_settings

    def __call__(
        self, means3D, means2D, opacities, colors_precomp, scales, rotations, extra_attrs=None
    ):
        s = self.settings
        assert opacities.shape == (len(means3D), 1) and means2D.shape == means3D.shape
        torch.testing.assert_close(rotations.norm(dim=1), torch.ones(len(rotations)))
        size = torch.tensor([s.image_width, s.image_height])
        homogeneous = torch.cat([means3D, torch.ones(len(means3D), 1)], dim=1)
        position = (homogeneous @ s.viewmatrix)[:, :3]
        clip = homogeneous @ s.projmatrix
        drawn = position[:, 2] > 0.2
        safe = torch.where(drawn[:, None], position, torch.tensor([0.0, 0.0, 1.0]))
        w = torch.where(drawn, clip[:, 3], 1.0)
        ndc = clip[:, :2] / (w[:, None] + 1e-7) + means2D[:, :2]
        centres = ((ndc + 1) * size - 1) / 2
        focal = s.image_width / (2 * s.tanfovx)
        assert abs(focal - s.image_height / (2 * s.tanfovy)) < 1e-3
        limits = 1.3 * s.tanfovx, 1.3 * s.tanfovy
        limits = -limits[0], limits[0], -limits[1], limits[1]
        rotation = s.viewmatrix[:3, :3].T
        covariances = covariance(safe, focal, limits, rotations, scales, rotation)
        covariances = covariances + 0.3 * torch.eye(2)
        pixels = pixel_grid(s.image_width, s.image_height, 0)
        listed = drawn & in_tiles(pixels, centres.detach(), covariances.detach())
        attributes = torch.zeros(len(means3D), 0) if extra_attrs is None else extra_attrs
        values = torch.cat([colors_precomp, safe[:, 2:], attributes], dim=1)
        image, alpha = blend(
            pixels[:, None] - centres,
            covariances,
            safe[:, 2],
            listed,
            opacities[:, 0],
            values,
            0.99,
        )
        color = image[:, :3] + (1 - alpha)[:, None] * s.bg
        shape = s.image_height, s.image_width
        color, depth, extra = (
            part.T.reshape(-1, *shape) for part in (color, image[:, 3:4], image[:, 4:])
        )
        extra = torch.empty(0) if extra_attrs is None else extra
        return color, depth, torch.zeros(3, *shape), alpha.view(1, *shape), drawn.int(), extra


def in_tiles(pixels, centres, covariances):
    """Whether the pixel's tile (P,N) is within three standard deviations of the Gaussian."""
    radius = torch.ceil(3 * torch.linalg.eigvalsh(covariances)[:, -1:].sqrt())
    first = torch.trunc((centres - radius) / TILE)
    stop = torch.trunc((centres + radius + TILE - 1) / TILE)
    tile = pixels[:, None] // TILE
    return ((tile >= first) & (tile < stop)).all(dim=-1)


class Encoding(torch.nn.Module):
    """tinycudann.Encoding for a composite of dense 2-D grids of one level and one feature."""

    def __init__(self, n_input_dims, encoding_config, dtype):
        super().__init__()
        assert encoding_config["otype"] == "Composite" and dtype == torch.float32
        self.resolutions = []
        for grid in encoding_config["nested"]:
            assert (grid["otype"], grid["type"], grid["interpolation"]) == (
                "Grid",
                "Dense",
                "Linear",
            )
            assert grid["n_dims_to_encode"] == 2
            assert grid["n_levels"] == grid["n_features_per_level"] == 1
            self.resolutions.append(grid["base_resolution"])
        assert n_input_dims == 2 * len(self.resolutions)
        self.sizes = [-(-r * r // 8) * 8 for r in self.resolutions]
        self.params = torch.nn.Parameter(torch.zeros(sum(self.sizes)))

    def forward(self, x):
        features = []
        for grid, (entries, r) in enumerate(
            zip(self.params.split(self.sizes), self.resolutions, strict=True)
        ):
            position = x[:, 2 * grid : 2 * grid + 2] * (r - 1) + 0.5
            low = position.detach().floor()
            column, row = low.long().unbind(1)
            fx, fy = (position - low).unbind(1)

            def entry(dx, dy, column=column, row=row, entries=entries, r=r):
                return entries[(column + dx + (row + dy) * r) % len(entries)]

            features.append(
                (entry(0, 0) * (1 - fx) + entry(1, 0) * fx) * (1 - fy)
                + (entry(0, 1) * (1 - fx) + entry(1, 1) * fx) * fy
            )
        return torch.stack(features, dim=1)


PACKAGES = {
    "gsplat": SimpleNamespace(rasterization=gsplat_rasterization),
    "diff_gauss": SimpleNamespace(
        GaussianRasterizer=GaussianRasterizer,
        GaussianRasterizationSettings=GaussianRasterizationSettings,
    ),
    "tinycudann": SimpleNamespace(Encoding=Encoding),
}


def install(monkeypatch) -> None:
    """Until the test ends, the adapters import these packages and take the CPU for the GPU."""
    from d3talker.fields import tcnn_backend
    from d3talker.splat import cuda

    for name, package in PACKAGES.items():
        monkeypatch.setitem(sys.modules, name, package)
    monkeypatch.setattr(cuda, "DEVICE", "cpu")
    monkeypatch.setattr(tcnn_backend, "DEVICE", "cpu")
    tcnn_backend._grids.cache_clear()

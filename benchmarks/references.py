"""What torch can do: the package's kernels in torch, differentiated by autograd.

All work on many tiles, points or images at once, as somebody would write them who has torch and no
compiler. The plain ones say what they compute in the words of the formulas; the tuned ones are as
fast as we could make them.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from d3talker.fields.encoding import TriPlaneEncoder
from d3talker.fields.encoding_kernels import PLANES
from d3talker.splat.camera import Camera
from d3talker.splat.projection import MIN_ALPHA, NEAR
from d3talker.splat.reference import project_reference
from d3talker.splat.tiles import MAX_ALPHA, MIN_TRANSMITTANCE
from d3talker.train.photometric import C1, C2, DSSIM_WEIGHT, REACH, WINDOW

TILE = 16  # px
BATCH = 1 << 19  # pairs of a splat and a pixel at once: 2 MB for each tensor of an operation
NOTHING = -1e4  # log alpha of the pairs that fill a list up
COEFFICIENTS = 6  # of log alpha as a polynomial of a pixel's position in its tile


def pixel_polynomials() -> Tensor:
    """1, X, Y, X^2, XY, Y^2 of every pixel of a tile: (6,256); from the middle of the tile."""
    along = torch.arange(TILE) - (TILE - 1) / 2
    y, x = (axis.flatten() for axis in torch.meshgrid(along, along, indexing="ij"))
    return torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y])


def splats_by_tile(
    centres: Tensor, covariances: Tensor, depths: Tensor, opacities: Tensor, camera: Camera
) -> tuple[Tensor, Tensor]:
    """Splats of all tiles, tile by tile and nearest first, and their number in each tile.

    The sides of the image are multiples of a tile.
    """
    tiles = torch.tensor([camera.width // TILE, camera.height // TILE])
    sigmas = (2 * torch.log(opacities / MIN_ALPHA).clamp(min=0)).sqrt()
    reach = sigmas[:, None] * covariances.diagonal(dim1=1, dim2=2).sqrt() + 0.5
    order = torch.argsort(depths)
    order = order[((opacities > MIN_ALPHA) & (depths > NEAR))[order]]
    first = ((centres - reach) / TILE).floor().long()[order].clamp(min=0)
    last = torch.minimum(((centres + reach) / TILE).floor().long()[order], tiles - 1)
    across, down = (last - first + 1).clamp(min=0).unbind(1)
    pair = torch.repeat_interleave(torch.arange(len(order)), across * down)
    within = torch.arange(len(pair)) - (torch.cumsum(across * down, 0) - across * down)[pair]
    column = first[pair, 0] + within % across[pair]
    row = first[pair, 1] + within // across[pair]
    tile, by_tile = torch.sort(row * tiles[0] + column, stable=True)
    return order[pair[by_tile]], torch.bincount(tile, minlength=int(tiles.prod()))


def log_alpha(splats: Tensor, middles: Tensor) -> Tensor:
    """Coefficients (P,6) of log alpha around `middles` (P,2), from the first rows of `splats`."""
    dx, dy = (middles - splats[:, :2]).unbind(1)
    xx, xy, yy, log_opacity = splats[:, 2:6].unbind(1)
    constant = xx * dx * dx + xy * dx * dy + yy * dy * dy + log_opacity
    return torch.stack([constant, 2 * xx * dx + xy * dy, 2 * yy * dy + xy * dx, xx, xy, yy], dim=1)


def blend_tiles(coefficients: Tensor, colors: Tensor, polynomials: Tensor) -> Tensor:
    """Colors (T,256,3) of the pixels of T tiles with L splats each: (T,L,6) and (T,L,3).

    Logarithms of transmittance are summed by a product with a triangular matrix, which is faster
    than `cumprod` and much faster than its gradient.
    """
    alphas = (coefficients @ polynomials).exp().clamp(max=MAX_ALPHA)
    alphas = F.threshold(alphas, MIN_ALPHA, 0.0)
    passing = torch.log1p(-alphas)
    length = len(colors[0])
    before = torch.ones(length, length).tril(-1) @ passing
    weights = before.exp() * alphas
    with torch.no_grad():
        stopped = before + passing < math.log(MIN_TRANSMITTANCE)
    return weights.masked_fill(stopped, 0.0).transpose(1, 2) @ colors


def blend_tiles_plainly(coefficients: Tensor, colors: Tensor, polynomials: Tensor) -> Tensor:
    """`blend_tiles` in the words of the formula: transmittance is a product that grows."""
    alphas = (coefficients @ polynomials).exp().clamp(max=MAX_ALPHA)
    alphas = torch.where(alphas >= MIN_ALPHA, alphas, 0.0)
    after = torch.cumprod(1 - alphas, dim=1)
    before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], dim=1)
    weights = torch.where(after >= MIN_TRANSMITTANCE, before * alphas, 0.0)
    return weights.transpose(1, 2) @ colors


def batches(counts: Tensor) -> list[Tensor]:
    """Tiles with splats in them, in batches of similar length; the longest list comes first."""
    order = torch.argsort(counts, descending=True)
    order = order[counts[order] > 0]
    lengths = counts[order].tolist()
    result, start = [], 0
    while start < len(order):
        stop = start + max(1, BATCH // (lengths[start] * TILE**2))
        result.append(order[start:stop])
        start = stop
    return result


def rasterize_padded(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    camera: Camera,
    blend: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> Tensor:
    """The colors (H,W,3) of `rasterize` over black: batches of tiles, lists filled up.

    `blend` is one of the two ways to blend a batch.
    """
    centres, covariances, depths = project_reference(means, quats, scales, camera)
    with torch.no_grad():
        listed, counts = splats_by_tile(centres, covariances, depths, opacities, camera)
    xx, xy, yy = covariances[:, 0, 0], covariances[:, 0, 1], covariances[:, 1, 1]
    determinant = xx * yy - xy * xy
    conics = torch.stack([-0.5 * yy, xy, -0.5 * xx], dim=1) / determinant[:, None]
    splats = torch.cat([centres, conics, opacities.log()[:, None], colors], dim=1)
    nothing = torch.tensor([[0, 0, 0, 0, 0, NOTHING, 0, 0, 0]])
    splats = torch.cat([splats, nothing])
    listed = torch.cat([listed, torch.tensor([len(means)])])  # the last one fills lists up
    starts = torch.cumsum(counts, 0) - counts
    across, polynomials = camera.width // TILE, pixel_polynomials()
    drawn, parts = [], batches(counts)
    for tiles in parts:
        position = torch.arange(int(counts[tiles].max()))
        place = starts[tiles, None] + position
        place = torch.where(position < counts[tiles, None], place, len(listed) - 1)
        chosen = splats.index_select(0, listed[place].flatten())
        middles = torch.stack([tiles % across, tiles // across], dim=1) * TILE + TILE / 2
        middles = middles.repeat_interleave(len(position), 0)
        shape = len(tiles), len(position)
        coefficients = log_alpha(chosen, middles).view(*shape, COEFFICIENTS)
        drawn.append(blend(coefficients, chosen[:, 6:].view(*shape, 3), polynomials))
    image = torch.zeros(len(counts), TILE**2, 3)
    image = image.index_copy(0, torch.cat(parts), torch.cat(drawn))
    image = image.view(-1, across, TILE, TILE, 3).permute(0, 2, 1, 3, 4)
    return image.reshape(camera.height, camera.width, 3)


def encode_vectorised(encoder: TriPlaneEncoder, x: Tensor, table: Tensor) -> Tensor:
    """The encoding of x (N,3), all levels at once: one look-up for each plane and corner."""
    unit = (x + encoder.bound) / (2 * encoder.bound)
    scales = torch.from_numpy(encoder.scales)
    widths = torch.from_numpy(encoder.widths).long()
    starts = torch.from_numpy(encoder.offsets[:-1]).view(len(PLANES), -1)
    inside = (unit >= 0) & (unit <= 1)
    position = unit.clamp(0, 1)[:, :, None] * scales + 0.5  # (N,3,levels)
    cell = position.detach().long()
    fraction = position - cell
    features = []
    for plane, (u, v) in enumerate(PLANES):
        corner = cell[:, v] * widths + cell[:, u] + starts[plane]
        fx, fy = fraction[:, u], fraction[:, v]
        low = torch.lerp(look_up(table, corner), look_up(table, corner + 1), fx)
        above = corner + widths
        high = torch.lerp(look_up(table, above), look_up(table, above + 1), fx)
        visible = (inside[:, u] & inside[:, v])[:, None]
        features.append(torch.lerp(low, high, fy) * visible)
    return torch.cat(features, dim=1)


def look_up(table: Tensor, index: Tensor) -> Tensor:
    """`table[index]`, whose gradient is added up faster than that of indexing."""
    return table.index_select(0, index.flatten()).view(index.shape)


def l1_dssim_full(image: Tensor, target: Tensor) -> Tensor:
    """`l1_dssim` by convolutions of 11 x 11."""
    window = torch.from_numpy(WINDOW)
    kernel = torch.outer(window, window).expand(3, 1, -1, -1)

    def blur(x):
        x = x.contiguous(memory_format=torch.channels_last)
        return F.conv2d(x, kernel, padding=REACH, groups=3)

    return l1_dssim_by(image, target, blur)


def l1_dssim_separable(image: Tensor, target: Tensor) -> Tensor:
    """`l1_dssim` by convolutions down and along."""
    window = torch.from_numpy(WINDOW).expand(3, 1, 1, -1)

    def blur(x):
        x = F.conv2d(x, window.transpose(2, 3), padding=(REACH, 0), groups=3)
        return F.conv2d(x, window, padding=(0, REACH), groups=3)

    return l1_dssim_by(image, target, blur)


def l1_dssim_by(image: Tensor, target: Tensor, blur: Callable[[Tensor], Tensor]) -> Tensor:
    """`l1_dssim` of two images (H,W,3); `blur` is the window over images (B,3,H,W)."""
    a, b = image.permute(2, 0, 1), target.permute(2, 0, 1)
    mean_a, square_a, product = blur(torch.stack([a, a * a, a * b]))
    mean_b, square_b = blur(torch.stack([b, b * b]))
    squares, means = mean_a**2 + mean_b**2, mean_a * mean_b
    ssim = (2 * means + float(C1)) * (2 * (product - means) + float(C2))
    ssim = ssim / ((squares + float(C1)) * (square_a + square_b - squares + float(C2)))
    return (image - target).abs().mean() + DSSIM_WEIGHT * (1 - ssim.mean())

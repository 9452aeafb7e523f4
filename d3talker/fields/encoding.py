"""The tri-plane encoding of points in space (method spec 4.1).

Three planes, xy, yz and xz, each with several grids of learned numbers of different resolution. A
point looks up, in every grid, the four numbers around it. The resolutions here are so low that
every grid point has an entry of its own, so that there is no hashing.
"""

import math

import numpy as np
import torch

from d3talker.fields.encoding_kernels import (
    PARTS,
    PLANES,
    level_lines,
    look_up,
    point_gradient,
    table_gradient,
)
from d3talker.simd.rows import LANES

MAX_ENTRIES = 1 << 24  # float32, which the kernels count entries in, has every number up to here


class TriPlaneEncoder(torch.nn.Module):
    """Features of points in the cube [-bound, bound]^3.

    A plane gives zeros for a point with one of its two coordinates outside the cube, or not finite.
    Raises ValueError for levels, resolutions or a bound that give no encoding.
    """

    def __init__(
        self,
        levels: int = 12,  # at most LANES
        base_resolution: float = 16,  # 1 or more, as is the finest
        finest_resolution: float = 38.4,  # of the last level; not used if there is one only
        bound: float = 0.15,  # m
    ):
        super().__init__()
        if not 1 <= levels <= LANES:
            raise ValueError(f"levels: expected 1 to {LANES}, got {levels}")
        for name, value in (("base", base_resolution), ("finest", finest_resolution)):
            if not (1 <= value < math.inf):
                raise ValueError(f"{name}_resolution: expected 1 or more, got {value}")
        if not 0 < bound < math.inf:
            raise ValueError(f"bound: expected more than 0 m, got {bound}")
        self.bound = bound
        self.features = len(PLANES) * levels
        growth = (finest_resolution / base_resolution) ** (1 / max(levels - 1, 1))
        scales = [base_resolution * growth**level - 1 for level in range(levels)]
        self.scales = np.array(scales, np.float32)  # cells across the cube
        # grid points across: ceil(scale) + 1, and one more for the neighbour of the last cell
        self.widths = np.array([math.ceil(scale) + 2 for scale in scales], np.int32)
        entries = -(-(self.widths.astype(np.int64) ** 2) // 8) * 8  # as torch-ngp rounds them up
        sizes = np.tile(entries, len(PLANES))
        self.offsets = np.concatenate([[0], np.cumsum(sizes)])  # grids plane by plane
        if self.offsets[-1] > MAX_ENTRIES:
            raise ValueError(
                f"resolutions: the grids have {self.offsets[-1]} entries, at most {MAX_ENTRIES} "
                "can be looked up"
            )
        self.lines = level_lines(self.scales, self.widths, self.offsets)
        self.table = torch.nn.Parameter(torch.empty(int(self.offsets[-1])).uniform_(-1e-4, 1e-4))
        self.encode = encode_cpu  # `use_encoding` of backends.py sets another

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features (N, 3 levels), plane by plane, of points x (N,3), m. Both float32.

        Raises ValueError if x has another shape or type.
        """
        return self.encode(self, x)


def encode_cpu(encoder: TriPlaneEncoder, x: torch.Tensor) -> torch.Tensor:
    """Features of x (N,3) by compiled kernels, on the CPU; x and the table may be elsewhere."""
    check_points(x)
    for name, tensor in (("x", x), ("table", encoder.table)):
        if tensor.dtype != torch.float32:
            raise ValueError(f"{name}: expected float32, got {tensor.dtype}")
    if encoder.table.shape != (encoder.offsets[-1],):
        raise ValueError(
            f"table: expected ({encoder.offsets[-1]},), got {tuple(encoder.table.shape)}"
        )
    return _LookUp.apply(x.cpu(), encoder.table.cpu(), encoder).to(x.device)


def encode_torch(encoder: TriPlaneEncoder, x: torch.Tensor) -> torch.Tensor:
    """Features of x (N,3) in plain torch, on the device of x and the table."""
    return encode_reference(encoder, x, encoder.table)


def check_points(x: torch.Tensor) -> None:
    """Raise ValueError unless x is (N,3)."""
    if x.ndim != 2 or x.shape[1] != 3:
        raise ValueError(f"x: expected points (N, 3), got {tuple(x.shape)}")


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, table, encoder):
        x, table = x.detach().contiguous(), table.contiguous()
        features = torch.empty(len(x), encoder.features)
        look_up(
            x.numpy(), np.float32(encoder.bound), table.detach().numpy(), encoder.lines,
            len(encoder.scales), features.numpy(),
        )  # fmt: skip
        ctx.save_for_backward(x, table)
        ctx.encoder = encoder
        return features

    @staticmethod
    def backward(ctx, by_features):
        x, table = (tensor.detach().numpy() for tensor in ctx.saved_tensors)
        encoder = ctx.encoder
        bound, levels = np.float32(encoder.bound), len(encoder.scales)
        by_features = by_features.contiguous().numpy()
        by_x = by_table = None
        if ctx.needs_input_grad[0]:
            by_x = torch.empty(x.shape)
            point_gradient(x, bound, table, encoder.lines, levels, by_features, by_x.numpy())
        if ctx.needs_input_grad[1]:
            by_parts = torch.zeros(PARTS, len(table))
            table_gradient(x, bound, encoder.lines, levels, by_features, by_parts.numpy())
            by_table = by_parts.sum(dim=0)
        return by_x, by_table, None


def encode_reference(encoder: TriPlaneEncoder, x: torch.Tensor, table: torch.Tensor):
    """The encoding of x (N,3) with the entries `table` in plain torch, of any dtype."""
    check_points(x)
    unit = (x + encoder.bound) / (2 * encoder.bound)
    levels = len(encoder.scales)
    features = []
    for grid in range(encoder.features):
        uv = unit[:, PLANES[grid // levels]]
        scale, width = float(encoder.scales[grid % levels]), int(encoder.widths[grid % levels])
        start = encoder.offsets[grid]
        entries = table[start : start + width * width].view(width, width)
        inside = ((uv >= 0) & (uv <= 1)).all(dim=1)
        position = torch.where(inside[:, None], uv, 0.0) * scale + 0.5
        column, row = position.detach().long().unbind(1)
        fx, fy = (position - position.detach().floor()).unbind(1)
        value = (
            entries[row, column] * (1 - fx) * (1 - fy)
            + entries[row, column + 1] * fx * (1 - fy)
            + entries[row + 1, column] * (1 - fx) * fy
            + entries[row + 1, column + 1] * fx * fy
        )
        features.append(torch.where(inside, value, 0.0))
    return torch.stack(features, dim=1)

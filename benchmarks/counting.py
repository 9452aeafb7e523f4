"""How many arithmetic operations the rasterizer's inner loops execute, to compare with the peak.

Counted are the additions, subtractions and multiplications of rows in splat/tiles.py, each 16
operations whether its lanes are of use or not; a fused multiply-add is two. Minima, comparisons,
selections, loads, the estimate inside `inverse`, integers and everything outside these loops
(projection, sorting, listing, sums by splat) count nothing, but take time: the fraction of the peak
is a lower bound.
"""

from typing import NamedTuple

import numpy as np
import torch
from numba import njit, prange

from d3talker.compiled import JIT
from d3talker.simd.memory import load, new_lines, store
from d3talker.simd.rows import (
    LANES,
    any_lane,
    bits,
    exp2,
    filled,
    lane_columns,
    lane_rows,
    smaller,
)
from d3talker.splat.binning import TILE, bin_splats, gather, nearest_first, tiles_across
from d3talker.splat.camera import Camera
from d3talker.splat.projection import LOG2_MIN_ALPHA, SPLAT, project
from d3talker.splat.tiles import (
    ALL_BLOCKS,
    BLOCKS,
    CHUNK,
    MAX_ALPHA,
    X,
    Y,
    block_corner,
    list_chunk,
    log2_alpha,
    pass_through,
    stage_chunk,
    touched_blocks,
)

# Operations on rows, as they stand in tiles.py and tiles_backward.py.
LOG2_ALPHA = 8  # dx - ridge_x dy 2, its square 1 and the square of dy 1, two multiply-adds
EXP2 = 13  # rounding 3, five multiply-adds
ALPHA = 2 + LOG2_ALPHA + EXP2 + 2  # distance, alpha, pass_through
PER_PAIR = 6 + 2 * LOG2_ALPHA  # touched_blocks: edges 4, places on them 2, alpha at both
FORWARD_PER_ENTRY = ALPHA + 8  # blend_chunk: and four channels
# weigh_block: and by_weight 7, remaining 2, by_log_alpha 5 and 3 in `inverse`; add_line 1
BACKWARD_PER_ENTRY = ALPHA + 7 + 2 + 8 + 1
BACKWARD_PER_FOUR = 3 * 2 * LANES  # add_block: three multiply-adds for each pixel of the block


class Work(NamedTuple):
    """What one image needs, forward or backward. An entry is a splat in a block of 16 pixels."""

    pairs: int  # of a splat and a tile, tested for the blocks that they touch
    entries: int  # blended until all pixels of their block have stopped
    fours: int  # groups of up to four entries of a block
    blended: int  # pairs of a splat and a pixel that add to the image

    def operations(self) -> int:
        """Operations of the forward and the backward pass together."""
        rows = PER_PAIR * self.pairs + BACKWARD_PER_FOUR * self.fours
        rows += (FORWARD_PER_ENTRY + BACKWARD_PER_ENTRY) * self.entries
        return LANES * rows

    def useful_lanes(self) -> float:
        """Share of the entries' pixels that a splat adds to."""
        return self.blended / max(1, LANES * self.entries)


# Not cached on disk: numba would not see an edit of the helpers, and count what is no longer done.
UNCACHED = {**JIT, "cache": False}


@njit(_nrt=False, **UNCACHED)
def count_bits(number):
    count = 0
    while number:
        number &= number - 1
        count += 1
    return count


@njit(_nrt=False, **UNCACHED)
def walk_block(chunk, order, listed, block, x, y, lines):
    """Entries of a block until its pixels have stopped, and pixels blended: as in blend_chunk."""
    pixel_x, pixel_y = lane_columns() + x, lane_rows() + y
    transmittance = load(lines, block)
    entries, blended = 0, 0
    for position in range(listed[block]):
        line = np.uint64(order[block, position])
        power = log2_alpha(chunk, line, pixel_x - chunk[line, X], pixel_y - chunk[line, Y])
        alpha = smaller(exp2(power), MAX_ALPHA)
        drawn = power >= LOG2_MIN_ALPHA
        _, goes_on, transmittance = pass_through(drawn, transmittance, alpha)
        entries += 1
        blended += count_bits(bits(goes_on))
        if not any_lane(transmittance > 0.0):
            break
    store(lines, block, transmittance)
    return entries, blended


@njit(parallel=True, **UNCACHED)
def walk_tiles(splats, values, bins, tiles_x, touched, work):
    """Fill a line of `work` (tiles,4) for each tile, with the fields of Work."""
    for tile in prange(bins.tile_start.shape[0] - 1):
        start, stop = bins.tile_start[tile], bins.tile_start[tile + 1]
        top, left = tile // tiles_x * TILE, tile % tiles_x * TILE
        lines = new_lines(BLOCKS)
        for block in range(BLOCKS):
            store(lines, block, filled(1.0))
        listed = np.empty(BLOCKS, np.int64)
        order, chunk = np.empty((BLOCKS, CHUNK + LANES), np.int32), new_lines(CHUNK)
        open_blocks = ALL_BLOCKS
        for first in range(start, stop, CHUNK):
            last = min(first + CHUNK, stop)
            stage_chunk(splats, values, 0, bins.splat, first, last, chunk)
            for pair in range(first, last):
                touched[pair] = touched_blocks(chunk, np.uint64(pair - first), left, top)
            work[tile, 0] += last - first
            list_chunk(touched, first, last, open_blocks, listed, order)
            for block in range(BLOCKS):
                x, y = block_corner(block, left, top)
                entries, blended = walk_block(chunk, order, listed, block, x, y, lines)
                work[tile, 1] += entries
                work[tile, 2] += (entries + 3) // 4
                work[tile, 3] += blended
                if not any_lane(load(lines, block) > 0.0):
                    open_blocks &= ~(1 << block)
            if open_blocks == 0:
                break


def count_work(tensors: list[torch.Tensor], camera: Camera) -> Work:
    """Walk through the image as the rasterizer does; `tensors` are its first five arguments."""
    means, quats, scales, opacities, colors = (tensor.detach().numpy() for tensor in tensors)
    projected = np.empty(len(means), SPLAT)
    R, t = (np.ascontiguousarray(part, dtype=np.float64) for part in (camera.R, camera.t))
    project(
        means, quats, scales, opacities, R, t, float(camera.focal), float(camera.cx),
        float(camera.cy), camera.width, camera.height, projected,
    )  # fmt: skip
    splats, values = gather(projected, colors, colors[:, :0], nearest_first(projected))
    bins = bin_splats(splats, camera.width, camera.height)
    work = np.zeros((len(bins.tile_start) - 1, len(Work._fields)), np.int64)
    touched = np.empty(len(bins.splat) + LANES, np.uint16)
    walk_tiles(splats, values, bins, tiles_across(camera.width), touched, work)
    return Work(*work.sum(axis=0).tolist())

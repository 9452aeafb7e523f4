"""Blending the splats of each tile into pixels.

For one pixel at distance d from the centres of splats i = 1, 2, ... from near to far:

    alpha_i = min(MAX_ALPHA, 2^(log2_opacity - across (dx - ridge_x dy)^2 - along dy^2)),
              skipped below MIN_ALPHA
    T_1 = 1,  T_(i+1) = T_i (1 - alpha_i),  stopped before T would fall below MIN_TRANSMITTANCE
    w_i = T_i alpha_i
    channel = sum w_i value_i + T background,  alpha = 1 - T

Four channels are blended at a time: red, green, blue and depth, or four others.

A tile of 16 x 16 pixels has 16 blocks of 4 x 4, and a row of simd/ holds a block. A chunk of the
tile's splats is first listed by the blocks that it touches; then each block goes through its list,
its pixels in registers. Between chunks they are kept in lines of 16 numbers. A pixel that has
stopped has T negative.

tiles_backward.py has the gradient.
"""

import numpy as np
from numba import njit, prange

from d3talker.compiled import JIT, take_next
from d3talker.simd.memory import load, new_lines, store
from d3talker.simd.rows import (
    any_lane,
    bits,
    exp2,
    filled,
    lane_columns,
    lane_rows,
    larger,
    lowest_bit,
    negative,
    select,
    smaller,
)
from d3talker.splat.binning import TILE, tiles_across
from d3talker.splat.projection import LOG2_MIN_ALPHA

MAX_ALPHA = 0.99
MIN_TRANSMITTANCE = 1e-4
CULL_MARGIN = np.float32(0.01)  # rounding of log2 alpha must not cost a block its splat

BLOCK = 4  # px, the side of a block
BLOCKS_ACROSS = TILE // BLOCK
BLOCKS = BLOCKS_ACROSS**2
CHUNK = 128  # splats of a tile that are listed at once
CHANNELS = 4
ALL_BLOCKS = (1 << BLOCKS) - 1

# Numbers that meet single numbers, not rows, are float32 so that the arithmetic stays float32.
HALF, ONE = np.float32(0.5), np.float32(1)
LAST = np.float32(BLOCK - 1)


@njit(**JIT)
def log2_alpha(splat, dx, dy):
    """log2 of alpha, before it is limited, at distances (dx, dy) from the centre."""
    from_ridge = dx - dy * splat.ridge_x
    in_row = splat.log2_opacity - dy * dy * splat.along
    return in_row - from_ridge * from_ridge * splat.across


@njit(**JIT)
def between(x, low, high):
    return larger(smaller(x, high), low)


@njit(**JIT)
def touched_blocks(splat, left, top):
    """Which blocks of the tile, as bits, have a pixel where alpha can reach MIN_ALPHA.

    Seen from the centre, alpha is largest at the near edges of a block: at one place of each.
    """
    first_x = lane_columns() * np.float32(BLOCK) + (np.float32(left) + HALF - splat.x)
    first_y = lane_rows() * np.float32(BLOCK) + (np.float32(top) + HALF - splat.y)
    last_x, last_y = first_x + LAST, first_y + LAST
    near_x, near_y = between(filled(0.0), first_x, last_x), between(filled(0.0), first_y, last_y)
    at_side = log2_alpha(splat, near_x, between(near_x * splat.ridge_y, first_y, last_y))
    at_end = log2_alpha(splat, between(near_y * splat.ridge_x, first_x, last_x), near_y)
    return bits(larger(at_side, at_end) >= LOG2_MIN_ALPHA - CULL_MARGIN)


@njit(**JIT)
def list_chunk(touched, first, stop, open_blocks, listed, pairs):
    """List the pairs first to stop of a tile by block: `pairs` (BLOCKS, CHUNK), `listed` each."""
    listed[:] = 0
    for pair in range(first, stop):
        blocks = touched[pair] & open_blocks
        while blocks:
            block = lowest_bit(blocks)
            pairs[block, listed[block]] = pair
            listed[block] += 1
            blocks &= blocks - 1


@njit(**JIT)
def block_corner(block, left, top):
    """Centre of the block's first pixel."""
    x, y = block % BLOCKS_ACROSS * BLOCK + left, block // BLOCKS_ACROSS * BLOCK + top
    return np.float32(x) + HALF, np.float32(y) + HALF


@njit(**JIT)
def pass_through(drawn, before, alpha):
    """How much a splat takes of the light in 16 pixels, which of them go on, and what is left."""
    taken = before * alpha
    after = before - taken
    goes_on = drawn & (after >= MIN_TRANSMITTANCE)
    return taken, goes_on, select(goes_on, after, select(drawn, negative(before), before))


@njit(**JIT)
def blend_chunk(
    splats, values, first_value, tile_splats, pairs, listed, left, top, lines, open_blocks
):
    """Blend the listed pairs into the blocks. Returns which blocks have pixels that go on.

    Five of `lines` for each block: its transmittance and channels.
    """
    for block in range(BLOCKS):
        if listed[block] == 0:
            continue
        x, y = block_corner(block, left, top)
        pixel_x, pixel_y = lane_columns() + x, lane_rows() + y
        line = block * (1 + CHANNELS)
        transmittance = load(lines, line)
        red, green = load(lines, line + 1), load(lines, line + 2)
        blue, depth = load(lines, line + 3), load(lines, line + 4)
        for position in range(listed[block]):
            k = tile_splats[pairs[block, position]]
            splat = splats[k]
            power = log2_alpha(splat, pixel_x - splat.x, pixel_y - splat.y)
            alpha = smaller(exp2(larger(power, LOG2_MIN_ALPHA)), MAX_ALPHA)
            drawn = power >= LOG2_MIN_ALPHA
            taken, goes_on, transmittance = pass_through(drawn, transmittance, alpha)
            weight = select(goes_on, taken, 0.0)
            red += weight * values[k, first_value]
            green += weight * values[k, first_value + 1]
            blue += weight * values[k, first_value + 2]
            depth += weight * values[k, first_value + 3]
            if not any_lane(transmittance > 0.0):
                open_blocks &= ~(1 << block)
                break
        store(lines, line, transmittance)
        store(lines, line + 1, red)
        store(lines, line + 2, green)
        store(lines, line + 3, blue)
        store(lines, line + 4, depth)
    return open_blocks


@njit(**JIT)
def block_size(block, top, left, height, width):
    """Where the block's first pixel is in the image, and how many rows and columns are inside."""
    y, x = top + block // BLOCKS_ACROSS * BLOCK, left + block % BLOCKS_ACROSS * BLOCK
    return y, x, max(min(BLOCK, height - y), 0), max(min(BLOCK, width - x), 0)


@njit(**JIT)
def draw_tile(lines, top, left, color, depth, alpha):
    """Lay a tile, the lines of blend_chunk, over the image."""
    for block in range(BLOCKS):
        top_row, first_column, rows, columns = block_size(block, top, left, *depth.shape)
        line = block * (1 + CHANNELS)
        for row in range(rows):
            y = top_row + row
            for column in range(columns):
                x, lane = first_column + column, row * BLOCK + column
                transmittance = abs(lines[line, lane])
                color[y, x, 0] = lines[line + 1, lane] + transmittance * color[y, x, 0]
                color[y, x, 1] = lines[line + 2, lane] + transmittance * color[y, x, 1]
                color[y, x, 2] = lines[line + 3, lane] + transmittance * color[y, x, 2]
                depth[y, x] = lines[line + 4, lane]
                alpha[y, x] = ONE - transmittance


@njit(**JIT)
def blend_tile(
    splats, values, first_value, tile_splats, start, stop, left, top, touched, lines, listed, pairs
):
    """Blend the pairs start to stop, those of one tile, into its `lines`; fills `touched`."""
    lines[:] = 0
    for block in range(BLOCKS):
        lines[block * (1 + CHANNELS)] = 1
    open_blocks = ALL_BLOCKS
    for first in range(start, stop, CHUNK):
        last = min(first + CHUNK, stop)
        for pair in range(first, last):
            touched[pair] = touched_blocks(splats[tile_splats[pair]], left, top)
        list_chunk(touched, first, last, open_blocks, listed, pairs)
        open_blocks = blend_chunk(
            splats, values, first_value, tile_splats, pairs, listed, left, top, lines, open_blocks
        )
        if open_blocks == 0:
            break


@njit(parallel=True, **JIT)
def blend(splats, values, first_value, bins, color, depth, alpha, touched, threads):
    """Draw color (H,W,3) over what is there, and depth (H,W) and alpha (H,W) over zeros, float32.

    `values` (M,C) float32 holds the channels from column `first_value`; splats are sorted by depth.
    touched (E,) uint16 is filled with the blocks of each pair, as bits, as far as is needed.
    """
    tiles_x, tiles = tiles_across(depth.shape[1]), bins.tile_start.shape[0] - 1
    counter = np.zeros(1, np.int64)
    for _ in prange(threads):
        lines = new_lines(BLOCKS * (1 + CHANNELS))
        listed, pairs = np.empty(BLOCKS, np.int64), np.empty((BLOCKS, CHUNK), np.int32)
        tile = take_next(counter)
        while tile < tiles:
            start, stop = bins.tile_start[tile], bins.tile_start[tile + 1]
            if start < stop:
                top, left = tile // tiles_x * TILE, tile % tiles_x * TILE
                blend_tile(
                    splats, values, first_value, bins.splat, start, stop, left, top, touched,
                    lines, listed, pairs,
                )  # fmt: skip
                draw_tile(lines, top, left, color, depth, alpha)
            tile = take_next(counter)

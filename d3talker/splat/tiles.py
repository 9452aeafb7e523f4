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
from d3talker.simd.memory import (
    lanes_with_bit,
    load,
    load_first,
    load_record,
    new_lines,
    store,
    store_first,
    store_lanes,
)
from d3talker.simd.rows import (
    LANES,
    any_lane,
    bits,
    exp2,
    filled,
    lane_columns,
    lane_rows,
    larger,
    negative,
    positive,
    select,
    smaller,
)
from d3talker.simd.shuffles import deinterleaved, interleaved, transposed_fours
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

# What stands where in a line of a chunk: the first fields of SPLAT, and the channels.
X, Y, ACROSS, ALONG, LOG2_OPACITY, RIDGE_X, RIDGE_Y = range(7)
CHANNEL = 8

# Numbers that meet single numbers, not rows, are float32 so that the arithmetic stays float32.
HALF, ONE = np.float32(0.5), np.float32(1)
LAST = np.float32(BLOCK - 1)


@njit(_nrt=False, **JIT)
def stage_chunk(splats, values, first_value, tile_splats, first, stop, chunk):
    """Copy the splats of the pairs first to stop, and the four channels that are blended, to the
    first lines of `chunk`, where each block finds them in the first level cache."""
    for pair in range(first, stop):
        k = tile_splats[pair]
        line = np.uint64(pair - first)
        store(chunk, line, load_record(splats, k))
        for channel in range(CHANNELS):
            chunk[line, CHANNEL + channel] = values[k, first_value + channel]


@njit(_nrt=False, **JIT)
def log2_alpha(chunk, line, dx, dy):
    """log2 of alpha, before it is limited, at distances (dx, dy) from the centre."""
    from_ridge = dx - dy * chunk[line, RIDGE_X]
    in_row = chunk[line, LOG2_OPACITY] - dy * dy * chunk[line, ALONG]
    return in_row - from_ridge * from_ridge * chunk[line, ACROSS]


@njit(**JIT)
def between(x, low, high):
    return larger(smaller(x, high), low)


@njit(**JIT)
def touched_blocks(chunk, line, left, top):
    """Which blocks of the tile, as bits, have a pixel where alpha can reach MIN_ALPHA.

    Seen from the centre, alpha is largest at the near edges of a block: at one place of each.
    """
    first_x = lane_columns() * np.float32(BLOCK) + (np.float32(left) + HALF - chunk[line, X])
    first_y = lane_rows() * np.float32(BLOCK) + (np.float32(top) + HALF - chunk[line, Y])
    last_x, last_y = first_x + LAST, first_y + LAST
    near_x, near_y = between(filled(0.0), first_x, last_x), between(filled(0.0), first_y, last_y)
    ridge_x, ridge_y = chunk[line, RIDGE_X], chunk[line, RIDGE_Y]
    at_side = log2_alpha(chunk, line, near_x, between(near_x * ridge_y, first_y, last_y))
    at_end = log2_alpha(chunk, line, between(near_y * ridge_x, first_x, last_x), near_y)
    return bits(larger(at_side, at_end) >= LOG2_MIN_ALPHA - CULL_MARGIN)


@njit(_nrt=False, **JIT)
def list_chunk(touched, first, stop, open_blocks, listed, lines):
    """List the pairs first to stop of a tile by block, counted from `first`: `lines` (BLOCKS,
    CHUNK + LANES) int32, `listed` of each."""
    listed[:] = 0
    for group in range(first, stop, LANES):
        count = min(LANES, stop - group)
        for block in range(BLOCKS):
            if open_blocks >> block & 1:
                touching = lanes_with_bit(touched, group, block, count)
                listed[block] += store_lanes(lines, block, listed[block], group - first, touching)


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


@njit(_nrt=False, **JIT)
def blend_chunk(chunk, order, listed, left, top, lines, open_blocks):
    """Blend the listed lines of `chunk` into the blocks. Returns which have pixels that go on.

    Five of `lines` for each block: its transmittance and channels.
    """
    for block in range(BLOCKS):
        if listed[block] == 0:
            continue
        x, y = block_corner(block, left, top)
        pixel_x, pixel_y = lane_columns() + x, lane_rows() + y
        first = block * (1 + CHANNELS)
        transmittance = load(lines, first)
        red, green = load(lines, first + 1), load(lines, first + 2)
        blue, depth = load(lines, first + 3), load(lines, first + 4)
        for position in range(listed[block]):
            line = np.uint64(order[block, position])
            power = log2_alpha(chunk, line, pixel_x - chunk[line, X], pixel_y - chunk[line, Y])
            alpha = smaller(exp2(power), MAX_ALPHA)
            drawn = power >= LOG2_MIN_ALPHA
            taken, goes_on, transmittance = pass_through(drawn, transmittance, alpha)
            weight = select(goes_on, taken, 0.0)
            red += weight * chunk[line, CHANNEL]
            green += weight * chunk[line, CHANNEL + 1]
            blue += weight * chunk[line, CHANNEL + 2]
            depth += weight * chunk[line, CHANNEL + 3]
            if not any_lane(transmittance > 0.0):
                open_blocks &= ~(1 << block)
                break
        store(lines, first, transmittance)
        store(lines, first + 1, red)
        store(lines, first + 2, green)
        store(lines, first + 3, blue)
        store(lines, first + 4, depth)
    return open_blocks


@njit(_nrt=False, **JIT)
def swap_blocks_and_rows(lines, each):
    """Turn lines of blocks, `each` of every block, into lines of the tile's rows of pixels, and
    back: those of block k become those of row k."""
    for four in range(0, BLOCKS, BLOCKS_ACROSS):
        for line in range(four * each, (four + 1) * each):
            a, b, c, d = transposed_fours(
                load(lines, line),
                load(lines, line + each),
                load(lines, line + 2 * each),
                load(lines, line + 3 * each),
            )
            store(lines, line, a)
            store(lines, line + each, b)
            store(lines, line + 2 * each, c)
            store(lines, line + 3 * each, d)


@njit(_nrt=False, **JIT)
def color_counts(columns):
    """How many of each 16 numbers of an image's line are colors of its next `columns` pixels."""
    numbers = 3 * columns
    return (
        min(numbers, LANES),
        max(min(numbers - LANES, LANES), 0),
        max(numbers - 2 * LANES, 0),
    )


@njit(_nrt=False, **JIT)
def load_colors(image, y, left, columns):
    """Red, green and blue of up to 16 pixels of an image (H,3W); 0 in the other lanes."""
    first, second, third = color_counts(columns)
    return deinterleaved(
        load_first(image, y, 3 * left, first),
        load_first(image, y, 3 * left + LANES, second),
        load_first(image, y, 3 * left + 2 * LANES, third),
    )


@njit(_nrt=False, **JIT)
def store_colors(image, y, left, columns, red, green, blue):
    """The inverse of `load_colors`."""
    first, second, third = color_counts(columns)
    a, b, c = interleaved(red, green, blue)
    store_first(image, y, 3 * left, a, first)
    store_first(image, y, 3 * left + LANES, b, second)
    store_first(image, y, 3 * left + 2 * LANES, c, third)


@njit(_nrt=False, **JIT)
def draw_tile(lines, top, left, background, color, depth, alpha):
    """Lay a tile, the lines of blend_chunk, over the background."""
    swap_blocks_and_rows(lines, 1 + CHANNELS)
    columns = min(TILE, depth.shape[1] - left)
    for row in range(min(TILE, depth.shape[0] - top)):
        y, line = top + row, row * (1 + CHANNELS)
        transmittance = positive(load(lines, line))
        red, green, blue = load_colors(background, min(y, len(background) - 1), left, columns)
        store_colors(
            color, y, left, columns,
            load(lines, line + 1) + transmittance * red,
            load(lines, line + 2) + transmittance * green,
            load(lines, line + 3) + transmittance * blue,
        )  # fmt: skip
        store_first(depth, y, left, load(lines, line + 4), columns)
        store_first(alpha, y, left, 1.0 - transmittance, columns)


@njit(**JIT)
def blend_tile(
    splats, values, first_value, tile_splats, start, stop, left, top, touched,
    lines, chunk, listed, order,
):  # fmt: skip
    """Blend the pairs start to stop, those of one tile, into its `lines`; fills `touched`."""
    lines[:] = 0
    for block in range(BLOCKS):
        lines[block * (1 + CHANNELS)] = 1
    open_blocks = ALL_BLOCKS
    for first in range(start, stop, CHUNK):
        last = min(first + CHUNK, stop)
        stage_chunk(splats, values, first_value, tile_splats, first, last, chunk)
        for pair in range(first, last):
            touched[pair] = touched_blocks(chunk, np.uint64(pair - first), left, top)
        list_chunk(touched, first, last, open_blocks, listed, order)
        open_blocks = blend_chunk(chunk, order, listed, left, top, lines, open_blocks)
        if open_blocks == 0:
            break


@njit(parallel=True, **JIT)
def blend(splats, values, first_value, bins, background, color, depth, alpha, touched, threads):
    """Draw color (H,3W), depth (H,W) and alpha (H,W) float32, over `background` (H or 1, 3W).

    `values` (M,C) float32 holds the channels from column `first_value`; splats are sorted by depth.
    touched (E + LANES,) uint16 is filled with the blocks of each pair, as bits, as far as is
    needed.
    """
    tiles_x, tiles = tiles_across(depth.shape[1]), bins.tile_start.shape[0] - 1
    counter = np.zeros(1, np.int64)
    for _ in prange(threads):
        lines, chunk = new_lines(BLOCKS * (1 + CHANNELS)), new_lines(CHUNK)
        listed, order = np.empty(BLOCKS, np.int64), np.empty((BLOCKS, CHUNK + LANES), np.int32)
        tile = take_next(counter)
        while tile < tiles:
            start, stop = bins.tile_start[tile], bins.tile_start[tile + 1]
            top, left = tile // tiles_x * TILE, tile % tiles_x * TILE
            blend_tile(
                splats, values, first_value, bins.splat, start, stop, left, top, touched,
                lines, chunk, listed, order,
            )  # fmt: skip
            draw_tile(lines, top, left, background, color, depth, alpha)
            tile = take_next(counter)

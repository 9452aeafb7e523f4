"""The gradient of blending the splats of each tile (tiles.py).

The gradient goes through the same splats in the same order. With v_i the gradient of the loss by
w_i, and F the loss as far as it is linear in the pixel, F = sum w_i v_i + T v_background,

    g_i = alpha_i dF / d alpha_i = alpha_i (T_i v_i - (F - sum_(j <= i) w_j v_j) / (1 - alpha_i)).

The gradient of a splat is made of the sums over pixels of g_i times 1, X, Y, X^2, X Y and Y^2, with
(X, Y) measured from the middle of the tile, and of w_i times the gradients of the four channels.
"""

import numpy as np
from numba import njit, prange

from d3talker.compiled import JIT, take_next
from d3talker.simd.memory import load, load_first, new_lines, spread2, spread4, store
from d3talker.simd.rows import (
    LANES,
    any_lane,
    exp2,
    filled,
    inverse,
    lane_columns,
    lane_rows,
    select,
    smaller,
)
from d3talker.simd.shuffles import define_pick, first_pairs, interleaved_fours, last_pairs
from d3talker.splat.binning import TILE, slot_of, tiles_across
from d3talker.splat.projection import LOG2_MIN_ALPHA
from d3talker.splat.tiles import (
    ALL_BLOCKS,
    BLOCK,
    BLOCKS,
    BLOCKS_ACROSS,
    CHANNEL,
    CHANNELS,
    CHUNK,
    MAX_ALPHA,
    X,
    Y,
    block_corner,
    list_chunk,
    load_colors,
    log2_alpha,
    pass_through,
    stage_chunk,
    swap_blocks_and_rows,
)

MIDDLE = TILE // 2  # px from a tile's edge to its middle
MOMENTS = 6  # of a splat's gradient: sums with 1, X, Y, X^2, XY, Y^2


def pixel_moments() -> np.ndarray:
    """For every pixel of a tile, block by block: 1, X, Y, X^2, XY, Y^2, each twice, as lines."""
    block, lane = np.divmod(np.arange(TILE**2), LANES)
    x = block % BLOCKS_ACROSS * BLOCK + lane % BLOCK + 0.5 - MIDDLE
    y = block // BLOCKS_ACROSS * BLOCK + lane // BLOCK + 0.5 - MIDDLE
    lines = new_lines(TILE**2)
    lines[:] = 0
    moments = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    lines[:, : 2 * MOMENTS] = moments.repeat(2, axis=1)
    return lines


PIXEL_MOMENTS = pixel_moments()

# The sums of one pair, MOMENTS and CHANNELS, from the rows of two and of four pairs (`add_group`).
_MOMENT_LANES, _CHANNEL_LANES = range(0, 2 * MOMENTS, 2), range(LANES, 2 * LANES, CHANNELS)
pick_first, pick_second, pick_third, pick_fourth = (
    define_pick(
        [*(lane + pair % 2 for lane in _MOMENT_LANES), *(lane + pair for lane in _CHANNEL_LANES)],
        f"Sums of pair {pair} of four.",
    )
    for pair in range(4)
)


spread_first, spread_second, spread_third, spread_fourth = (
    define_pick(
        [CHANNELS * pixel + channel for channel in range(CHANNELS) for _ in range(4)],
        f"The four channels of pixel {pixel} of four, each four times.",
    )
    for pixel in range(4)
)


@njit(_nrt=False, **JIT)
def weigh_block(chunk, order, listed, block, x, y, lines, weights):
    """The g and w of a block's listed pairs in its 16 pixels: lines 2p and 2p + 1 of `weights`.

    Six of `lines` for each block: its transmittance, what remains of F, and the gradients of its
    four channels. Afterwards only the pairs are listed that came before every pixel had stopped.
    """
    pixel_x, pixel_y = lane_columns() + x, lane_rows() + y
    first = block * (2 + CHANNELS)
    transmittance, remaining = load(lines, first), load(lines, first + 1)
    by_red, by_green = load(lines, first + 2), load(lines, first + 3)
    by_blue, by_depth = load(lines, first + 4), load(lines, first + 5)
    for position in range(listed[block]):
        line = np.uint64(order[block, position])
        power = log2_alpha(chunk, line, pixel_x - chunk[line, X], pixel_y - chunk[line, Y])
        unlimited = exp2(power)
        alpha = smaller(unlimited, MAX_ALPHA)
        drawn = power >= LOG2_MIN_ALPHA
        taken, goes_on, transmittance = pass_through(drawn, transmittance, alpha)
        weight = select(goes_on, taken, 0.0)
        by_weight = by_red * chunk[line, CHANNEL] + by_green * chunk[line, CHANNEL + 1]
        by_weight += by_blue * chunk[line, CHANNEL + 2] + by_depth * chunk[line, CHANNEL + 3]
        remaining = remaining - weight * by_weight
        by_log_alpha = taken * by_weight - alpha * remaining * inverse(1.0 - alpha)
        by_log_alpha = select(unlimited < MAX_ALPHA, by_log_alpha, 0.0)
        store(weights, 2 * position, select(goes_on, by_log_alpha, 0.0))
        store(weights, 2 * position + 1, weight)
        if not any_lane(transmittance > 0.0):
            listed[block] = position + 1
            break
    store(lines, first, transmittance)
    store(lines, first + 1, remaining)


@njit(_nrt=False, **JIT)
def interleave(weights, listed):
    """Reorder the lines of each four pairs a to d, so that the g of a and b, the g of c and d, and
    the w of all four stand side by side for each pixel: two, two and four lines."""
    for line in range(0, 2 * listed, 8):
        a, b = load(weights, line), load(weights, line + 2)
        c, d = load(weights, line + 4), load(weights, line + 6)
        wa, wb = load(weights, line + 1), load(weights, line + 3)
        wc, wd = load(weights, line + 5), load(weights, line + 7)
        store(weights, line, first_pairs(a, b))
        store(weights, line + 1, last_pairs(a, b))
        store(weights, line + 2, first_pairs(c, d))
        store(weights, line + 3, last_pairs(c, d))
        first, second, third, fourth = interleaved_fours(wa, wb, wc, wd)
        store(weights, line + 4, first)
        store(weights, line + 5, second)
        store(weights, line + 6, third)
        store(weights, line + 7, fourth)


@njit(_nrt=False, **JIT)
def add_line(lines, index, row):
    store(lines, index, load(lines, index) + row)


@njit(_nrt=False, **JIT)
def add_block(weights, order, listed, moments, block, channels, sums):
    """Add the sums over a block's pixels to those of its listed pairs, lines of `sums`.

    weights: lines as `interleave` leaves them; moments: PIXEL_MOMENTS; channels: for each pixel of
    the tile a line with the gradients of the channels, each four times.
    """
    for position in range(0, listed, 4):
        a_b, c_d, all_four = filled(0.0), filled(0.0), filled(0.0)
        line = 2 * position
        for pixel in range(LANES):
            moment = load(moments, block * LANES + pixel)
            a_b += moment * spread2(weights, line, 2 * pixel)
            c_d += moment * spread2(weights, line + 2, 2 * pixel)
            channel = load(channels, block * LANES + pixel)
            all_four += channel * spread4(weights, line + 4, 4 * pixel)
        add_line(sums, order[block, position], pick_first(a_b, all_four))
        if position + 1 < listed:
            add_line(sums, order[block, position + 1], pick_second(a_b, all_four))
        if position + 2 < listed:
            add_line(sums, order[block, position + 2], pick_third(c_d, all_four))
        if position + 3 < listed:
            add_line(sums, order[block, position + 3], pick_fourth(c_d, all_four))


@njit(_nrt=False, **JIT)
def weigh_chunk(
    chunk, order, listed, left, top, lines, open_blocks, moments, channels, weights, sums
):
    """Sums of the listed pairs over the blocks. Returns which blocks have pixels that go on."""
    sums[:] = 0
    for block in range(BLOCKS):
        if listed[block]:
            x, y = block_corner(block, left, top)
            weigh_block(chunk, order, listed, block, x, y, lines, weights)
            if not any_lane(load(lines, block * (2 + CHANNELS)) > 0.0):
                open_blocks &= ~(1 << block)
            interleave(weights, listed[block])
            add_block(weights, order, listed[block], moments, block, channels, sums)
    return open_blocks


@njit(_nrt=False, **JIT)
def load_gradients(lines, channels, top, left, color, depth, alpha, by_color, by_depth, by_alpha):
    """Fill a tile's lines (see weigh_block) and `channels` (see add_block)."""
    each = 2 + CHANNELS
    lines[:] = 0
    columns = min(TILE, depth.shape[1] - left)
    for row in range(min(TILE, depth.shape[0] - top)):
        y, line = top + row, row * each
        red, green, blue = load_colors(color, y, left, columns)
        by_red, by_green, by_blue = load_colors(by_color, y, left, columns)
        by_z = load_first(by_depth, y, left, columns)
        remaining = red * by_red + green * by_green + blue * by_blue
        remaining += load_first(depth, y, left, columns) * by_z
        light = 1.0 - load_first(alpha, y, left, columns)
        remaining = remaining - light * load_first(by_alpha, y, left, columns)
        store(lines, line + 1, remaining)
        store(lines, line + 2, by_red)
        store(lines, line + 3, by_green)
        store(lines, line + 4, by_blue)
        store(lines, line + 5, by_z)
    swap_blocks_and_rows(lines, each)
    for block in range(BLOCKS):
        line, pixel = block * each, block * LANES
        store(lines, line, filled(1.0))
        first, second, third, fourth = interleaved_fours(
            load(lines, line + 2), load(lines, line + 3),
            load(lines, line + 4), load(lines, line + 5),
        )  # fmt: skip
        store_fours(channels, pixel, first)
        store_fours(channels, pixel + 4, second)
        store_fours(channels, pixel + 8, third)
        store_fours(channels, pixel + 12, fourth)


@njit(_nrt=False, **JIT)
def store_fours(channels, pixel, row):
    """The four channels of four pixels, each four times: a line for each pixel."""
    store(channels, pixel, spread_first(row, row))
    store(channels, pixel + 1, spread_second(row, row))
    store(channels, pixel + 2, spread_third(row, row))
    store(channels, pixel + 3, spread_fourth(row, row))


@njit(**JIT)
def weigh_tile(
    splats, values, first_value, bins, tile, left, top, touched, moments, slots,
    lines, channels, chunk, listed, order, weights, sums,
):  # fmt: skip
    """Fill the slots of one tile's pairs; `lines` and `channels` as load_gradients leaves them."""
    open_blocks = ALL_BLOCKS
    start, stop = bins.tile_start[tile], bins.tile_start[tile + 1]
    for first in range(start, stop, CHUNK):
        last = min(first + CHUNK, stop)
        list_chunk(touched, first, last, open_blocks, listed, order)
        stage_chunk(splats, values, first_value, bins.splat, first, last, chunk)
        open_blocks = weigh_chunk(
            chunk, order, listed, left, top, lines, open_blocks, moments, channels, weights, sums
        )
        for pair in range(first, last):
            k = bins.splat[pair]
            slot = slot_of(splats[k], bins.splat_start[k], left // TILE, top // TILE)
            store(slots, slot, load(sums, pair - first))


@njit(parallel=True, **JIT)
def blend_backward(
    splats, values, first_value, bins, touched, moments,
    color, depth, alpha, by_color, by_depth, by_alpha, slots, threads,
):  # fmt: skip
    """Fill `slots`, for every pair, in the order of `slot_of`, a line with its sums, from four
    channels of the image, as `blend` draws them, and the gradients of the loss by them and by
    alpha.
    """
    tiles_x, tiles = tiles_across(depth.shape[1]), bins.tile_start.shape[0] - 1
    counter = np.zeros(1, np.int64)
    for _ in prange(threads):
        lines, channels = new_lines(BLOCKS * (2 + CHANNELS)), new_lines(TILE**2)
        listed, order = np.empty(BLOCKS, np.int64), np.empty((BLOCKS, CHUNK + LANES), np.int32)
        chunk, weights, sums = new_lines(CHUNK), new_lines(2 * CHUNK), new_lines(CHUNK)
        tile = take_next(counter)
        while tile < tiles:
            if bins.tile_start[tile] < bins.tile_start[tile + 1]:
                top, left = tile // tiles_x * TILE, tile % tiles_x * TILE
                load_gradients(
                    lines, channels, top, left, color, depth, alpha, by_color, by_depth, by_alpha
                )
                weigh_tile(
                    splats, values, first_value, bins, tile, left, top, touched, moments, slots,
                    lines, channels, chunk, listed, order, weights, sums,
                )  # fmt: skip
            tile = take_next(counter)


@njit(parallel=True, **JIT)
def sum_by_splat(splats, splat_start, slots, moments, by_values, first_value):
    """Sum the slots of each splat, in a fixed order.

    Adds to `moments` (M,6) float64, the sums of g times 1, dx, dy, dx^2, dx dy, dy^2 around the
    centre of the splat, and fills four columns of `by_values` (M,C) from `first_value`.
    """
    for k in prange(splats.shape[0]):
        splat = splats[k]
        slot = splat_start[k]
        channels = np.zeros(CHANNELS)
        for tile_y in range(splat.first_row // TILE, splat.last_row // TILE + 1):
            for tile_x in range(splat.first_column // TILE, splat.last_column // TILE + 1):
                sums = slots[slot]
                slot += 1
                x, y = (
                    tile_x * TILE + MIDDLE - float(splat.x),
                    tile_y * TILE + MIDDLE - float(splat.y),
                )
                one, by_x, by_y = float(sums[0]), float(sums[1]), float(sums[2])
                moments[k, 0] += one
                moments[k, 1] += by_x + x * one
                moments[k, 2] += by_y + y * one
                moments[k, 3] += sums[3] + 2 * x * by_x + x * x * one
                moments[k, 4] += sums[4] + x * by_y + y * by_x + x * y * one
                moments[k, 5] += sums[5] + 2 * y * by_y + y * y * one
                for channel in range(CHANNELS):
                    channels[channel] += sums[MOMENTS + channel]
        for channel in range(CHANNELS):
            by_values[k, first_value + channel] = channels[channel]

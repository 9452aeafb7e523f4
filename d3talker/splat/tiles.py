"""Blending the splats of each tile into pixels, and the gradient of that step.

For one pixel at distance d from the centres of splats i = 1, 2, ... from near to far:

    alpha_i = min(MAX_ALPHA, exp(log_opacity - 1/2 d' conic d)),  skipped below MIN_ALPHA
    T_1 = 1,  T_(i+1) = T_i (1 - alpha_i),  stopped before T would fall below MIN_TRANSMITTANCE
    w_i = T_i alpha_i
    color = sum w_i color_i + T background,  depth = sum w_i depth_i,  alpha = 1 - T

A tile goes through its splats once, and each splat through the rows of 16 pixels that it touches
(see simd.py). What a tile remembers of its pixels are lines of 16 numbers, one line per row: the
transmittance T is in lines 0 to 15, and so on. A pixel that has stopped has T negative.

The gradient goes through the same splats in the same order. With v_i the gradient of the loss by
w_i, and F the loss as far as it is linear in the pixel, F = sum w_i v_i + T v_background,

    dF / d alpha_i = T_i v_i - (F - sum_(j <= i) w_j v_j) / (1 - alpha_i).
"""

import math

import numpy as np
from numba import njit, prange

from d3talker.compiled import JIT
from d3talker.splat.binning import TILE
from d3talker.splat.projection import LOG_MIN_ALPHA
from d3talker.splat.simd import any_lane, exp2, filled, lanes, load, new_lines, select, store, total

MAX_ALPHA = 0.99
MIN_TRANSMITTANCE = 1e-4

# Numbers that meet single numbers, not rows, are float32 so that the arithmetic stays float32.
HALF = np.float32(0.5)
LOG2_E = np.float32(1 / math.log(2))
LOG2_MIN_ALPHA = np.float32(LOG_MIN_ALPHA / math.log(2))

# First lines of the numbers that a tile keeps; in the gradient, RED to DEPTH are those of the loss.
T, RED, GREEN, BLUE, DEPTH, REMAINING, LINES = (k * TILE for k in range(7))
ALL_ROWS = (1 << TILE) - 1


@njit(**JIT)
def log2_alpha(splat, left, top):
    """log2 of alpha before it is limited, as the polynomial c + (b + a dy) dy of the row.

    Returns a, b, c, the distances dx to the 16 columns and the dy of the tile's first row.
    """
    dx = lanes() + (np.float32(left) + HALF - splat.x)
    a = -HALF * LOG2_E * splat.conic_yy
    b = dx * (-LOG2_E * splat.conic_xy)
    c = dx * dx * (-HALF * LOG2_E * splat.conic_xx) + LOG2_E * splat.log_opacity
    return a, b, c, dx, np.float32(top) + HALF - splat.y


@njit(**JIT)
def pass_through(drawn, before, alpha):
    """The weight of a splat in a row of pixels, and the transmittance after it."""
    after = before - before * alpha
    goes_on = drawn & (after >= MIN_TRANSMITTANCE)
    stopped = select(before > 0.0, before * -1.0, before)
    weight = select(goes_on, before * alpha, 0.0)
    return weight, select(goes_on, after, select(drawn, stopped, before))


@njit(**JIT)
def add_line(lines, index, row):
    store(lines, index, load(lines, index) + row)


@njit(**JIT)
def blend_splat(splat, left, top, lines, open_rows):
    """Add a splat to the tile. Returns which rows, as bits, have pixels that have not stopped."""
    a, b, c, _, first_dy = log2_alpha(splat, left, top)
    for row in range(max(splat.first_row - top, 0), min(splat.last_row - top + 1, TILE)):
        dy = first_dy + np.float32(row)
        power = (b + a * dy) * dy + c
        drawn = power >= LOG2_MIN_ALPHA
        if not (open_rows >> row & 1 and any_lane(drawn)):
            continue
        alpha = exp2(power)
        alpha = select(alpha < MAX_ALPHA, alpha, MAX_ALPHA)
        weight, after = pass_through(drawn, load(lines, T + row), alpha)
        store(lines, T + row, after)
        add_line(lines, RED + row, weight * splat.red)
        add_line(lines, GREEN + row, weight * splat.green)
        add_line(lines, BLUE + row, weight * splat.blue)
        add_line(lines, DEPTH + row, weight * splat.depth)
        if not any_lane(after > 0.0):
            open_rows &= ~(1 << row)
    return open_rows


@njit(parallel=True, **JIT)
def blend(splats, tile_start, tile_splats, background, color, depth, alpha):
    """Fill color (H,W,3), depth (H,W) and alpha (H,W) float32.

    `tile_start` and `tile_splats` are those of Bins, whose splats are sorted by depth.
    """
    height, width = depth.shape
    tiles_x = (width + TILE - 1) // TILE
    for tile in prange(tile_start.shape[0] - 1):
        top, left = tile // tiles_x * TILE, tile % tiles_x * TILE
        lines = new_lines(REMAINING)
        lines[T:RED] = 1
        lines[RED:] = 0
        open_rows = ALL_ROWS
        for k in tile_splats[tile_start[tile] : tile_start[tile + 1]]:
            open_rows = blend_splat(splats[k], left, top, lines, open_rows)
            if open_rows == 0:
                break
        for row in range(min(TILE, height - top)):
            for column in range(min(TILE, width - left)):
                y, x = top + row, left + column
                transmittance = abs(lines[T + row, column])
                color[y, x, 0] = lines[RED + row, column] + transmittance * background[0]
                color[y, x, 1] = lines[GREEN + row, column] + transmittance * background[1]
                color[y, x, 2] = lines[BLUE + row, column] + transmittance * background[2]
                depth[y, x] = lines[DEPTH + row, column]
                alpha[y, x] = 1 - transmittance


@njit(**JIT)
def blend_splat_backward(splat, left, top, lines, open_rows, gradient):
    """Write the gradient of a splat, as far as this tile is concerned; returns the open rows."""
    a, b, c, dx, first_dy = log2_alpha(splat, left, top)
    # by_log_alpha times 1, dy and dy^2; those times dx follow at the end, dx being the same in
    # every row
    moment, moment_y, moment_yy = filled(0.0), filled(0.0), filled(0.0)
    by_red, by_green, by_blue, by_depth = filled(0.0), filled(0.0), filled(0.0), filled(0.0)
    for row in range(max(splat.first_row - top, 0), min(splat.last_row - top + 1, TILE)):
        dy = first_dy + np.float32(row)
        power = (b + a * dy) * dy + c
        drawn = power >= LOG2_MIN_ALPHA
        if not (open_rows >> row & 1 and any_lane(drawn)):
            continue
        unlimited = exp2(power)
        alpha = select(unlimited < MAX_ALPHA, unlimited, MAX_ALPHA)
        before = load(lines, T + row)
        weight, after = pass_through(drawn, before, alpha)
        store(lines, T + row, after)
        red, green = load(lines, RED + row), load(lines, GREEN + row)
        blue, depth = load(lines, BLUE + row), load(lines, DEPTH + row)
        value = red * splat.red + green * splat.green + blue * splat.blue + depth * splat.depth
        remaining = load(lines, REMAINING + row) - weight * value
        store(lines, REMAINING + row, remaining)
        by_alpha = before * value - remaining / (1.0 - alpha)
        depends = (weight > 0.0) & (unlimited < MAX_ALPHA)
        by_log_alpha = select(depends, by_alpha * alpha, 0.0)
        moment += by_log_alpha
        moment_y += by_log_alpha * dy
        moment_yy += by_log_alpha * (dy * dy)
        by_red += weight * red
        by_green += weight * green
        by_blue += weight * blue
        by_depth += weight * depth
        if not any_lane(after > 0.0):
            open_rows &= ~(1 << row)
    sum_x, sum_y = total(moment * dx), total(moment_y)
    gradient.x = splat.conic_xx * sum_x + splat.conic_xy * sum_y
    gradient.y = splat.conic_xy * sum_x + splat.conic_yy * sum_y
    gradient.conic_xx = -HALF * total(moment * dx * dx)
    gradient.conic_xy = -total(moment_y * dx)
    gradient.conic_yy = -HALF * total(moment_yy)
    gradient.log_opacity = total(moment)
    gradient.red, gradient.green, gradient.blue = total(by_red), total(by_green), total(by_blue)
    gradient.depth = total(by_depth)
    return open_rows


@njit(parallel=True, **JIT)
def blend_backward(
    splats, tile_start, tile_splats,
    color, depth, alpha, by_color, by_depth, by_alpha, pair_gradients,
):  # fmt: skip
    """Fill `pair_gradients` (E,) SPLAT_GRADIENT, which must come as zeros, from the image and
    the gradients of the loss by it."""
    height, width = depth.shape
    tiles_x = (width + TILE - 1) // TILE
    for tile in prange(tile_start.shape[0] - 1):
        top, left = tile // tiles_x * TILE, tile % tiles_x * TILE
        lines = new_lines(LINES)
        lines[T:RED] = 1
        lines[RED:] = 0
        for row in range(min(TILE, height - top)):
            for column in range(min(TILE, width - left)):
                y, x = top + row, left + column
                red, green, blue = by_color[y, x, 0], by_color[y, x, 1], by_color[y, x, 2]
                lines[RED + row, column] = red
                lines[GREEN + row, column] = green
                lines[BLUE + row, column] = blue
                lines[DEPTH + row, column] = by_depth[y, x]
                lines[REMAINING + row, column] = (
                    color[y, x, 0] * red + color[y, x, 1] * green + color[y, x, 2] * blue
                    + depth[y, x] * by_depth[y, x] + (alpha[y, x] - 1) * by_alpha[y, x]
                )  # fmt: skip
        open_rows = ALL_ROWS
        for pair in range(tile_start[tile], tile_start[tile + 1]):
            open_rows = blend_splat_backward(
                splats[tile_splats[pair]], left, top, lines, open_rows, pair_gradients[pair]
            )
            if open_rows == 0:
                break


@njit(parallel=True, **JIT)
def sum_by_splat(splat_start, pair, pair_gradients, gradients):
    """Fill `gradients` (M,10) with the sums over the tiles of each splat, in a fixed order."""
    for k in prange(gradients.shape[0]):
        gradients[k] = 0
        for position in range(splat_start[k], splat_start[k + 1]):
            for value in range(gradients.shape[1]):
                gradients[k, value] += pair_gradients[pair[position], value]

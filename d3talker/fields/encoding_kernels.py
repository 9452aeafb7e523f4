"""Look-ups in the planes of encoding.py and their gradients, compiled for the CPU.

A row of simd/ holds the levels of one plane, so that a point and a plane are looked up at
once. Lanes beyond the last level look up the table's first entry, and what they find is dropped.
"""

import numpy as np
from numba import njit, prange

from d3talker.compiled import JIT
from d3talker.simd.memory import gather, load, load_first, new_lines, store, store_first
from d3talker.simd.rows import filled, total, whole

PLANES = ((0, 1), (1, 2), (0, 2))  # the axes of each plane: xy, yz, xz
PARTS = 4  # of the points, whose table gradients are summed one by one, in this order

HALF, ONE = np.float32(0.5), np.float32(1)

# Lines of the constants of the levels: cells across the cube, grid points across, and for each
# plane the first entry.
SCALES, WIDTHS, OFFSETS = range(3)


def level_lines(scales: np.ndarray, widths: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The lines SCALES, WIDTHS and three OFFSETS of an encoder, zero beyond the last level."""
    lines = new_lines(OFFSETS + len(PLANES))
    lines[:] = 0
    levels = len(scales)
    lines[SCALES, :levels], lines[WIDTHS, :levels] = scales, widths
    lines[OFFSETS:, :levels] = offsets[:-1].reshape(len(PLANES), levels)
    return lines


@njit(**JIT)
def plane_axes(plane):
    return PLANES[plane]


@njit(**JIT)
def unit(coordinate, bound):
    """Where a coordinate is between the ends of the cube, 0 to 1."""
    return (coordinate + bound) / (np.float32(2) * bound)


@njit(**JIT)
def inside(u, v):
    return u >= 0 and u <= ONE and v >= 0 and v <= ONE


@njit(_nrt=False, **JIT)
def cell(lines, plane, u, v):
    """Entry at the lower corner of the cell with (u, v), and where in the cell (u, v) is."""
    scale = load(lines, SCALES)
    x, y = scale * u + HALF, scale * v + HALF
    column, row = whole(x), whole(y)
    return row * load(lines, WIDTHS) + column + load(lines, OFFSETS + plane), x - column, y - row


@njit(_nrt=False, **JIT)
def look_up_plane(table, lines, plane, u, v):
    """Bilinear look-up in all levels of a plane."""
    k, x, y = cell(lines, plane, u, v)
    above = k + load(lines, WIDTHS)
    low, high = gather(table, k), gather(table, above)
    low += x * (gather(table, k + ONE) - low)
    high += x * (gather(table, above + ONE) - high)
    return low + y * (high - low)


@njit(parallel=True, **JIT)
def look_up(points, bound, table, lines, levels, features):
    """Fill features (N,3 levels) of points (N,3), m; zero in a plane that has no such place."""
    for i in prange(points.shape[0]):
        for plane in range(len(PLANES)):
            a, b = plane_axes(plane)
            u, v = unit(points[i, a], bound), unit(points[i, b], bound)
            row = filled(0.0)
            if inside(u, v):
                row = look_up_plane(table, lines, plane, u, v)
            store_first(features, i, plane * levels, row, levels)


@njit(_nrt=False, **JIT)
def add_corners(by_table, lines, plane, u, v, by_features, i, levels, scratch):
    """Add the gradient of one look-up to the entries of its four corners."""
    k, x, y = cell(lines, plane, u, v)
    store(scratch, 0, k)
    store(scratch, 1, x)
    store(scratch, 2, y)
    for level in range(levels):
        lower_left = np.int64(scratch[0, level])
        upper_left = lower_left + np.int64(lines[WIDTHS, level])
        gradient = by_features[i, plane * levels + level]
        upper = gradient * scratch[2, level]
        lower = gradient - upper
        lower_right, upper_right = lower * scratch[1, level], upper * scratch[1, level]
        by_table[lower_left] += lower - lower_right
        by_table[lower_left + 1] += lower_right
        by_table[upper_left] += upper - upper_right
        by_table[upper_left + 1] += upper_right


@njit(parallel=True, **JIT)
def table_gradient(points, bound, lines, levels, by_features, by_parts):
    """Add to `by_parts` (PARTS, entries), of zeros, the gradients of each part of the points."""
    for part in prange(PARTS):
        scratch = new_lines(3)
        count = points.shape[0]
        for i in range(count * part // PARTS, count * (part + 1) // PARTS):
            for plane in range(len(PLANES)):
                a, b = plane_axes(plane)
                u, v = unit(points[i, a], bound), unit(points[i, b], bound)
                if inside(u, v):
                    add_corners(by_parts[part], lines, plane, u, v, by_features, i, levels, scratch)


@njit(_nrt=False, **JIT)
def plane_gradient(table, lines, plane, u, v, by_features):
    """Gradient by u and v of one look-up; `by_features` is the row of its levels."""
    k, x, y = cell(lines, plane, u, v)
    above = k + load(lines, WIDTHS)
    corner, left_above = gather(table, k), gather(table, above)
    low = gather(table, k + ONE) - corner
    twist = gather(table, above + ONE) - left_above - low
    weight = by_features * load(lines, SCALES)
    by_u = total(weight * (low + y * twist))
    return by_u, total(weight * (left_above - corner + x * twist))


@njit(parallel=True, **JIT)
def point_gradient(points, bound, table, lines, levels, by_features, by_points):
    """Fill `by_points` (N,3)."""
    for i in prange(by_points.shape[0]):
        for axis in range(3):
            by_points[i, axis] = 0
        for plane in range(len(PLANES)):
            a, b = plane_axes(plane)
            u, v = unit(points[i, a], bound), unit(points[i, b], bound)
            if inside(u, v):
                row = load_first(by_features, i, plane * levels, levels)
                by_u, by_v = plane_gradient(table, lines, plane, u, v, row)
                by_points[i, a] += by_u / (np.float32(2) * bound)
                by_points[i, b] += by_v / (np.float32(2) * bound)

"""Look-ups in the planes of encoding.py and their gradients, compiled for the CPU.

A row of simd/ holds the levels of one plane, so that a point and a plane are looked up at
once. Lanes beyond the last level look up the table's first entry, and what they find is dropped.
"""

import numpy as np
from numba import njit, prange

from d3talker.compiled import JIT
from d3talker.simd.memory import (
    add_pair,
    gather_pairs,
    load,
    load_first,
    new_lines,
    store,
    store_first,
)
from d3talker.simd.rows import filled, total, whole
from d3talker.simd.shuffles import first_pairs, last_pairs

PLANES = ((0, 1), (1, 2), (0, 2))  # the axes of each plane: xy, yz, xz
PARTS = 4  # of the points, whose table gradients are summed one by one, in this order

HALF, ONE = np.float32(0.5), np.float32(1)

# Lines of the constants of the levels: cells across the cube, grid points across, and for each
# plane the first entry.
SCALES, WIDTHS, OFFSETS = range(3)

# Lines in which the gradients of a point lie before they are added to the table: pairs of
# neighbours below and above it, and the places of the first of each pair.
LOWER, UPPER, BELOW, ABOVE, SCRATCH = 0, 2, 4, 5, 6


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
    low, low_right = gather_pairs(table, k)
    high, high_right = gather_pairs(table, k + load(lines, WIDTHS))
    low += x * (low_right - low)
    high += x * (high_right - high)
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
    gradient = load_first(by_features, i, plane * levels, levels)
    upper = gradient * y
    lower = gradient - upper
    lower_right, upper_right = lower * x, upper * x
    lower, upper = lower - lower_right, upper - upper_right
    store(scratch, LOWER, first_pairs(lower, lower_right))
    store(scratch, LOWER + 1, last_pairs(lower, lower_right))
    store(scratch, UPPER, first_pairs(upper, upper_right))
    store(scratch, UPPER + 1, last_pairs(upper, upper_right))
    store(scratch, BELOW, k)
    store(scratch, ABOVE, k + load(lines, WIDTHS))
    for level in range(levels):
        add_pair(by_table, scratch, BELOW, LOWER, level)
        add_pair(by_table, scratch, ABOVE, UPPER, level)


@njit(parallel=True, **JIT)
def table_gradient(points, bound, lines, levels, by_features, by_parts):
    """Add to `by_parts` (PARTS, entries), of zeros, the gradients of each part of the points."""
    for part in prange(PARTS):
        scratch = new_lines(SCRATCH)
        count = points.shape[0]
        for plane in range(len(PLANES)):
            a, b = plane_axes(plane)
            for i in range(count * part // PARTS, count * (part + 1) // PARTS):
                u, v = unit(points[i, a], bound), unit(points[i, b], bound)
                if inside(u, v):
                    add_corners(by_parts[part], lines, plane, u, v, by_features, i, levels, scratch)


@njit(_nrt=False, **JIT)
def plane_gradient(table, lines, plane, u, v, by_features):
    """Gradient by u and v of one look-up; `by_features` is the row of its levels."""
    k, x, y = cell(lines, plane, u, v)
    corner, right = gather_pairs(table, k)
    above, above_right = gather_pairs(table, k + load(lines, WIDTHS))
    low = right - corner
    twist = above_right - above - low
    weight = by_features * load(lines, SCALES)
    by_u = total(weight * (low + y * twist))
    return by_u, total(weight * (above - corner + x * twist))


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

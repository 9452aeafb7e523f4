"""Look-ups in the planes of encoding.py and their gradients, compiled for the CPU.

A grid is one level of one plane; grid g belongs to plane `g // levels`. Coordinates are (3,N) in
units of the cube, features (grids, N). The gradients are the same for any number of threads,
because a thread owns the grids, or the points, that it adds to.
"""

import numpy as np
from numba import njit, prange

from d3talker.compiled import JIT

PLANES = ((0, 1), (1, 2), (0, 2))  # the axes of each plane: xy, yz, xz

HALF, ZERO, ONE = np.float32(0.5), np.float32(0), np.float32(1)


@njit(**JIT)
def plane_axes(plane):
    return PLANES[plane]


@njit(**JIT)
def inside(u, v):
    return u >= ZERO and u <= ONE and v >= ZERO and v <= ONE


@njit(**JIT)
def cell(u, v, scale, width):
    """Entry at the lower corner of the cell with (u, v), and where in the cell (u, v) is."""
    x, y = u * scale + HALF, v * scale + HALF
    column, row = np.int32(x), np.int32(y)
    return row * width + column, x - np.float32(column), y - np.float32(row)


@njit(parallel=True, **JIT)
def look_up(coordinates, table, offsets, scales, widths, features):
    """Fill `features`, the bilinear look-ups; zero outside the cube."""
    levels = widths.shape[0]
    for grid in prange(features.shape[0]):
        a, b = plane_axes(grid // levels)
        scale, width = scales[grid % levels], widths[grid % levels]
        entries = table[offsets[grid] : offsets[grid + 1]]
        for i in range(features.shape[1]):
            u, v = coordinates[a, i], coordinates[b, i]
            features[grid, i] = ZERO
            if inside(u, v):
                k, x, y = cell(u, v, scale, width)
                lower = entries[k] + x * (entries[k + 1] - entries[k])
                upper = entries[k + width] + x * (entries[k + width + 1] - entries[k + width])
                features[grid, i] = lower + y * (upper - lower)


@njit(parallel=True, **JIT)
def table_gradient(coordinates, by_features, offsets, scales, widths, by_table):
    """Add to `by_table`, which must come as zeros."""
    levels = widths.shape[0]
    for grid in prange(by_features.shape[0]):
        a, b = plane_axes(grid // levels)
        scale, width = scales[grid % levels], widths[grid % levels]
        by_entries = by_table[offsets[grid] : offsets[grid + 1]]
        for i in range(by_features.shape[1]):
            u, v = coordinates[a, i], coordinates[b, i]
            if inside(u, v):
                k, x, y = cell(u, v, scale, width)
                upper = by_features[grid, i] * y
                lower = by_features[grid, i] - upper
                by_entries[k] += lower - lower * x
                by_entries[k + 1] += lower * x
                by_entries[k + width] += upper - upper * x
                by_entries[k + width + 1] += upper * x


@njit(parallel=True, **JIT)
def coordinate_gradient(coordinates, table, by_features, offsets, scales, widths, by_coordinates):
    """Add to `by_coordinates`, which must come as zeros."""
    levels = widths.shape[0]
    for i in prange(by_features.shape[1]):
        for plane in range(len(PLANES)):
            a, b = plane_axes(plane)
            u, v = coordinates[a, i], coordinates[b, i]
            if not inside(u, v):
                continue
            by_u, by_v = ZERO, ZERO
            for level in range(levels):
                grid = plane * levels + level
                width = widths[level]
                k, x, y = cell(u, v, scales[level], width)
                entries = table[offsets[grid] : offsets[grid + 1]]
                lower = entries[k + 1] - entries[k]
                upper = entries[k + width + 1] - entries[k + width]
                left = entries[k + width] - entries[k]
                weight = by_features[grid, i] * scales[level]
                by_u += weight * (lower + y * (upper - lower))
                by_v += weight * (left + x * (upper - lower))
            by_coordinates[a, i] += by_u
            by_coordinates[b, i] += by_v

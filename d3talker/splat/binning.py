"""Which splats touch which tile of the image."""

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from d3talker.compiled import JIT

TILE = 16  # px, the side of a tile
PARTS = 8  # of the splats, counted and listed beside each other
MAX_PAIRS = 1 << 27  # of a splat and a tile; drawing with gradients takes some 70 bytes each


class Bins(NamedTuple):
    """Pairs of a splat and a tile that it touches, E in all.

    Tile k owns the pairs `tile_start[k]` to `tile_start[k + 1]`, nearest splat first. What is
    known of each pair may be kept by splat in E slots, see `slot_of`.
    """

    tile_start: np.ndarray  # (tiles + 1,) int32; tiles row by row
    splat: np.ndarray  # (E,) int32, the splat of each pair; E is at most MAX_PAIRS
    splat_start: np.ndarray  # (M + 1,) int32, the first slot of each splat


@njit(**JIT)
def tiles_across(size):
    return -(-size // TILE)


def nearest_first(splats: np.ndarray) -> np.ndarray:
    """Indices of the visible ones of `splats`, by depth and, where that is equal, by index."""
    # The bits of a positive float, read as an integer, sort like the float.
    keys = splats["depth"].view(np.uint32).astype(np.uint64) << np.uint64(32)
    keys |= np.arange(len(splats), dtype=np.uint64)
    keys.sort()
    hidden = len(splats) - np.count_nonzero(splats["depth"])
    return (keys[hidden:] & np.uint64(0xFFFFFFFF)).astype(np.int64)


@njit(parallel=True, **JIT)
def _gather(splats, colors, features, order, sorted_splats, values):
    for k in prange(order.shape[0]):
        i = order[k]
        sorted_splats[k] = splats[i]
        for channel in range(3):
            values[k, channel] = colors[i, channel]
        values[k, 3] = splats[i].depth
        for channel in range(features.shape[1]):
            values[k, 4 + channel] = features[i, channel]


def gather(splats: np.ndarray, colors: np.ndarray, features: np.ndarray, order: np.ndarray):
    """`splats[order]`, and what is blended: colors, depth, features and zeros, (M,C) float32.

    C is the next multiple of four.
    """
    sorted_splats = np.empty(len(order), splats.dtype)
    values = np.zeros((len(order), 4 + -(-features.shape[1] // 4) * 4), np.float32)
    _gather(splats, colors, features, order, sorted_splats, values)
    return sorted_splats, values


@njit(**JIT)
def tile_window(splat):
    """Tiles [first column, stop column), [first row, stop row) that a splat touches."""
    return (
        splat.first_column // TILE,
        splat.last_column // TILE + 1,
        splat.first_row // TILE,
        splat.last_row // TILE + 1,
    )


@njit(**JIT)
def slot_of(splat, first_slot, tile_x, tile_y):
    """The slot of the pair of a splat and a tile: the tiles of a splat follow row by row."""
    left, right, top, _ = tile_window(splat)
    return first_slot + (tile_y - top) * (right - left) + tile_x - left


@njit(**JIT)
def number_of_pairs(splats):
    total = 0
    for k in range(len(splats)):
        left, right, top, bottom = tile_window(splats[k])
        total += (right - left) * (bottom - top)
    return total


@njit(parallel=True, **JIT)
def count_pairs(splats, tiles_x, counts, splat_start):
    """Count the pairs of each part of the splats by tile: `counts` (PARTS, tiles), of zeros; and
    those of splat k: `splat_start[k + 1]`."""
    for part in prange(PARTS):
        for k in range(len(splats) * part // PARTS, len(splats) * (part + 1) // PARTS):
            left, right, top, bottom = tile_window(splats[k])
            splat_start[k + 1] = (right - left) * (bottom - top)
            for tile_y in range(top, bottom):
                for tile_x in range(left, right):
                    counts[part, tile_y * tiles_x + tile_x] += 1


@njit(**JIT)
def start_positions(counts, tile_start):
    """Turn the counts into the positions of each part's first pair in each tile."""
    position = 0
    for tile in range(counts.shape[1]):
        tile_start[tile] = position
        for part in range(PARTS):
            count = counts[part, tile]
            counts[part, tile] = position
            position += count
    tile_start[counts.shape[1]] = position


@njit(parallel=True, **JIT)
def list_pairs(splats, tiles_x, positions, splat):
    """Fill the list of a Bins. Going through the splats by depth keeps each tile sorted."""
    for part in prange(PARTS):
        for k in range(len(splats) * part // PARTS, len(splats) * (part + 1) // PARTS):
            left, right, top, bottom = tile_window(splats[k])
            for tile_y in range(top, bottom):
                for tile_x in range(left, right):
                    tile = tile_y * tiles_x + tile_x
                    splat[positions[part, tile]] = k
                    positions[part, tile] += 1


def bin_splats(splats: np.ndarray, width: int, height: int) -> Bins:
    """List the splats (M,) of an image of width x height pixels by tile. Sort them first.

    Raises ValueError, before it takes memory, if there are more than MAX_PAIRS pairs.
    """
    pairs = number_of_pairs(splats)
    if pairs > MAX_PAIRS:
        raise ValueError(
            f"{len(splats)} Gaussians touch {pairs} tiles of {TILE} x {TILE} pixels, all together; "
            f"at most {MAX_PAIRS} fit into memory: use fewer or smaller ones, or draw the image in "
            "crops"
        )
    tiles_x, tiles_y = tiles_across(width), tiles_across(height)
    counts = np.zeros((PARTS, tiles_x * tiles_y), np.int32)
    tile_start = np.empty(tiles_x * tiles_y + 1, np.int32)
    splat_start = np.zeros(len(splats) + 1, np.int32)
    count_pairs(splats, tiles_x, counts, splat_start)
    np.cumsum(splat_start, out=splat_start)
    start_positions(counts, tile_start)
    splat = np.empty(splat_start[-1], np.int32)
    list_pairs(splats, tiles_x, counts, splat)
    return Bins(tile_start, splat, splat_start)

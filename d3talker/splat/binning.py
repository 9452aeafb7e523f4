"""Which splats touch which tile of the image."""

from dataclasses import dataclass

import numpy as np
from numba import njit

from d3talker.compiled import JIT

TILE = 16  # px, the side of a tile


@dataclass(frozen=True)
class Bins:
    """Pairs of a splat and a tile that it touches, E in all, listed by tile and by splat.

    Tile k owns the pairs `tile_start[k]` to `tile_start[k + 1]`, nearest splat first.
    """

    tile_start: np.ndarray  # (tiles + 1,) int32; tiles row by row
    splat: np.ndarray  # (E,) int32, the splat of each pair
    splat_start: np.ndarray  # (M + 1,) int32; splat k owns pair[splat_start[k]:splat_start[k + 1]]
    pair: np.ndarray  # (E,) int32, indices of pairs


def tiles_across(size: int) -> int:
    return -(-size // TILE)


def nearest_first(splats: np.ndarray) -> np.ndarray:
    """The visible ones of `splats`, sorted by depth and, where that is equal, by index."""
    # The bits of a positive float, read as an integer, sort like the float.
    keys = splats["depth"].view(np.uint32).astype(np.uint64) << np.uint64(32)
    keys |= np.arange(len(splats), dtype=np.uint64)
    keys.sort()
    hidden = len(splats) - np.count_nonzero(splats["depth"])
    return gather(splats, (keys[hidden:] & np.uint64(0xFFFFFFFF)).astype(np.int64))


@njit(**JIT)
def gather(splats, order):
    """`splats[order]`, which numpy is slow at for records."""
    gathered = np.empty(order.shape[0], splats.dtype)
    for k in range(order.shape[0]):
        gathered[k] = splats[order[k]]
    return gathered


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
def count_pairs(splats, tiles_x, tile_start, splat_start):
    """Fill the offsets of a Bins; they must come as zeros."""
    for k in range(splats.shape[0]):
        left, right, top, bottom = tile_window(splats[k])
        splat_start[k + 1] = splat_start[k] + (right - left) * (bottom - top)
        for tile_y in range(top, bottom):
            for tile_x in range(left, right):
                tile_start[tile_y * tiles_x + tile_x + 1] += 1
    for tile in range(tile_start.shape[0] - 1):
        tile_start[tile + 1] += tile_start[tile]


@njit(**JIT)
def list_pairs(splats, tiles_x, tile_start, splat, pair):
    """Fill the lists of a Bins. Going through the splats by depth keeps each tile sorted."""
    position = tile_start.copy()
    listed = 0
    for k in range(splats.shape[0]):
        left, right, top, bottom = tile_window(splats[k])
        for tile_y in range(top, bottom):
            for tile_x in range(left, right):
                tile = tile_y * tiles_x + tile_x
                splat[position[tile]] = k
                pair[listed] = position[tile]
                position[tile] += 1
                listed += 1


def bin_splats(splats: np.ndarray, width: int, height: int) -> Bins:
    """List the splats (M,) of an image of width x height pixels by tile. Sort them first."""
    tiles_x, tiles_y = tiles_across(width), tiles_across(height)
    tile_start = np.zeros(tiles_x * tiles_y + 1, np.int32)
    splat_start = np.zeros(len(splats) + 1, np.int32)
    count_pairs(splats, tiles_x, tile_start, splat_start)
    splat = np.empty(splat_start[-1], np.int32)
    pair = np.empty(splat_start[-1], np.int32)
    list_pairs(splats, tiles_x, tile_start, splat, pair)
    return Bins(tile_start, splat, splat_start, pair)

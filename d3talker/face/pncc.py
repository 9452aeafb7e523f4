"""PNCC: pictures of the facial motion alone, without identity and head pose (spec 5.3).

The mean face with an expression is drawn from the front; each point has as its colour its own
normalised coordinate on the mean face, so colours name places of the face and only move. Eye
openings and the inner mouth are not drawn: like the background they are 0, the -1 of the range
[-1,1] that 0..255 stands for.
"""

import numba
import numpy as np

from d3talker.compiled import JIT
from d3talker.face.model import SKIN, FaceModel

RENDER_SIZE = 256
SIZE = 128  # of the images, made by averaging 2 x 2 rendered pixels
FRAME_M = 0.21  # side of the square that the images show: a face of 0.18 m and a dropped jaw
FRAME_CENTRE_Y = -0.014  # m, HEAD space


def ncc_colours(mean: np.ndarray) -> np.ndarray:
    """Normalised coordinate code (n,3) in [0,1] of the points of the mean face (n,3)."""
    low = mean.min(axis=0)
    return (mean - low) / (mean.max(axis=0) - low)


def to_pixels(vertices: np.ndarray, size: int) -> np.ndarray:
    """Orthographic view from the front: columns, rows and depth (...,n,3) of vertices in metres.

    Smaller depth is nearer.
    """
    scale = size / FRAME_M
    return np.stack(
        [
            vertices[..., 0] * scale + size / 2,
            (FRAME_CENTRE_Y - vertices[..., 1]) * scale + size / 2,
            -vertices[..., 2],
        ],
        axis=-1,
    )


@numba.njit(**JIT)
def rasterize(corners, triangles, colours, size):
    """Draw a mesh with a depth buffer: image (size,size,3) float32, 0 where nothing is drawn.

    corners (n,3) float64: column and row in pixels, depth (smaller is nearer); triangles (F,3);
    colours (n,3). Colour and depth are interpolated linearly over a triangle, sampled at pixel
    centres.
    """
    image = np.zeros((size, size, 3), np.float32)
    depths = np.full((size, size), np.inf)
    for f in range(len(triangles)):
        a, b, c = triangles[f]
        ax, ay, bx, by = corners[a, 0], corners[a, 1], corners[b, 0], corners[b, 1]
        cx, cy = corners[c, 0], corners[c, 1]
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if area == 0.0:
            continue
        inverse = 1.0 / area
        first_row = max(0, int(np.floor(min(ay, by, cy))))
        last_row = min(size - 1, int(np.ceil(max(ay, by, cy))))
        first_column = max(0, int(np.floor(min(ax, bx, cx))))
        last_column = min(size - 1, int(np.ceil(max(ax, bx, cx))))
        for row in range(first_row, last_row + 1):
            y = row + 0.5
            for column in range(first_column, last_column + 1):
                x = column + 0.5
                wb = ((x - ax) * (cy - ay) - (cx - ax) * (y - ay)) * inverse
                wc = ((bx - ax) * (y - ay) - (x - ax) * (by - ay)) * inverse
                wa = 1.0 - wb - wc
                if wa < 0.0 or wb < 0.0 or wc < 0.0:
                    continue
                depth = wa * corners[a, 2] + wb * corners[b, 2] + wc * corners[c, 2]
                if depth < depths[row, column]:
                    depths[row, column] = depth
                    for k in range(3):
                        image[row, column, k] = (
                            wa * colours[a, k] + wb * colours[b, k] + wc * colours[c, k]
                        )
    return image


@numba.njit(parallel=True, **JIT)
def _draw_all(corners, triangles, colours, images, render_size):
    """Draw meshes `corners` (T,n,3) and average blocks of pixels into `images` (T,3,s,s) uint8."""
    size = images.shape[3]
    block = render_size // size
    for frame in numba.prange(len(corners)):
        drawn = rasterize(corners[frame], triangles, colours, render_size)
        for row in range(size):
            for column in range(size):
                for k in range(3):
                    total = 0.0
                    for i in range(block):
                        for j in range(block):
                            total += drawn[block * row + i, block * column + j, k]
                    images[frame, k, row, column] = np.uint8(255 * total / block**2 + 0.5)


def draw(
    corners: np.ndarray, triangles: np.ndarray, colours: np.ndarray, render_size: int
) -> np.ndarray:
    """Images (T,3,SIZE,SIZE) uint8 of meshes drawn at `render_size` px and averaged.

    corners (T,n,3) float64: column, row and depth of `rasterize`; triangles (F,3); colours (n,3).
    """
    images = np.empty((len(corners), 3, SIZE, SIZE), np.uint8)
    _draw_all(corners, triangles, colours, images, render_size)
    return images


def render_pncc(model: FaceModel, expression: np.ndarray) -> np.ndarray:
    """PNCC images (T,3,SIZE,SIZE) uint8 of expression coefficients (T,E).

    Identity is that of the mean face. Only the lower-face coefficients are used: lids and brows
    are driven by action units. All-zero coefficients give the canonical image.
    """
    lower = model.expression[: model.lower]
    vertices = model.mean + np.tensordot(expression[:, : model.lower], lower, 1)
    corners = to_pixels(vertices.astype(np.float64), RENDER_SIZE)
    skin = model.triangles[model.region == SKIN]
    return draw(corners, skin, ncc_colours(model.mean), RENDER_SIZE)

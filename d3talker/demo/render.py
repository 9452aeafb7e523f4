"""Draw a demo person: the warped portrait over an open mouth over a still background."""

from dataclasses import dataclass

import cv2
import numpy as np

from d3talker.demo.head import LIPS_LOWER, LIPS_UPPER, Head, deform, place, project
from d3talker.demo.portrait import SIZE, Portrait
from d3talker.face.model import LIPS_INNER

SUBPIXEL_BITS = 4  # cv2 polygons take corners in 1/16 px
MOUTH_RING = np.r_[LIPS_UPPER, LIPS_LOWER[-2:0:-1]]
CAVITY = np.array([0.20, 0.07, 0.07], np.float32)  # RGB of the open mouth
TONGUE = np.array([0.55, 0.25, 0.25], np.float32)
TONGUE_SIZE = (0.017, 0.007)  # m, half axes
TEETH_DEPTH = 0.006  # m behind the lips


@dataclass(frozen=True)
class Scene:
    """What is drawn, for frames of one size S: the head; person and teeth (S,S,4) float32,
    premultiplied RGBA in the portrait's pose; background (S,S,3) float32; moving: the window
    (rows, columns) of the frame outside which nothing ever changes."""

    head: Head
    person: np.ndarray
    teeth: np.ndarray
    background: np.ndarray
    moving: tuple[slice, slice]


def build_scene(portrait: Portrait, image: np.ndarray, head: Head, background: np.ndarray) -> Scene:
    """Scene from a portrait, its recoloured `image` (SIZE,SIZE,3) and a background (S,S,3)."""
    fine = 4
    mouth = np.zeros((SIZE * fine, SIZE * fine), np.float32)
    cv2.fillPoly(mouth, [(portrait.points[MOUTH_RING, :2] * fine).astype(np.int32)], 1.0)
    mouth = cv2.resize(mouth, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    # The teeth are the light part of the open mouth; gums and corners stay behind.
    teeth = cv2.GaussianBlur(cv2.erode(mouth, np.ones((3, 3))), (0, 0), 0.8)
    teeth *= np.clip((portrait.image.min(axis=2) - 0.35) / 0.2, 0, 1)
    size = background.shape[0]
    method = cv2.INTER_AREA if size < SIZE else cv2.INTER_CUBIC

    def layer(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        rgba = np.dstack([colour * alpha[..., None], alpha]).astype(np.float32)
        return cv2.resize(rgba, (size, size), interpolation=method)

    reach = head.texture[np.unique(head.triangles[head.moves])] * size / SIZE
    low, high = np.clip([reach.min(axis=0), reach.max(axis=0) + 1], 0, size).astype(int)
    return Scene(
        head,
        layer(image, portrait.alpha * (1 - mouth)),
        layer(0.88 * portrait.image, teeth),
        background,
        (slice(low[1], high[1]), slice(low[0], high[0])),
    )


def draw(scene: Scene, expression: np.ndarray, R: np.ndarray, t: np.ndarray) -> np.ndarray:
    """One frame (S,S,3) uint8 of the person with `expression` (4,) at pose R (3,3), t (3,)."""
    vertices = deform(scene.head, expression)
    camera = place(scene.head, vertices, R, t)
    points = project(camera, scene.background.shape[0])
    frame = scene.background.copy()
    paint_mouth(scene, frame, points, vertices, R, t)
    person = scene.person.copy()
    person[scene.moving] = warp_person(scene, points, camera[:, 2])
    frame = frame * (1 - person[..., 3:]) + person[..., :3]
    return (np.clip(frame, 0, 1) * 255 + 0.5).astype(np.uint8)


def paint_mouth(
    scene: Scene,
    frame: np.ndarray,
    points: np.ndarray,
    vertices: np.ndarray,
    R: np.ndarray,
    t: np.ndarray,
) -> None:
    """Paint cavity, tongue and teeth between the projected lips into `frame` (S,S,3)."""
    size = frame.shape[0]
    margin = size // 100  # reaches under the soft edge of the lips
    x, y, width, height = cv2.boundingRect(points[MOUTH_RING].astype(np.float32))
    corner = np.maximum([x - margin, y - margin], 0)
    patch = frame[corner[1] : y + height + margin, corner[0] : x + width + margin]
    inside = np.zeros(patch.shape[:2], np.uint8)
    outline = (points[MOUTH_RING] - corner).round().astype(np.int32)
    cv2.fillPoly(inside, [outline], 1)
    gap = cv2.erode(inside, np.ones((3, 3))).astype(np.float32)  # none between shut lips
    gap = cv2.GaussianBlur(gap, (0, 0), size / 600)
    cv2.polylines(inside, [outline], True, 1, margin)

    colour = np.broadcast_to(CAVITY, patch.shape)
    tongue = tongue_mask(vertices, patch.shape[:2], corner, size, R, t)[..., None]
    colour = colour + tongue * (TONGUE - colour)
    teeth = warp_teeth(scene, patch.shape[:2], corner, R, t) * gap[..., None]
    colour = colour * (1 - teeth[..., 3:]) + teeth[..., :3]
    patch[:] = np.where(inside[..., None], colour, patch)


def tongue_mask(
    vertices: np.ndarray,
    shape: tuple[int, int],
    corner: np.ndarray,
    size: int,
    R: np.ndarray,
    t: np.ndarray,
) -> np.ndarray:
    """Soft mask (h,w) float32 of the tongue, an ellipse that moves with the lower lip."""
    tip = vertices[LIPS_LOWER[5]] - [0, 0, 2 * TEETH_DEPTH]
    axes = np.array([[0, 0, 0], [TONGUE_SIZE[0], 0, 0], [0, TONGUE_SIZE[1], 0]])
    centre, right, top = project((tip + axes) @ R.T + t, size) - corner
    radii = np.linalg.norm([right - centre, top - centre], axis=1)
    turn = np.degrees(np.arctan2(right[1] - centre[1], right[0] - centre[0]))
    mask = np.zeros(shape, np.float32)
    cv2.ellipse(mask, (tuple(centre), tuple(2 * radii), turn), 1.0, cv2.FILLED)
    return cv2.GaussianBlur(mask, (0, 0), size / 170)


def warp_teeth(
    scene: Scene, shape: tuple[int, int], corner: np.ndarray, R: np.ndarray, t: np.ndarray
) -> np.ndarray:
    """The upper teeth (h,w,4) premultiplied RGBA: a flat patch fixed to the skull."""
    size = scene.background.shape[0]
    anchors = LIPS_INNER[[0, 5, 10]]  # corner, middle, corner of the upper lip
    skull = scene.head.smiling[anchors] - [0, 0, TEETH_DEPTH]
    target = project(skull @ R.T + t, size) - corner
    source = scene.head.texture[anchors] * size / SIZE
    matrix = cv2.getAffineTransform(source.astype(np.float32), target.astype(np.float32))
    return cv2.warpAffine(scene.teeth, matrix, shape[::-1], flags=cv2.INTER_LINEAR)


def warp_person(scene: Scene, points: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """The person (h,w,4) premultiplied RGBA in the moving window, vertices at `points` (N,2) px.

    Paints the triangles' numbers from far to near, then looks each pixel's place in the portrait
    up with its triangle's affine map. Holes (mouth, eyes) go first, so that skin covers shut ones.
    """
    head, size = scene.head, scene.background.shape[0]
    rows, columns = scene.moving
    corner = np.array([columns.start, rows.start])
    triangles = head.triangles[head.moves]
    corners = points[triangles]
    order = np.lexsort((-depth[triangles].mean(axis=1), ~head.hole[head.moves]))
    still = -1  # picks the last map, the identity
    owner = np.full((rows.stop - rows.start, columns.stop - columns.start), still, np.int32)
    polygons = ((corners - corner - 0.5) * 2**SUBPIXEL_BITS).round().astype(np.int32)
    for index in order.tolist():
        cv2.fillConvexPoly(owner, polygons[index], index, shift=SUBPIXEL_BITS)

    maps = affine_maps(corners, head.texture[triangles] * size / SIZE)
    maps = np.concatenate([maps, np.eye(2, 3, dtype=np.float32)[None]])[owner]
    x = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :, None] + 0.5
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None, None] + 0.5
    source = maps[..., 0] * x + maps[..., 1] * y + maps[..., 2] - 0.5
    return cv2.remap(scene.person, source, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def affine_maps(corners: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """Affine maps (F,2,3) float32 that take triangles `corners` (F,3,2) to `texture` (F,3,2)."""
    edges = (corners[:, 1:] - corners[:, :1]).transpose(0, 2, 1)
    targets = (texture[:, 1:] - texture[:, :1]).transpose(0, 2, 1)
    area = np.linalg.det(edges)
    flat = np.abs(area) < 1e-3  # shut to a line: any map will do, take the first corner's
    edges[flat] = np.eye(2)
    linear = targets @ np.linalg.inv(edges)
    linear[flat] = 0
    offset = texture[:, 0] - (linear @ corners[:, 0, :, None])[..., 0]
    return np.concatenate([linear, offset[..., None]], axis=2).astype(np.float32)

"""A deformable 3D head over the portrait: vertices, known expression, known pose.

The portrait becomes a textured triangle mesh: the FaceMesh points and a grid around them, with a
depth for each. At rest pose a vertex projects to its own place in the portrait. Four linear
displacement fields make the expressions; the head turns rigidly, fading to the still torso
(linear blend skinning). Lengths in metres; camera space is x right, y down, z forward.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import Delaunay

from d3talker.demo.portrait import SIZE, Portrait, head_mask, hull_mask
from d3talker.face.model import (
    LEFT_EAR,
    LEFT_EYE,
    LEFT_EYE_CORNER,
    LIPS_INNER,
    RIGHT_EAR,
    RIGHT_EYE,
    RIGHT_EYE_CORNER,
)

EXPRESSIONS = ("jaw", "spread", "blink", "brow")
FOCAL_PER_SIZE = 2.0  # focal length in units of the frame's side
EYE_DISTANCE = 0.09  # m between the outer eye corners
HEAD_DEPTH = 0.11  # m from the tip of the nose back to the head's centre
GRID = 20  # px between the vertices around the face
NECK_FADE = 42  # px over which the head's motion fades to the torso
JAW_ANGLE = 0.2  # rad of jaw rotation at full opening, about 20 mm between the lips
RESTING_SPREAD = -0.5  # takes the portrait's smile back
LIPS_UPPER, LIPS_LOWER = LIPS_INNER[:11], np.r_[LIPS_INNER[0], LIPS_INNER[:9:-1]]
EYELIDS = tuple(  # (upper, lower) of each eye, outer to inner corner
    (np.r_[eye[0], eye[:7:-1]], eye[:9]) for eye in (RIGHT_EYE, LEFT_EYE)
)
BROWS = (105, 334)  # the middle of each brow
NOSE_TIP = 4
FRONTAL = np.diag([1.0, -1.0, -1.0])  # HEAD to camera axes of a face that looks at the camera


@dataclass(frozen=True)
class Shape:
    """Factors of a person's proportions: width and length of the face, width of the jaw, size of
    the nose."""

    width: float = 1.0
    length: float = 1.0
    jaw: float = 1.0
    nose: float = 1.0


@dataclass(frozen=True)
class Head:
    """A person's mesh. Vertices 0-467 are the FaceMesh points.

    texture (N,2) px of the portrait; triangles (F,3); hole (F,) bool: triangles between the lips
    or the lids; moves (F,) bool: triangles that ever move; smiling (N,3) m: the vertices as
    photographed, neutral (N,3) m: the face at rest, expressions (4,N,3) m, all in HEAD space;
    follow (N,): share of the head's motion; center (3,) m: origin of HEAD space in camera space
    at rest.
    """

    texture: np.ndarray
    triangles: np.ndarray
    hole: np.ndarray
    moves: np.ndarray
    smiling: np.ndarray
    neutral: np.ndarray
    expressions: np.ndarray
    follow: np.ndarray
    center: np.ndarray


def build_head(portrait: Portrait, shape: Shape) -> Head:
    """Mesh, depth and displacement fields of a person made from `portrait`."""
    points, outside = add_surround(portrait)
    metres = EYE_DISTANCE / np.linalg.norm(points[RIGHT_EYE_CORNER] - points[LEFT_EYE_CORNER])
    distance = FOCAL_PER_SIZE * SIZE * metres
    camera = np.empty_like(points)
    camera[:, 2] = distance + points[:, 2] * metres
    centred = points[:, :2] - SIZE / 2
    camera[:, :2] = centred * camera[:, 2:] / (FOCAL_PER_SIZE * SIZE)

    triangles = Delaunay(points[:, :2]).simplices
    openings = (LIPS_INNER, RIGHT_EYE, LEFT_EYE)
    hole = np.any([np.isin(triangles, ring).all(axis=1) for ring in openings], axis=0)
    follow = sample(fade(head_mask(portrait), NECK_FADE), points)
    moves = (follow[triangles] > 0).any(axis=1)
    camera = reshape_face(camera, shape, follow)

    ears = camera[[RIGHT_EAR, LEFT_EAR]].mean(axis=0)
    center = np.array([ears[0], ears[1], camera[NOSE_TIP, 2] + HEAD_DEPTH])
    vertices = (camera - center) @ FRONTAL
    fields = expression_fields(vertices, outside)
    neutral = vertices + slit_field(vertices, LIPS_UPPER, LIPS_LOWER, 0.3, 0.012, 0.025)
    neutral = neutral + RESTING_SPREAD * fields[1]
    return Head(points[:, :2], triangles, hole, moves, vertices, neutral, fields, follow, center)


def add_surround(portrait: Portrait) -> tuple[np.ndarray, np.ndarray]:
    """The face points and a grid around them (N,3) px, and each one's distance (N,) px from the
    face. The surround recedes from the rim of the face as a head does."""
    face = portrait.points.astype(float)
    beyond = cv2.distanceTransform(
        (hull_mask(portrait.points) == 0).astype(np.uint8), cv2.DIST_L2, 5
    )
    steps = np.arange(-GRID, SIZE + GRID + 1, GRID)
    grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2).astype(float)
    grid = grid[sample(beyond, grid) > GRID / 2]
    rim = cv2.convexHull(portrait.points[:, :2].copy(), returnPoints=False)[:, 0]
    gap = np.linalg.norm(grid[:, None] - face[None, rim, :2], axis=2)
    nearness = 1 / gap**2
    z = nearness @ face[rim, 2] / nearness.sum(axis=1) + 0.6 * np.minimum(gap.min(axis=1), 90)
    points = np.vstack([face, np.column_stack([grid, z])])
    return points, np.r_[np.zeros(len(face)), gap.min(axis=1)]


def sample(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Values of `image` at the nearest pixels to `points` (N,2+), clamped to the frame."""
    columns, rows = np.clip(points[:, :2].astype(int), 0, SIZE - 1).T
    return image[rows, columns].astype(float)


def fade(mask: np.ndarray, reach: float) -> np.ndarray:
    """1 on `mask`, falling smoothly to 0 at `reach` px from it."""
    away = cv2.distanceTransform((mask == 0).astype(np.uint8), cv2.DIST_L2, 5)
    return 1 - smoothstep(away / reach)


def smoothstep(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, and smooth between."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def reshape_face(camera: np.ndarray, shape: Shape, follow: np.ndarray) -> np.ndarray:
    """Change the proportions of vertices (N,3) in camera space, fading out as `follow` does."""
    nose = camera[NOSE_TIP]
    eyes = camera[[RIGHT_EYE_CORNER, LEFT_EYE_CORNER]].mean(axis=0)
    low = smoothstep((camera[:, 1] - eyes[1]) / 0.08)
    near_nose = np.exp(-((camera[:, :2] - nose[:2]) ** 2).sum(axis=1) / (2 * 0.014**2))
    grow_x = (shape.width - 1) + low * (shape.jaw - 1) + near_nose * (shape.nose - 1)
    grow_y = (shape.length - 1) * smoothstep(np.abs(camera[:, 1] - eyes[1]) / 0.04)
    moved = camera.copy()
    moved[:, 0] += follow * grow_x * (camera[:, 0] - nose[0])
    moved[:, 1] += follow * grow_y * (camera[:, 1] - eyes[1])
    return moved


def expression_fields(vertices: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Displacements (4,N,3) m in HEAD space at full value of each of EXPRESSIONS."""
    skin = 1 - smoothstep(outside / 60)[:, None]  # the neck follows the chin for 60 px
    brow = np.zeros_like(vertices)
    for middle in BROWS:
        offset = (vertices[:, :2] - vertices[middle, :2]) / (0.022, 0.014)
        brow[:, 1] += 0.004 * np.exp(-0.5 * (offset**2).sum(axis=1))
    blink = sum(slit_field(vertices, *lids, 0.9, 0.007, 0.004) for lids in EYELIDS)
    return np.stack([jaw_field(vertices) * skin, lip_width_field(vertices) * skin, blink, brow])


def slit_across(
    vertices: np.ndarray, upper: np.ndarray, lower: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Where vertices lie on a slit (mouth or eye) between two contours of vertex indices.

    Returns (gap (N,3) m from the lower to the upper contour at the vertex's x; above and below
    (N,) m: distance beyond the upper and the lower contour, negative on the other side; is_upper
    (N,) bool: the vertex belongs to the upper side). The contours extend horizontally.
    """
    x, y = vertices[:, 0], vertices[:, 1]

    def contour(indices: np.ndarray) -> np.ndarray:
        order = indices[np.argsort(vertices[indices, 0])]
        known = vertices[order]
        return np.column_stack([x, *(np.interp(x, known[:, 0], known[:, k]) for k in (1, 2))])

    top, bottom = contour(upper), contour(lower)
    above, below = y - top[:, 1], bottom[:, 1] - y
    return top - bottom, np.maximum(above, 0), np.maximum(below, 0), above > below


def slit_field(
    vertices: np.ndarray,
    upper: np.ndarray,
    lower: np.ndarray,
    share: float,
    reach_up: float,
    reach_down: float,
) -> np.ndarray:
    """Displacement (N,3) m that shuts a slit: the upper contour makes `share` of the way, the
    lower the rest; skin beyond follows within the reach in metres."""
    gap, above, below, is_upper = slit_across(vertices, upper, lower)
    down = -share * np.exp(-((above / reach_up) ** 2))
    up = (1 - share) * np.exp(-((below / reach_down) ** 2))
    return np.where(is_upper, down, up)[:, None] * gap


def jaw_field(vertices: np.ndarray) -> np.ndarray:
    """Displacement (N,3) m of the open jaw: a rotation about the hinge between the ears, full
    for chin and lower lip, none for the upper lip, half at the corners of the mouth."""
    reach = 0.022  # m above and below the lips
    _, above, below, is_upper = slit_across(vertices, LIPS_UPPER, LIPS_LOWER)
    left, right = vertices[LIPS_INNER[0], 0], vertices[LIPS_INNER[10], 0]
    across = (2 * vertices[:, 0] - left - right) / (right - left)
    slit = np.sqrt(np.clip(1 - across**2, 0, 1))
    depth = np.where(is_upper, -above, below)
    side = smoothstep(depth / (2 * reach) + 0.5)
    pull = slit * np.exp(-np.abs(depth) / reach)
    share = np.where(is_upper, side - side * pull, side + (1 - side) * pull)
    field = np.zeros_like(vertices)  # the hinge is at the origin of HEAD space
    field[:, 1] = -JAW_ANGLE * np.maximum(vertices[:, 2], 0)
    field[:, 2] = JAW_ANGLE * np.minimum(vertices[:, 1], 0)
    return share[:, None] * field


def lip_width_field(vertices: np.ndarray) -> np.ndarray:
    """Displacement (N,3) m of lips spread to the sides; its negative rounds and protrudes them."""
    mouth = vertices[LIPS_INNER].mean(axis=0)
    offset = vertices - mouth
    near = np.exp(-0.5 * ((offset[:, :2] / (0.028, 0.02)) ** 2).sum(axis=1))
    corner = np.clip(np.abs(offset[:, 0]) / 0.03, 0, 1.3) ** 2
    field = np.zeros_like(vertices)
    field[:, 0] = 0.34 * near * offset[:, 0]
    field[:, 1] = 0.003 * near * corner
    field[:, 2] = -0.006 * near * (1 - np.minimum(corner, 1))
    return field


def deform(head: Head, expression: np.ndarray) -> np.ndarray:
    """Vertices (N,3) in HEAD space for the four values of EXPRESSIONS."""
    return head.neutral + np.tensordot(expression, head.expressions, axes=1)


def place(head: Head, vertices: np.ndarray, R: np.ndarray, t: np.ndarray) -> np.ndarray:
    """HEAD-space vertices to camera space by pose R (3,3), t (3,); the torso stays."""
    moved = vertices @ R.T + t
    still = vertices @ FRONTAL + head.center
    return still + head.follow[:, None] * (moved - still)


def project(camera: np.ndarray, size: int) -> np.ndarray:
    """Camera-space points (N,3) to pixels (N,2) of a size x size frame."""
    return FOCAL_PER_SIZE * size * camera[:, :2] / camera[:, 2:] + size / 2

"""Where the Gaussians of a new head start: on the tracked face mesh and in the visual hull."""

import numpy as np
import torch
from scipy.spatial import cKDTree

from d3talker.avatar import Avatar
from d3talker.face.model import LIPS_INNER, SKIN, FaceModel
from d3talker.splat.gaussians import Gaussians
from d3talker.train.scene import Scene

HEAD_RADII = (0.105, 0.15, 0.10)  # m, half axes of the ellipsoid that holds head and hair
HEAD_SHIFT = (0.0, 0.03, -0.05)  # m, its centre from the centre of the face mesh
MOUTH_DEPTH = 0.025  # m behind the lips
MOUTH_COLOR = (0.3, 0.15, 0.15)
FULL_MOBILITY = 0.006  # m from the face mesh within which a Gaussian follows the fields fully
MOBILITY_FALLOFF = 0.012  # m, sigma-like width of the fading beyond


def initial_avatar(
    scene: Scene,
    shape: np.ndarray,
    model: FaceModel,
    face_points: int,
    mouth_points: int,
    seed: int,
) -> Avatar:
    """Static avatar of a person with neutral face `shape` (478,3) m.

    Half of `face_points` lie on the face mesh, half in the visual hull behind it.
    """
    rng = np.random.default_rng(seed)
    surface = surface_points(shape, model.triangles[model.region == SKIN], face_points // 2, rng)
    hull = hull_points(scene, shape, face_points - len(surface), rng)
    points = np.concatenate([surface, hull])
    face = Gaussians.from_points(points, seen_colors(scene, points), opacity=0.27)
    cavity = mouth_cavity(shape[LIPS_INNER], mouth_points, rng)
    mouth = Gaussians.from_points(
        cavity, np.tile(np.float32(MOUTH_COLOR), (len(cavity), 1)), opacity=0.27
    )
    return Avatar(face, mouth)


def surface_points(
    vertices: np.ndarray, triangles: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """`count` points spread evenly over a mesh: (count,3)."""
    corners = vertices[triangles]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    chosen = rng.choice(len(triangles), count, p=area / area.sum())
    weights = rng.dirichlet((1, 1, 1), count)
    return np.einsum("nk,nkc->nc", weights, corners[chosen])


def hull_points(
    scene: Scene, shape: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Up to `count` points of the head's ellipsoid that every head mask covers: (n,3).

    None lies in front of the face mesh's centre, where the mesh itself is.
    """
    centre = shape.mean(axis=0) + HEAD_SHIFT
    cube = rng.uniform(-1, 1, (8 * count, 3))
    points = centre + cube[(cube**2).sum(axis=1) < 1] * HEAD_RADII
    points = points[points[:, 2] < shape[:, 2].mean()]
    height, width = scene.heads.shape[1:]
    inside = np.ones(len(points), bool)
    for i in range(0, len(scene), max(1, len(scene) // 25)):
        x, y = project(scene, i, points)
        known = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        x, y = x.clip(0, width - 1), y.clip(0, height - 1)
        inside &= ~known | scene.heads[i, y, x]
    return points[inside][:count]


def project(scene: Scene, i: int, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixel columns and rows of head-space `points` (N,3) in the crop of item `i`: int (N,)."""
    camera = points @ scene.rotations[i].T + scene.translations[i]
    pixel = scene.focal * camera[:, :2] / camera[:, 2:] + scene.size / 2 - scene.origins[i]
    return tuple(np.floor(pixel).astype(int).T)


def seen_colors(scene: Scene, points: np.ndarray) -> np.ndarray:
    """Colours (N,3) in [0,1] of the pixels that cover `points` in the first frame."""
    height, width = scene.heads.shape[1:]
    x, y = project(scene, 0, points)
    return scene.images[0, y.clip(0, height - 1), x.clip(0, width - 1)] / 255.0


def mouth_cavity(lips: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` points in a box behind the inner lips (L,3): (count,3)."""
    low, high = lips.min(axis=0), lips.max(axis=0)
    half = np.array([0.45 * (high[0] - low[0]), 0.012, 0.0])
    middle = lips.mean(axis=0)
    points = middle + rng.uniform(-1, 1, (count, 3)) * half
    points[:, 2] = middle[2] - rng.uniform(0.002, MOUTH_DEPTH, count)
    return points


def mobility(means: torch.Tensor, shape: np.ndarray) -> torch.Tensor:
    """How far fields may move each Gaussian: 1 at the face mesh, fading to 0 in hair and ears.

    Without it the fields move hair with the mouth (1.2 dB, feasibility).
    """
    distance = cKDTree(shape).query(means.detach().cpu().numpy())[0]
    beyond = np.maximum(0, distance - FULL_MOBILITY) / MOBILITY_FALLOFF
    return torch.tensor(np.exp(-(beyond**2)), dtype=torch.float32)

"""Learn face_model.npz from the landmarks of many people.

    python resources/make_face_model.py --landmarks results/*/landmarks.npz --out face_model.npz

Runs in the `media` environment: the triangulation comes from MediaPipe. Each clip is one person,
speaking. With --leave-one-out it learns a model without each clip in turn, tells how well that one
reconstructs the clip, and writes nothing. The shipped model was learnt from the fifteen clips
that docs/preprocessing.md names. The steps:

1. Pose: all frames of a clip are aligned by iterated similarity Procrustes on bony points.
2. Rest: a person's face at rest is the median of the frames with the lips closest together.
   The people's faces at rest, aligned, each also mirrored, give mean and identity basis (PCA).
3. Scale: eye corners EYE_CORNERS_M apart. Axes: symmetry plane x = 0; pitch such that people
   on average look straight ahead. Origin midway between the ears.
4. Expression: displacements from the own face at rest, people weighted equally, each also
   mirrored; separate PCA below and above a soft border between nose and lower lids. FaceMesh's
   depth is noisy, so it counts less.
"""

import argparse
import sys
from collections import Counter, deque
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from d3talker.artifacts import load_arrays, save_arrays
from d3talker.cli import InputError, run
from d3talker.face import model as face
from d3talker.face.alignment import similarity
from d3talker.face.reconstruction import reconstruction_error

EYE_CORNERS_M = 0.09  # distance of the outer eye corners of the mean face
IDENTITY_COMPONENTS = 12
LOWER_COMPONENTS = 10
UPPER_COMPONENTS = 8
REST_FRACTION = 0.2  # frames with the smallest lip gap that define the face at rest
FRAMES_TESTED = 100  # about, of a clip that is left out
DEPTH_WEIGHT = 0.5  # of z in the expression PCA, against 1 for x and y
NOSE_BASE, LOWER_LID = 2, 145  # the soft border between lower and upper face lies between them


def align(points: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Align faces (T,478,3) to `target` (478,3) on the rigid points: (aligned, rotations)."""
    scale, rotation, shift = similarity(points[:, face.RIGID], target[face.RIGID])
    aligned = scale[:, None, None] * np.einsum("tij,tnj->tni", rotation, points) + shift[:, None]
    return aligned, rotation


def procrustes_mean(faces: np.ndarray, rounds: int = 5) -> np.ndarray:
    """Mean shape (478,3) of faces (T,478,3) under similarity, at the first's scale and pose."""
    mean = faces[0]
    for _ in range(rounds):
        mean = align(faces, mean)[0].mean(0)
        mean = align(mean[None], faces[0])[0][0]  # or scale and pose would drift
    return mean


def head_axes(path: str) -> np.ndarray:
    """Landmarks of the frames with a face, in HEAD axes and pixels: (T,478,3)."""
    arrays, _ = load_arrays(path)
    points = arrays["points"][arrays["valid"]].astype(np.float64)
    if len(points) < 25:
        raise InputError(f"{path}: {len(points)} frames with a face; at least 25 are needed")
    return points * [1, -1, -1]


def mirror_pairs(mean: np.ndarray) -> np.ndarray:
    """Index (478,) of each point's mirror image: point i mirrored in x lands on pairs[i]."""
    centred = mean - mean[face.RIGID].mean(0)
    distance = np.linalg.norm(centred[:, None] - centred[None] * [-1, 1, 1], axis=2)
    pairs = linear_sum_assignment(distance)[1]
    if (pairs[pairs] != np.arange(len(pairs))).any():
        raise InputError("the landmarks' mean face is too asymmetric to find mirrored points")
    return pairs


def mirrored(points: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Mirror faces or displacements (...,478,3) in x = 0."""
    return points[..., pairs, :] * [-1, 1, 1]


def normalise_person(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One person's face at rest (478,3) and all frames (T,478,3), posed alike, metric.

    The common pose is the person's average one.
    """
    aligned, rotation = align(points, procrustes_mean(points))
    u, _, vt = np.linalg.svd(rotation.mean(0))
    aligned = aligned @ (u @ vt)
    gap = np.linalg.norm(aligned[:, face.UPPER_LIP] - aligned[:, face.LOWER_LIP], axis=1)
    rest = np.median(aligned[gap <= np.quantile(gap, REST_FRACTION)], axis=0)
    scale = EYE_CORNERS_M / eye_distance(rest)
    return rest * scale, aligned * scale


def eye_distance(points: np.ndarray) -> float:
    """Distance of the outer eye corners of a face (478,3)."""
    return np.linalg.norm(points[face.LEFT_EYE_CORNER] - points[face.RIGHT_EYE_CORNER])


def symmetric_mean(rests: np.ndarray, rounds: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Mean (478,3) of the faces at rest (P,478,3) and their mirror images; and the mirror pairs.

    Metric, symmetric in x = 0, origin midway between the ears.
    """
    mean = np.mean([rest - rest[face.RIGID].mean(0) for rest in rests], axis=0)
    pairs = mirror_pairs(mean)
    mean = (mean + mirrored(mean, pairs)) / 2
    for _ in range(rounds):
        both = np.concatenate([rests, mirrored(rests, pairs)])
        mean = align(both, mean)[0].mean(0)
        mean *= EYE_CORNERS_M / eye_distance(mean)
        mean -= mean[[face.LEFT_EAR, face.RIGHT_EAR]].mean(0)
    return mean, pairs


def principal_components(
    samples: np.ndarray, weights: np.ndarray, count: int, right_half: np.ndarray
) -> np.ndarray:
    """First components (count,478,3) of samples (n,478,3), scaled to unit-variance coefficients.

    `weights` (n,) of the samples, summing to one. Depth counts DEPTH_WEIGHT. `right_half` (478,)
    marks the points of one half of the face, which fix the components' signs.
    """
    axes = np.array([1, 1, DEPTH_WEIGHT])
    centred = samples - np.einsum("n,npc->pc", weights, samples)
    flat = (centred * axes * np.sqrt(weights)[:, None, None]).reshape(len(samples), -1)
    values, vectors = np.linalg.eigh(flat.T @ flat)
    order = np.argsort(values)[::-1][:count]
    basis = vectors[:, order] * np.sqrt(values[order])
    # The sign of a component is arbitrary: let its largest movement be negative (a jaw drops).
    # Looked up in one half of the face, because in the other half it is as large.
    half = basis[np.repeat(right_half, 3)]
    basis *= -np.sign(half[np.abs(half).argmax(0), range(count)])
    return basis.T.reshape(count, -1, 3) / axes


def lower_face_mask(mean: np.ndarray) -> np.ndarray:
    """Weight (478,) of the lower face: 1 below the nose, falling smoothly to 0 at the lids."""
    low, high = mean[NOSE_BASE, 1], mean[LOWER_LID, 1]
    ramp = np.clip((high - mean[:, 1]) / (high - low), 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def triangulate(edges: frozenset, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (F,3) of MediaPipe's tesselation, wound outward, holes closed; and region (F,)."""
    following: dict[int, set] = {}
    for a, b in edges:
        following.setdefault(a, set()).add(b)
    # Each triangle is listed as a directed cycle of three edges.
    cycles = {tuple(sorted((a, b, c))) for a, b in edges for c in following[b] if a in following[c]}
    count = edge_count(cycles)
    # A cycle around a vertex of three triangles is no triangle: all its edges are used already.
    skin = {t for t in cycles if any(count[edge] < 3 for edge in combinations(t, 2))}
    count = edge_count(skin)
    triangles, region = sorted(skin), [face.SKIN] * len(skin)
    for loop in boundary_loops([edge for edge, n in count.items() if n == 1]):
        if face.LEFT_EAR in loop:
            continue  # the outline of the face
        kind = face.INNER_MOUTH if face.UPPER_LIP in loop else face.EYE_HOLE
        strip = close_loop(loop, mean)
        triangles += strip
        region += [kind] * len(strip)
    return wind_outward(np.array(triangles), mean), np.array(region, np.uint8)


def edge_count(triangles: set[tuple[int, int, int]]) -> Counter:
    """Number of triangles at each edge (a, b), a < b; triangles have their vertices in order."""
    return Counter(edge for triangle in triangles for edge in combinations(triangle, 2))


def boundary_loops(edges: list[tuple[int, int]]) -> list[list[int]]:
    """Closed loops of vertices made of the given edges."""
    neighbours: dict[int, list] = {}
    for a, b in edges:
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    loops, seen = [], set()
    for start in sorted(neighbours):
        if start in seen:
            continue
        loop = [start]
        seen.add(start)
        while step := [v for v in neighbours[loop[-1]] if v not in seen]:
            loop.append(step[0])
            seen.add(step[0])
        loops.append(loop)
    return loops


def close_loop(loop: list[int], mean: np.ndarray) -> list[tuple[int, int, int]]:
    """Triangles across an eye or mouth opening, between its upper and its lower rim."""
    corner = int(np.argmin(mean[loop, 0]))
    loop = loop[corner:] + loop[:corner]
    half = len(loop) // 2
    strip = []
    for i in range(half):
        a, b, c, d = loop[i], loop[i + 1], loop[-i], loop[-i - 1]
        strip += [t for t in ((a, b, d), (a, d, c)) if len(set(t)) == 3]
    return strip


def wind_outward(triangles: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Give neighbouring triangles the same winding, the whole with normals towards +z."""
    by_edge: dict[frozenset, list[int]] = {}
    for index, triangle in enumerate(triangles):
        for edge in combinations(triangle, 2):
            by_edge.setdefault(frozenset(edge), []).append(index)
    wound = {0: tuple(triangles[0])}
    queue = deque([0])
    while queue:
        a, b, c = wound[index := queue.popleft()]
        for edge in ((a, b), (b, c), (c, a)):
            for other in by_edge[frozenset(edge)]:
                if other not in wound:
                    third = (set(triangles[other]) - set(edge)).pop()
                    wound[other] = (edge[1], edge[0], third)
                    queue.append(other)
    result = np.array([wound[i] for i in range(len(triangles))], np.int32)
    corner = mean[result]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    return result if normal[:, 2].sum() > 0 else result[:, ::-1].copy()


def learn(clips: list[np.ndarray], edges: frozenset) -> dict[str, np.ndarray]:
    """All arrays of the face model from one landmark array (T,478,3), HEAD axes, per person."""
    people = [normalise_person(points) for points in clips]
    mean, pairs = symmetric_mean(np.stack([rest for rest, _ in people]))
    rests, moves, weights = [], [], []
    for rest, frames in people:
        scale, rotation, shift = similarity(rest[None, face.RIGID], mean[face.RIGID])
        rests.append(scale[0] * rest @ rotation[0].T + shift[0])
        move = scale[0] * (frames - rest) @ rotation[0].T
        moves += [move, mirrored(move, pairs)]
        weights += [np.full(2 * len(move), 0.5 / len(move) / len(people))]
    rests, moves = np.stack(rests), np.concatenate(moves)
    rests = np.concatenate([rests, mirrored(rests, pairs)])
    weights = np.concatenate(weights)

    lower = lower_face_mask(mean)[:, None]
    right = mean[:, 0] < 0
    equal = np.full(len(rests), 1 / len(rests))
    identity = principal_components(rests, equal, IDENTITY_COMPONENTS, right)
    lower_basis = principal_components(moves * lower, weights, LOWER_COMPONENTS, right)
    upper_basis = principal_components(moves * (1 - lower), weights, UPPER_COMPONENTS, right)
    triangles, region = triangulate(edges, mean)
    arrays = {
        "mean": mean,
        "identity": identity,
        "expression": np.concatenate([lower_basis, upper_basis]),
    }
    return {
        **{name: value.astype(np.float32) for name, value in arrays.items()},
        "triangles": triangles,
        "region": region,
    }


def leave_one_out(paths: list[str], clips: list[np.ndarray], edges: frozenset) -> None:
    """Print how well each clip is reconstructed by a model that was learnt from the others."""
    errors = []
    for i, path in enumerate(paths):
        arrays = learn(clips[:i] + clips[i + 1 :], edges)
        model = face.FaceModel(**arrays, lower=LOWER_COMPONENTS)
        frames = clips[i][:: max(1, len(clips[i]) // FRAMES_TESTED)] * [1, -1, -1]
        errors.append(reconstruction_error(model, frames))
        print(f"{100 * errors[-1]:.2f} % of the eye distance: {path}", flush=True)
    print(f"{100 * np.mean(errors):.2f} % on average, {100 * max(errors):.2f} % at worst")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--landmarks", nargs="+", required=True, help="landmarks.npz, one a person")
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--out", help="face_model.npz to write")
    wanted.add_argument("--leave-one-out", action="store_true", help="measure instead")
    args = parser.parse_args()

    from mediapipe.python.solutions.face_mesh_connections import FACEMESH_TESSELATION

    clips = [head_axes(path) for path in args.landmarks]
    if args.leave_one_out:
        leave_one_out(args.landmarks, clips, FACEMESH_TESSELATION)
        return
    arrays = learn(clips, FACEMESH_TESSELATION)
    meta = {"lower": LOWER_COMPONENTS, "people": len(args.landmarks), "unit": "m"}
    save_arrays(args.out, meta, **arrays)


if __name__ == "__main__":
    run(main)

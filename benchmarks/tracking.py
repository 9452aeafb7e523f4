"""Compare the tracker with per-frame PnP: how much poses jitter and how well points reproject.

    .envs/torch/bin/python -m benchmarks.tracking --landmarks results/anna/landmarks.npz

Each frame of the baseline is solved alone by cv2.solvePnP (iterative), on the same landmarks and
with the same focal length. It gets four faces to place, from the usual to the unfairly good:

| face | what it is |
|---|---|
| mean | the model's mean face, in all frames |
| person | the person's face at rest as the tracker found it, in all frames |
| person, bone | the same, placed by the points that do not move with expressions |
| expression | the tracker's face of that very frame |

Jitter is the mean norm of the second difference of the rotation; the error is the mean distance
of the points. The table compares both over the same points: all, or the bony ones.
"""

import argparse
import resource
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks import machine
from d3talker.artifacts import load_arrays
from d3talker.face.model import POINTS, RIGID, FaceModel
from d3talker.face.tracking import Track, initial_pose, project, track_face, tracked_faces

FACE_MODEL = Path(__file__).parents[1] / "resources" / "face_model.npz"
EVERY = np.arange(POINTS)


class Row(NamedTuple):
    """One way to pose the head: jitter in degrees, errors in px over all and over bony points."""

    name: str
    jitter: float
    error: float
    bone_error: float


def rotation_jitter(R: np.ndarray, valid: np.ndarray) -> float:
    """Mean |log(R2 R1') - log(R1 R0')| in degrees over consecutive frames of R (T,3,3).

    Frames that are not `valid` (T,), and their neighbours, count nothing.
    """
    turn = Rotation.from_matrix(R[1:] @ R[:-1].transpose(0, 2, 1)).as_rotvec()
    seen = valid[2:] & valid[1:-1] & valid[:-2]
    return float(np.degrees(np.linalg.norm(np.diff(turn, axis=0), axis=1)[seen].mean()))


def pnp_poses(
    faces: np.ndarray, points: np.ndarray, size: int, focal: float, used: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """R (T,3,3), t (T,3) of each frame alone: faces (T,478,3) m, points (T,478,3) px of a size x
    size frame, `used` indices of the points that count.

    Each frame starts from its own weak-perspective pose, or some faces would come out mirrored.
    """
    R, t = initial_pose(faces[0], points, size, focal)
    target = np.ascontiguousarray(points[:, used, :2], np.float64) - size / 2
    camera = np.diag([focal, focal, 1.0])
    for i, face in enumerate(np.ascontiguousarray(faces[:, used])):
        turn, shift = cv2.Rodrigues(R[i])[0], t[i, :, None].copy()
        method = {"useExtrinsicGuess": True, "flags": cv2.SOLVEPNP_ITERATIVE}
        _, turn, shift = cv2.solvePnP(face, target[i], camera, None, turn, shift, **method)
        R[i], t[i] = cv2.Rodrigues(turn)[0], shift[:, 0]
    return R, t


def compare(model: FaceModel, track: Track, points: np.ndarray, size: int) -> list[Row]:
    """The tracker's row and those of PnP; points (T,478,3) px."""
    target = points[..., :2].astype(np.float64) - size / 2
    own = tracked_faces(model.astype(np.float64), track, slice(None))
    mean = np.broadcast_to(model.mean.astype(np.float64), own.shape)
    person = np.broadcast_to(track.shape, own.shape)

    def row(name: str, faces: np.ndarray, R: np.ndarray, t: np.ndarray) -> Row:
        distance = np.linalg.norm(project(faces, R, t, track.focal) - target, axis=2)
        distance = distance[track.valid]
        return Row(
            name, rotation_jitter(R, track.valid), distance.mean(), distance[:, RIGID].mean()
        )

    rows = [row("tracker", own, track.R, track.t)]
    for name, faces, used in (
        ("PnP, mean", mean, EVERY),
        ("PnP, person", person, EVERY),
        ("PnP, person, bone", person, RIGID),
        ("PnP, expression", own, EVERY),
    ):
        rows.append(row(name, faces, *pnp_poses(faces, points, size, track.focal, used)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--landmarks", required=True, help="landmarks.npz of a clip")
    parser.add_argument("--face-model", default=FACE_MODEL, help="face_model.npz")
    parser.add_argument("--repeat", type=int, default=1, help="join the clip to itself, for speed")
    args = parser.parse_args()
    arrays, meta = load_arrays(args.landmarks)
    model = FaceModel.load(args.face_model)
    points = np.tile(arrays["points"], (args.repeat, 1, 1))
    valid = np.tile(arrays["valid"], args.repeat)
    track_face(model, points[:50], np.ones(50, bool), meta["size"])  # compiles

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    track = track_face(model, points, valid, meta["size"])
    seconds = time.process_time() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{machine.name()}: {len(points)} frames,", end=" ")
    print(f"{seconds:.1f} s of CPU, {1e3 * seconds / len(points):.2f} ms a frame,", end=" ")
    print(f"{(after - before) / 1024:.0f} MB more than before ({after / 1024:.0f} MB in all)\n")
    if args.repeat == 1:
        print(f"{'':20}  jitter, deg  error, px  of bone, px")
        for name, jitter, error, bone in compare(model, track, points, meta["size"]):
            print(f"{name:20} {jitter:12.4f} {error:10.3f} {bone:12.3f}")


if __name__ == "__main__":
    main()

"""The tracker on the demo people, of whom everything is known.

Their true points show what the tracker can do; the points that FaceMesh finds in their pictures
show what remains of it. FaceMesh was never shown a warped photograph: it sees a fifth of their
head's motion less and a wide open mouth less open than it is, so bounds are wider there. Not even
PnP of their true faces could tell rotations to half a degree from those points.
"""

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")
from scipy.spatial.transform import Rotation

from benchmarks.tracking import pnp_poses
from d3talker.artifacts import load_arrays
from d3talker.face.alignment import similarity
from d3talker.face.model import FACE_POINTS, IRISES, LEFT_EYE, RIGHT_EYE, FaceModel
from d3talker.face.tracking import (
    REFERENCE_SIZE,
    Track,
    TrackSettings,
    head_points,
    mouth_opening,
    project,
    track_face,
    tracked_faces,
)

ROOT = Path(__file__).parents[2]
MODEL = FaceModel.load(ROOT / "resources" / "face_model.npz").astype(np.float64)
MEDIA = ROOT / ".envs" / "media" / "bin" / "python"  # draws the people and finds their points
SIZE = 384  # px; to draw larger people takes long
SCALE = SIZE / REFERENCE_SIZE
PEOPLE = ("ada", "pretrain/ben")
FACE = np.arange(FACE_POINTS)

Clip = tuple[dict[str, np.ndarray], np.ndarray]  # truth, landmarks (T,478,3) px


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> list[Clip]:
    """The demo people and the points that FaceMesh finds."""
    if not MEDIA.exists():
        pytest.skip("the demo people need the environment media")
    out = tmp_path_factory.mktemp("people")

    def run(stage: str, *arguments: str | Path) -> None:
        subprocess.run([MEDIA, ROOT / "stages" / f"{stage}.py", *arguments], check=True)

    run("make_demo_people", "--out", out, "--size", str(SIZE), "--seconds", "5", "--people", "2")
    clips = []
    for name in PEOPLE:
        run("landmarks", "--video", out / f"{name}.mp4", "--out", out / "landmarks.npz")
        truth, _ = load_arrays(out / "truth" / f"{Path(name).name}.npz")
        clips.append((truth, load_arrays(out / "landmarks.npz")[0]["points"]))
    return clips


@pytest.fixture(scope="module")
def true(found) -> list[Clip]:
    """The demo people and their true points."""
    return [(truth, true_points(truth)) for truth, _ in found]


def true_points(truth: dict[str, np.ndarray]) -> np.ndarray:
    """Landmarks (T,478,3) px without any error. The irises, which the demo people do not have as
    points, are put into the middle of the eyes."""
    faces = np.empty((len(truth["faces"]), len(MODEL.mean), 3))
    faces[:, :FACE_POINTS] = truth["faces"]
    for eye, iris in ((RIGHT_EYE, IRISES[:5]), (LEFT_EYE, IRISES[5:])):
        middle = truth["faces"][:, eye].mean(1, keepdims=True)
        faces[:, iris] = middle + MODEL.mean[iris] - MODEL.mean[eye].mean(0)
    depth = (faces @ truth["R"].transpose(0, 2, 1))[..., 2:] * truth["focal"] / truth["t"][0, 2]
    pixels = project(faces, truth["R"], truth["t"], float(truth["focal"])) + SIZE / 2
    return np.concatenate([pixels, depth], axis=2)


def track(points: np.ndarray, focal: float = SCALE * TrackSettings.focal) -> Track:
    """The tracked face where the focal length is set to `focal` px."""
    every = np.ones(len(points), bool)
    return track_face(MODEL, points, every, SIZE, replace(TrackSettings(), focal=focal / SCALE))


def rotation_error(track: Track, R: np.ndarray) -> float:
    """Mean angle in degrees between tracked and true rotations, but for one turn of HEAD space
    that is common to all frames: which way a face at rest looks is a matter of definition."""
    turn = Rotation.from_matrix(R.transpose(0, 2, 1) @ track.R).mean().as_matrix()
    return np.degrees(
        Rotation.from_matrix(track.R @ turn.T @ R.transpose(0, 2, 1)).magnitude().mean()
    )


def to_true_space(
    track: Track, truth: dict[str, np.ndarray]
) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, rotation, shift that take the true HEAD space to the tracked one, the same in all
    frames: no single camera tells how large a head is."""
    faces = tracked_faces(MODEL, track, slice(None))[:, :FACE_POINTS]
    scale, rotation, shift = similarity(truth["faces"].reshape(1, -1, 3), faces.reshape(-1, 3))
    return scale[0], rotation[0], shift[0]


def translation_error(track: Track, truth: dict[str, np.ndarray]) -> float:
    """Mean error of the head's place in the camera, as a fraction of its distance."""
    scale, _, shift = to_true_space(track, truth)
    place = (track.R @ shift + track.t) / scale
    error = np.linalg.norm(place - truth["t"], axis=1) / np.linalg.norm(truth["t"], axis=1)
    return error.mean()


def geometry_error(track: Track, truth: dict[str, np.ndarray]) -> float:
    """Mean error of the points about the head's centre, as a fraction of the eye distance."""
    scale, rotation, shift = to_true_space(track, truth)
    faces = tracked_faces(MODEL, track, slice(None))[:, :FACE_POINTS]
    error = np.linalg.norm((faces - shift) @ rotation / scale - truth["faces"], axis=2)
    return error.mean() / np.linalg.norm(truth["faces"][0, 33] - truth["faces"][0, 263])


def mouth_correlation(track: Track, points: np.ndarray, truth: dict[str, np.ndarray]) -> float:
    seen = mouth_opening(head_points(MODEL, track, points, SIZE))
    return np.corrcoef(seen, truth["mouth_opening"])[0, 1]


def test_pose_is_recovered_from_true_points_where_the_focal_length_is_given(true):
    for truth, points in true:
        tracked = track(points, float(truth["focal"]))
        assert rotation_error(tracked, truth["R"]) < 0.5
        assert translation_error(tracked, truth) < 0.02


@pytest.mark.parametrize("focal", [750.0, TrackSettings.focal, 1400.0])
def test_a_wrong_focal_length_hardly_harms_geometry_and_reprojection(true, focal):
    for truth, points in true:
        tracked = track(points, SCALE * focal)
        assert tracked.reprojection_error.mean() < 0.6 * SCALE
        assert geometry_error(tracked, truth) < 0.02


def test_mouth_opening_is_recovered_from_true_points(true):
    for truth, points in true:
        assert mouth_correlation(track(points), points, truth) > 0.98


def test_from_what_facemesh_finds_less_is_recovered(found):
    for truth, points in found:
        tracked = track(points, float(truth["focal"]))
        faces = np.zeros_like(points, dtype=np.float64)
        faces[:, :FACE_POINTS] = truth["faces"]
        informed = replace(tracked, R=pnp_poses(faces, points, SIZE, tracked.focal, FACE)[0])
        assert rotation_error(tracked, truth["R"]) < 1.4 * rotation_error(informed, truth["R"])
        assert translation_error(tracked, truth) < 0.02
        assert tracked.reprojection_error.mean() < 0.6 * SCALE
        assert geometry_error(tracked, truth) < 0.04
        assert mouth_correlation(tracked, points, truth) > 0.93

"""The Basel Face Model's tracker on a made-up model of its shape, of which everything is known."""

import io
import pickle
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
scipy_io = pytest.importorskip("scipy.io")

from bfm_models import FACE_MODEL, ORIGIN, basel_like  # noqa: E402
from scipy.spatial.transform import Rotation  # noqa: E402

from d3talker.artifacts import ArtifactError, save_arrays  # noqa: E402
from d3talker.cli import InputError  # noqa: E402
from d3talker.face import bfm_tracking  # noqa: E402
from d3talker.face.bfm import EXPRESSION, load_bfm  # noqa: E402
from d3talker.face.bfm_head import head_placement, in_bfm_camera  # noqa: E402
from d3talker.face.bfm_tracking import BfmSettings, track_bfm  # noqa: E402
from d3talker.face.model import FaceModel  # noqa: E402
from d3talker.face.tracking import HEAD_TO_CAMERA, Track, project, tracked_faces  # noqa: E402
from stages import convert_bfm  # noqa: E402

FRAMES, SIZE, FOCAL = 30, 256, 500.0  # 1000 px at 512
QUICK = BfmSettings(
    focals=(600, 1000, 1400), every=15, search_pose=120, search_all=250, search_slower=180,
    coarse_pose=120, coarse_pose_slower=90, coarse_all=200, coarse_slower=120,
)  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return basel_like()


def true_motion() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Head poses R (T,3,3), t (T,3) m of an OpenCV camera, and expressions (T,79)."""
    time = np.arange(FRAMES) / 25
    turns = [15 * np.sin(4 * time), 20 * np.sin(3 * time), 6 * np.cos(5 * time)]
    R = (
        HEAD_TO_CAMERA
        @ Rotation.from_euler("xyz", np.stack(turns, axis=1), degrees=True).as_matrix()
    )
    t = np.stack([0.03 * np.sin(time), 0.02 * np.cos(2 * time), 0.75 + 0.04 * np.sin(3 * time)], 1)
    weights = np.random.default_rng(1).normal(size=EXPRESSION)
    return R, t, np.sin(6 * time)[:, None] * weights


def seen(model, R, t, expression) -> np.ndarray:
    """Landmarks (T,68,2) px, of points that the mean identity has. Written without the tracker."""
    faces = model.mean + np.tensordot(expression, model.expression, 1)
    pixels = project(faces, R, t, FOCAL) + SIZE / 2
    points = pixels[:, model.keypoints]
    for first, contour, side in ((0, model.left_contour, -1), (9, model.right_contour, 1)):
        for number, candidates in enumerate(contour):
            chosen = (side * pixels[:, candidates, 0]).argmax(axis=1)
            points[:, first + number] = pixels[np.arange(FRAMES), candidates[chosen]]
    return points


@pytest.fixture(scope="module")
def tracked(model):
    """What the tracker finds of a clip in which three frames have no face."""
    R, t, expression = true_motion()
    points, valid = seen(model, R, t, expression), np.ones(FRAMES, bool)
    valid[12:15], points[12:15] = False, 0
    return track_bfm(model, points, valid, SIZE, QUICK), valid


def angles(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.degrees(Rotation.from_matrix(a @ b.transpose(0, 2, 1)).magnitude())


def test_known_poses_and_the_focal_length_are_recovered(tracked):
    found, valid = tracked
    R, t, _ = true_motion()
    assert found.focal == FOCAL
    # Bases may turn a face a little as well.
    assert angles(found.R, R)[valid].mean() < 2 and angles(found.R, R).max() < 5
    assert np.abs(found.t - t)[valid, :2].mean() < 0.003
    assert np.abs(found.t[valid, 2] / t[valid, 2] - 1).mean() < 0.03
    assert np.nanmean(found.error) < 1 and (np.isnan(found.error) == ~valid).all()
    assert found.expression.shape == (FRAMES, 79) and found.identity.shape == (100,)


def test_angles_turn_as_in_the_field():
    a = torch.tensor([0.3, -0.2, 0.5])
    x, y, z = (Rotation.from_rotvec(axis * float(angle)).as_matrix()
               for axis, angle in zip(np.eye(3), a, strict=True))  # fmt: skip
    assert bfm_tracking.rotation(a).numpy() == pytest.approx(x @ y @ z.T, abs=1e-6)


def test_the_track_lies_in_head_space_with_the_poses_of_the_basel_face_model(model, tracked):
    found, valid = tracked
    face = FaceModel.load(FACE_MODEL).astype(np.float64)
    turn, shift = head_placement(model, face)
    assert turn == pytest.approx(np.eye(3), abs=1e-5) and shift == pytest.approx(ORIGIN, abs=1e-5)
    # The face mesh's tracker sees the same head, but a tenth smaller and nearer, and turned.
    R, t, _ = true_motion()
    other = Rotation.from_euler("x", 7, degrees=True).as_matrix()
    track = Track(
        focal=FOCAL, R=R @ other.T, t=0.9 * (t - R @ ORIGIN), shape=0.9 * face.mean @ other.T,
        identity=np.zeros(1), expression=np.zeros((FRAMES, len(face.expression))),
        reprojection_error=np.zeros(FRAMES), valid=np.ones(FRAMES, bool),
    )  # fmt: skip
    moved, lying, size = in_bfm_camera(track, face, found, model)
    assert size == pytest.approx(1 / 0.9, rel=0.03) and (moved.valid == valid).all()
    assert np.abs(moved.shape - face.mean).mean() < 0.004
    assert np.ptp(lying.expression) == pytest.approx(np.ptp(face.expression), rel=0.2)
    pixels = project(tracked_faces(lying, moved, valid), moved.R[valid], moved.t[valid], FOCAL)
    truth = project(np.tile(face.mean, (FRAMES, 1, 1)), R, t - R @ ORIGIN, FOCAL)[valid]
    assert np.linalg.norm(pixels - truth, axis=2).mean() < 2
    with pytest.raises(ArtifactError, match=r"10 times as large as ours"):
        head_placement(replace(model, mean=10 * model.mean), face)


@pytest.fixture
def files(tmp_path):
    """Files as they are given, of another, larger mesh: options of the stage."""
    rng, count = np.random.default_rng(0), 900
    small = basel_like()
    chosen = rng.permutation(count)[: len(small.mean)]
    mean, basis = rng.normal(size=(count, 3)), rng.normal(size=(199, count, 3))
    mean[chosen] = 1e6 * small.mean - 5
    content = {"shapeMU": mean.reshape(-1, 1), "shapePC": basis.reshape(199, -1).T,
               "shapeEV": np.linspace(9, 1, 199)[:, None]}  # fmt: skip
    scipy_io.savemat(tmp_path / "01_MorphableModel.mat", content)
    tables = {
        "topology_info": {"sub_inds": chosen, "tris": small.triangles, "vert_tris": chosen},
        "exp_info": {
            "mu_exp": np.full(3 * len(chosen), 2.0),
            "base_exp": rng.normal(size=(79, 3 * len(chosen))),
            "sig_exp": np.linspace(3, 1, 79),
        },
        "keys_info": {
            "keyinds": small.keypoints, "left_contour": small.left_contour,
            "right_contour": small.right_contour, "rigid_ids": small.rigid,
        },
    }  # fmt: skip
    options = {"--morphable-model": tmp_path / "01_MorphableModel.mat"}
    for name, table in tables.items():
        np.save(tmp_path / f"{name}.npy", table, allow_pickle=True)
        options[f"--{name.replace('_', '-')}"] = tmp_path / f"{name}.npy"
    return options | {"--out": tmp_path / "bfm.npz"}, content, tables


def convert(options, monkeypatch) -> None:
    words = [str(word) for pair in options.items() for word in pair]
    monkeypatch.setattr(sys, "argv", ["convert_bfm.py", *words])
    convert_bfm.main()


def test_the_given_files_become_one_in_metres(files, monkeypatch):
    options, content, tables = files
    convert(options, monkeypatch)
    model, made = load_bfm(options["--out"]), basel_like()
    assert model.mean == pytest.approx(made.mean - made.mean.mean(axis=0), abs=1e-7)
    vertex = tables["topology_info"]["sub_inds"][5]
    step = content["shapePC"][3 * vertex : 3 * vertex + 3, 7] * content["shapeEV"][7]
    assert model.identity[7, 5] == pytest.approx(1e-6 * step, rel=1e-5)
    step = tables["exp_info"]["base_exp"][4, 15:18] * tables["exp_info"]["sig_exp"][4]
    assert model.expression[4, 5] == pytest.approx(1e-6 * step, rel=1e-5)
    assert (model.right_contour == made.right_contour).all()


class Intruder:
    def __reduce__(self):
        return print, ("never",)


def test_a_table_with_anything_but_arrays_is_not_unpickled(files, monkeypatch, capsys):
    options, _, tables = files
    table = tables["keys_info"] | {"more": Intruder()}
    np.save(options["--keys-info"], table, allow_pickle=True)
    with pytest.raises(InputError, match=r"keys_info\.npy: .*builtins\.print, which is no array"):
        convert(options, monkeypatch)
    assert "never" not in capsys.readouterr().out and not options["--out"].exists()
    with pytest.raises(pickle.UnpicklingError):
        convert_bfm.ArraysOnly(io.BytesIO(pickle.dumps(Path("x")))).load()


def test_files_of_different_models_are_refused(files, monkeypatch):
    options, _, tables = files
    table = tables["topology_info"]
    np.save(options["--topology-info"], table | {"sub_inds": table["sub_inds"][:-9]})
    with pytest.raises(InputError, match="no face model together"):
        convert(options, monkeypatch)


@pytest.mark.parametrize("damage", ["missing", "cut", "another", "shape", "index"])
def test_another_face_model_is_refused_with_the_source(model, tmp_path, damage):
    path, arrays = tmp_path / "bfm.npz", asdict(model)
    if damage == "another":
        arrays = {"mean": model.mean}
    elif damage == "shape":
        arrays["expression"] = model.expression[:64]
    elif damage == "index":
        arrays["rigid"] = model.rigid + 1
    if damage != "missing":
        save_arrays(path, {}, **arrays)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(ArtifactError, match=r"bfm\.npz: not the weights of bfm .*faces\.dmi"):
        load_bfm(path)

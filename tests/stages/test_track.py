"""The track stage: landmarks.npz in, track.npz out."""

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from d3talker.artifacts import load_arrays, load_image, save_arrays
from d3talker.face.model import IBUG_68, FaceModel
from d3talker.face.tracking import HEAD_TO_CAMERA, project
from d3talker.metrics.openface import UNITS
from d3talker.video import write_video
from stages import track as track_stage
from tests.unit.bfm_models import basel_like

ROOT = Path(__file__).parents[2]
FACE_MODEL = ROOT / "resources" / "face_model.npz"
FRAMES, SIZE = 40, 256


def write_landmarks(path: Path, valid: np.ndarray) -> None:
    """A still head that opens and closes its mouth."""
    model = FaceModel.load(FACE_MODEL)
    expression = np.zeros((FRAMES, len(model.expression)))
    expression[:, 0] = 2 * np.abs(np.sin(np.arange(FRAMES) / 4))
    faces = model.vertices(np.zeros(len(model.identity)), expression)
    R, t = np.repeat(HEAD_TO_CAMERA[None], FRAMES, 0), np.tile([0, 0, 0.6], (FRAMES, 1))
    depth = -faces[..., 2:] * 500 / 0.6
    points = np.concatenate([project(faces, R, t, 500.0) + SIZE / 2, depth], axis=2)
    save_arrays(path, {"size": SIZE}, points=points.astype(np.float32), valid=valid)


def run_stage(tmp_path: Path, *more: str | Path) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / "stages" / "track.py", "--face-model", FACE_MODEL]
    command += ["--landmarks", tmp_path / "landmarks.npz", "--out", tmp_path / "track.npz"]
    command += more
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_artifact_has_the_fields_of_the_contract(tmp_path):
    valid = np.ones(FRAMES, bool)
    valid[5] = False
    write_landmarks(tmp_path / "landmarks.npz", valid)
    result = run_stage(tmp_path)
    assert result.returncode == 0, result.stderr
    track, meta = load_arrays(tmp_path / "track.npz")
    model = FaceModel.load(FACE_MODEL)
    shapes = {
        "focal": (),
        "R": (FRAMES, 3, 3),
        "t": (FRAMES, 3),
        "shape": (478, 3),
        "identity": (len(model.identity),),
        "expression": (FRAMES, len(model.expression)),
        "reprojection_error": (FRAMES,),
        "valid": (FRAMES,),
        "au": (FRAMES, 6),
        "mouth_opening": (FRAMES,),
    }
    assert {name: value.shape for name, value in track.items()} == shapes
    assert track["focal"] == 500
    assert meta["size"] == SIZE
    assert np.nanmean(track["reprojection_error"]) < 0.5
    assert np.isnan(track["reprojection_error"][5])
    assert np.corrcoef(track["expression"][:, 0], track["mouth_opening"])[0, 1] > 0.9


def test_clip_without_faces_is_refused_with_its_name(tmp_path):
    write_landmarks(tmp_path / "landmarks.npz", np.zeros(FRAMES, bool))
    result = run_stage(tmp_path)
    assert result.returncode == 2
    assert "landmarks.npz" in result.stderr and "0 of 40" in result.stderr
    assert not (tmp_path / "track.npz").exists()


def test_the_check_picture_shows_six_frames(tmp_path):
    write_landmarks(tmp_path / "landmarks.npz", np.ones(FRAMES, bool))
    write_video(tmp_path / "clip.mp4", np.full((FRAMES, SIZE, SIZE, 3), 90, np.uint8))
    options = ("--video", tmp_path / "clip.mp4", "--out-picture", tmp_path / "track.png")
    result = run_stage(tmp_path, *options)
    assert result.returncode == 0, result.stderr
    picture = load_image(tmp_path / "track.png").astype(int)
    green = picture[..., 1] - picture[..., [0, 2]].max(-1) > 40
    rows = np.array_split(green, 2)
    assert all(tile.sum() > 400 for row in rows for tile in np.array_split(row, 3, axis=1))


def test_a_clip_shorter_than_its_landmarks_is_refused_and_nothing_is_written(tmp_path):
    write_landmarks(tmp_path / "landmarks.npz", np.ones(FRAMES, bool))
    write_video(tmp_path / "clip.mp4", np.full((FRAMES - 9, SIZE, SIZE, 3), 90, np.uint8))
    options = ("--video", tmp_path / "clip.mp4", "--out-picture", tmp_path / "track.png")
    result = run_stage(tmp_path, *options)
    assert result.returncode == 2 and "clip.mp4" in result.stderr
    assert not (tmp_path / "track.npz").exists() and not (tmp_path / "track.png").exists()


def test_action_units_may_be_those_of_openface(tmp_path):
    write_landmarks(tmp_path / "landmarks.npz", np.ones(FRAMES, bool))
    values = np.random.default_rng(0).uniform(0, 2, (FRAMES, len(UNITS)))
    rows = [", ".join(f"AU{unit}_r" for unit in UNITS), *(", ".join(map(str, v)) for v in values)]
    (tmp_path / "au.csv").write_text("\n".join(rows) + "\n")
    assert run_stage(tmp_path, "--openface", tmp_path / "au.csv").returncode == 0
    track, meta = load_arrays(tmp_path / "track.npz")
    columns = [UNITS.index(name[2:]) for name in meta["action_units"]]
    assert track["au"] == pytest.approx(values[:, columns], rel=1e-6)
    assert meta["action_units_from"] == "OpenFace"
    (tmp_path / "au.csv").write_text("\n".join(rows[:-1]) + "\n")
    result = run_stage(tmp_path, "--openface", tmp_path / "au.csv")
    assert result.returncode == 2 and "au.csv: 39 frames, but the clip has 40" in result.stderr


def test_camera_and_poses_may_be_of_the_basel_face_model(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from d3talker.face import bfm_tracking

    model, face = basel_like(), FaceModel.load(FACE_MODEL)
    write_landmarks(tmp_path / "landmarks.npz", np.ones(FRAMES, bool))
    save_arrays(tmp_path / "bfm.npz", {}, **asdict(model))
    points = load_arrays(tmp_path / "landmarks.npz")[0]["points"][:, IBUG_68, :2]
    valid = np.ones(FRAMES, bool)
    valid[7] = False
    save_arrays(tmp_path / "fan.npz", {}, points=points, valid=valid)
    short = bfm_tracking.BfmSettings(
        focals=(1000,),
        search_pose=1,
        search_all=1,
        coarse_pose=80,
        coarse_all=20,
        fine_iterations=3,
    )
    monkeypatch.setattr(bfm_tracking, "BfmSettings", lambda: short)
    words = ["track.py", "--face-model", FACE_MODEL, "--landmarks", tmp_path / "landmarks.npz"]
    words += ["--bfm", tmp_path / "bfm.npz", "--fan-landmarks", tmp_path / "fan.npz"]
    monkeypatch.setattr(sys, "argv", [str(w) for w in [*words, "--out", tmp_path / "track.npz"]])
    track_stage.main()
    track, meta = load_arrays(tmp_path / "track.npz")
    assert (meta["face_model"], meta["expression_length"]) == ("bfm", len(face.expression))
    assert track["bfm_identity"].shape == (100,) and track["bfm_expression"].shape == (FRAMES, 79)
    assert track["focal"] == 500 and track["shape"].shape == (478, 3)
    assert track["valid"].sum() == FRAMES - 1 and np.isnan(track["reprojection_error"][7])
    assert np.abs(track["shape"] - face.mean).mean() < 0.02
    assert np.abs(track["t"][:, 2] - 0.6).max() < 0.1 and (track["R"][:, 2, 2] < -0.9).all()

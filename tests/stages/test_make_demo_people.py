"""make_demo_people: a face in every frame, a mouth that does what the ground truth says."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mediapipe")

import numpy as np

from d3talker.artifacts import load_arrays
from d3talker.demo import people
from d3talker.face.landmarks import mouth_openness
from d3talker.face.mediapipe_models import FaceMesh
from d3talker.video import io

STAGE = Path(__file__).resolve().parents[2] / "stages" / "make_demo_people.py"
FRAMES = 75


def run_stage(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(STAGE), *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    done = run_stage("--out", str(out), "--size", "256", "--seconds", "3", "--people", "1")
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def faces(demo) -> list[np.ndarray]:
    find = FaceMesh(max_faces=2)
    return [find(frame) for frame in io.iter_frames(demo / "ada.mp4")]


def test_every_frame_shows_exactly_one_face(faces):
    assert [len(found) for found in faces] == [1] * FRAMES


def test_seen_mouth_opening_follows_the_truth(demo, faces):
    truth, _ = load_arrays(demo / "truth" / "ada.npz")
    seen = mouth_openness(np.array([found[0] for found in faces]))
    assert np.corrcoef(seen, truth["mouth_opening"])[0, 1] > 0.8


def test_sound_is_as_long_as_the_picture(demo):
    samples = len(io.decode_audio(demo / "ada.mp4"))
    assert abs(samples - FRAMES * 640) <= 1280


def test_truth_has_a_row_per_frame_and_poses_are_rotations(demo):
    truth, meta = load_arrays(demo / "truth" / "ada.npz")
    assert truth["expression"].shape == (FRAMES, len(meta["expression"]))
    assert truth["phones"].shape == (FRAMES * 4,)
    np.testing.assert_allclose(
        truth["R"] @ truth["R"].transpose(0, 2, 1), np.tile(np.eye(3), (FRAMES, 1, 1)), atol=1e-5
    )
    assert truth["t"].shape == (FRAMES, 3)


def test_lips_meet_and_open_in_the_truth(demo):
    truth, _ = load_arrays(demo / "truth" / "ada.npz")
    assert truth["mouth_opening"].min() < 0.002
    assert truth["mouth_opening"].max() > 0.008


def test_an_utterance_for_cross_driving_comes_without_a_video(demo):
    sound, rate = io.read_wav(demo / "audio" / "ada_extra.wav")
    assert (len(sound), rate) == (FRAMES * 640, 16000)
    assert not list(demo.rglob("ada_extra.mp4"))


def test_frames_are_the_same_for_the_same_seed():
    def first_frame() -> np.ndarray:
        rng = np.random.default_rng(0)
        person = people.choose_people(4, seed=7)[3]
        scene = people.build_person(person, 128, rng)
        return next(people.film(scene, people.perform(person.voice, 1.0, rng)))

    np.testing.assert_array_equal(first_frame(), first_frame())


def test_odd_size_is_refused_with_advice(tmp_path):
    done = run_stage("--out", str(tmp_path), "--size", "255")
    assert done.returncode == 2
    assert "even" in done.stderr

"""The face crop undoes where the head is, how large and how turned in the image."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2")

import cv2

from d3talker.face.model import JAW, LEFT_BROW, RIGHT_BROW, RIGID, FaceModel
from d3talker.metrics import face_crop

MODEL = FaceModel.load(Path(__file__).resolve().parents[2] / "resources" / "face_model.npz")


def moved(points, degrees, scale, shift):
    turn = np.deg2rad(degrees)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return scale * points @ matrix.T + shift


def test_a_similarity_is_found_again():
    points = np.random.default_rng(0).uniform(0, 100, (36, 2))
    there = moved(points, 20, 1.7, [5, -30])
    matrix = face_crop.similarity(points, there)
    assert matrix[:, :2] @ matrix[:, :2].T == pytest.approx(1.7**2 * np.eye(2))
    assert points @ matrix[:, :2].T + matrix[:, 2] == pytest.approx(there)


def test_it_is_the_best_one_in_the_least_squares():
    points, there = np.random.default_rng(1).uniform(0, 100, (2, 20, 2))
    x, y = points.T
    one, zero = np.ones(20), np.zeros(20)
    system = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, c, d = np.linalg.lstsq(system, there.T.ravel(), rcond=None)[0]
    assert face_crop.similarity(points, there) == pytest.approx(np.array([[a, -b, c], [b, a, d]]))


def test_the_mean_face_fills_the_crop():
    flat = MODEL.mean[:, :2] * [1, -1]
    wanted = face_crop.template(MODEL)
    matrix = face_crop.similarity(flat[RIGID], wanted)
    face = (flat @ matrix[:, :2].T + matrix[:, 2])[[*LEFT_BROW, *RIGHT_BROW, *JAW]]
    assert face.min() > 0 and face.max() < face_crop.SIDE - 1
    assert np.ptp(face, axis=0).min() > 0.75 * face_crop.SIDE
    assert (face.min(axis=0) + face.max(axis=0)) / 2 == pytest.approx([55.5, 55.5], abs=0.1)


def test_the_same_face_elsewhere_gives_the_same_crop():
    rng = np.random.default_rng(2)
    small = cv2.GaussianBlur(rng.uniform(0, 255, (200, 200, 3)), (0, 0), 4)
    small = ((small - small.min()) / np.ptp(small) * 255).astype(np.uint8)
    points = np.zeros((478, 3))
    points[:, :2] = MODEL.mean[:, :2] * [600, -600] + 100
    wanted = face_crop.template(MODEL)
    crop = face_crop.crop_face([small], points, wanted)[0]
    there = points.copy()
    # The mesh counts from the corner of the first pixel, OpenCV from its centre.
    there[:, :2] = moved(points[:, :2] - 0.5, 15, 1.5, [90, 20]) + 0.5
    matrix = face_crop.similarity(points[RIGID, :2] - 0.5, there[RIGID, :2] - 0.5)
    image = cv2.warpAffine(small, matrix, (400, 400), flags=cv2.INTER_CUBIC)
    again = face_crop.crop_face([image], there, wanted)[0]
    inner = slice(20, 92)
    difference = crop[inner, inner].astype(int) - again[inner, inner]
    assert crop.shape == (112, 112, 3) and np.abs(difference).mean() < 1.5
    far = face_crop.crop_face([image], there + np.array([6, 0, 0]), wanted)[0]
    assert np.abs(crop[inner, inner].astype(int) - far[inner, inner]).mean() > 5

"""PNCC images show facial motion and nothing else."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from d3talker.face.model import LIPS_OUTER, FaceModel
from d3talker.face.pncc import SIZE, ncc_colours, rasterize, render_pncc, to_pixels

MODEL = FaceModel.load(Path(__file__).parents[2] / "resources" / "face_model.npz")
COMPONENTS = len(MODEL.expression)


def rows_of_lips() -> slice:
    rows = to_pixels(MODEL.mean[LIPS_OUTER], SIZE)[:, 1]
    return slice(int(rows.min()), int(rows.max()) + 3)


def test_colours_of_the_mean_face_span_zero_to_one():
    colours = ncc_colours(MODEL.mean)
    assert (colours.min(0) == 0).all()
    assert (colours.max(0) == 1).all()


def test_face_fills_the_frame_and_stays_inside():
    drawn = render_pncc(MODEL, np.zeros((1, COMPONENTS)))[0].max(axis=0) > 0
    assert 0.3 < drawn.mean() < 0.7
    border = np.concatenate([drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1]])
    assert not border.any()


def test_eyes_are_holes():
    image = render_pncc(MODEL, np.zeros((1, COMPONENTS)))[0]
    irises = to_pixels(MODEL.mean[[468, 473]], SIZE).astype(int)
    for column, row, _ in irises:
        assert (image[:, row, column] == 0).all()


def test_mouth_that_opens_raises_the_difference_in_the_lip_rows():
    opening = np.zeros((3, COMPONENTS))
    opening[:, 0] = [0, 1, 3]
    images = render_pncc(MODEL, opening).astype(int)
    difference = np.abs(images[1:] - images[0])[:, :, rows_of_lips()].mean(axis=(1, 2, 3))
    assert difference[1] > 2 * difference[0] > 0


def test_lids_and_brows_do_not_show():
    expression = np.zeros((2, COMPONENTS))
    expression[1, MODEL.lower :] = 3
    closed, canonical = render_pncc(MODEL, expression)
    np.testing.assert_array_equal(closed, canonical)


def test_nearer_triangle_wins_whatever_the_order():
    near, far = (
        np.array([[0, 0, 1], [8, 0, 1], [0, 8, 1]]),
        np.array([[0, 0, 2], [8, 0, 2], [0, 8, 2]]),
    )
    corners = np.concatenate([near, far]).astype(float)
    colours = np.repeat([[1.0, 0, 0], [0, 1.0, 0]], 3, axis=0)
    triangles = np.array([[0, 1, 2], [3, 4, 5]], np.int32)
    for order in (triangles, triangles[::-1].copy()):
        image = rasterize(corners, order, colours, 8)
        np.testing.assert_allclose(image[1, 1], [1, 0, 0])
        assert (image[7, 7] == 0).all()


def test_colour_is_interpolated_linearly():
    corners = np.array([[0, 0, 1], [20, 0, 1], [0, 20, 1]], float)
    colours = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], float)
    image = rasterize(corners, np.array([[0, 1, 2]], np.int32), colours, 8)
    np.testing.assert_allclose(image[3, 5], [5.5 / 20, 3.5 / 20, 0], atol=1e-6)

"""Which face is followed, how gaps are bridged, and what openness means."""

import numpy as np

from d3talker.face.landmarks import (
    LOST_FRAMES,
    bridge_gaps,
    eye_openness,
    mouth_openness,
    track_faces,
)


def face_at(x, size=10.0):
    """A face of 4 points: a square of `size` px at column x."""
    return np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], np.float32) * size + [x, 0, 0]


def track(*frames):
    frames = [np.array(f, np.float32).reshape(-1, 4, 3) for f in frames]
    return track_faces(frames, lambda frame: frame, 4)


def test_the_first_frame_takes_the_largest_face_and_the_next_ones_the_nearest():
    points, valid = track([face_at(0), face_at(100, 20)], [face_at(98, 20), face_at(0, 30)])
    assert valid.all()
    assert points[0, 0, 0] == 100
    assert points[1, 0, 0] == 98


def test_a_neighbour_does_not_take_the_place_of_a_face_that_is_lost():
    points, valid = track([face_at(0), face_at(30, 9)], [face_at(30, 9)], [face_at(4)])
    assert valid.tolist() == [True, False, True]
    assert np.allclose(points[:, 0, 0], [0, 2, 4])


def test_a_face_that_is_lost_for_long_is_looked_for_anew():
    points, valid = track([face_at(0)], *[[]] * (LOST_FRAMES - 1), [face_at(50)], [], [face_at(50)])
    assert not valid[LOST_FRAMES]
    points, valid = track([face_at(0)], *[[]] * LOST_FRAMES, [face_at(50)], [face_at(51)])
    assert valid[-2:].all() and points[-1, 0, 0] == 51


def test_gaps_are_bridged_in_place():
    points, valid = track([], [face_at(10)], [], [], [face_at(16)], [])
    assert valid.tolist() == [False, True, False, False, True, False]
    assert np.allclose(points[:, 0, 0], [10, 10, 12, 14, 16, 16])


def test_no_face_at_all_gives_zeros():
    points, valid = track([], [])
    assert points.shape == (2, 4, 3) and not points.any() and not valid.any()


def test_complete_tracks_are_left_alone():
    points = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)
    assert np.array_equal(bridge_gaps(points, np.ones(5, bool)), points)


def test_openness_is_relative_to_the_face():
    points = np.zeros((2, 478, 3), np.float32)
    points[:, [33, 133, 362, 263], 0] = [0, 30, 60, 90]
    points[:, 14, 1] = [0, 9]
    for upper, lower in ((159, 145), (158, 153), (386, 374), (385, 380)):
        points[1, [upper, lower], 1] = [-3, 3]
    for scale in (1, 2):
        assert np.allclose(mouth_openness(points * scale), [0, 0.1])
        assert np.allclose(eye_openness(points * scale), [[0, 0], [0.2, 0.2]])
    assert not mouth_openness(np.zeros((1, 478, 3), np.float32)).any()

"""Frames whose landmarks make no face are found; frames in which someone blinks are kept."""

import numpy as np

from d3talker.face.model import LEFT_EYE, RIGHT_EYE
from d3talker.face.trusted import LIPS, trusted_frames

FRAMES = 200
FOUND = np.ones(FRAMES, bool)
FRONTAL = np.repeat(np.diag([1.0, -1.0, -1.0])[None], FRAMES, axis=0)


def usual_distances(px: float = 0.5) -> np.ndarray:
    """Distances (FRAMES,478) of a clip with nothing special; frames differ by a fifth."""
    rng = np.random.default_rng(0)
    return px * rng.normal(1, 0.2, (FRAMES, 1)) * rng.uniform(0.5, 1.5, (1, 478))


def excluded(distance: np.ndarray, R: np.ndarray = FRONTAL, found: np.ndarray = FOUND) -> list[int]:
    return np.flatnonzero(~trusted_frames(distance, R, found)).tolist()


def test_a_clip_with_nothing_special_is_kept():
    assert excluded(usual_distances()) == []


def test_covered_lips_are_found_though_the_rest_of_the_face_fits():
    distance = usual_distances()
    distance[50:60, LIPS] *= 4
    assert excluded(distance) == list(range(50, 60))


def test_a_face_that_fits_nowhere_is_found():
    distance = usual_distances()
    distance[7] *= 5
    assert excluded(distance) == [7]


def test_blinks_are_kept():
    distance = usual_distances()
    distance[50:55, np.r_[RIGHT_EYE, LEFT_EYE]] *= 20
    assert excluded(distance) == []


def test_what_is_bad_depends_on_the_clip():
    blurred = usual_distances(3.0)
    sharp = usual_distances(0.5)
    sharp[7] = blurred[7]
    assert excluded(blurred) == []
    assert excluded(sharp) == [7]


def test_a_head_that_turns_away_is_found():
    degrees = np.linspace(0, 90, FRAMES)
    turn = np.radians(degrees)
    R = FRONTAL.copy()
    R[:, 0, 0], R[:, 2, 2] = np.cos(turn), -np.cos(turn)
    R[:, 0, 2] = R[:, 2, 0] = np.sin(turn)
    kept = trusted_frames(usual_distances(), R, FOUND)
    assert kept[degrees < 40].all() and not kept[degrees > 50].any()


def test_frames_without_a_face_do_not_decide_what_is_usual():
    distance = usual_distances()
    found = np.arange(FRAMES) < 60
    distance[~found] = 100
    distance[7] *= 5
    assert [i for i in excluded(distance, found=found) if found[i]] == [7]

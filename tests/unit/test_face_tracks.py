"""Faces are followed and cut out by SyncNet's rules."""

import numpy as np
import pytest

pytest.importorskip("cv2")
pytest.importorskip("scipy")

from d3talker.metrics import face_tracks
from d3talker.metrics.face_tracks import Track, crops, follow

BOX = np.array([100.0, 120.0, 240.0, 300.0])


def seen(frames, *boxes):
    return [np.array([*boxes]).reshape(-1, 4)] * frames


def test_overlap_is_intersection_over_union():
    assert face_tracks.overlap(np.array([0.0, 0, 10, 10]), np.array([5.0, 0, 15, 10])) == 50 / 150
    assert face_tracks.overlap(np.array([0.0, 0, 10, 10]), np.array([20.0, 20, 30, 30])) == 0


def test_a_face_seen_more_than_100_times_is_a_track():
    assert follow(seen(100, BOX)) == []
    (track,) = follow([*seen(7), *seen(101, BOX)])
    assert track.first == 7 and (track.boxes == BOX).all() and track.boxes.shape == (101, 4)


def test_a_face_of_100_px_or_less_is_left_out():
    assert follow(seen(150, [0, 0, 90, 100])) == []
    assert len(follow(seen(150, [0, 0, 90, 101]))) == 1


def test_a_gap_of_25_frames_is_bridged_by_a_line_and_a_longer_one_is_not():
    later = BOX + 24
    (track,) = follow([*seen(101, BOX), *seen(24), *seen(101, later)])
    assert len(track.boxes) == 226
    assert track.boxes[112] == pytest.approx(BOX + 24 * 12 / 25)
    assert [t.first for t in follow([*seen(101, BOX), *seen(25), *seen(101, later)])] == [0, 126]


def test_two_faces_are_two_tracks_and_a_jump_begins_another():
    other = BOX + np.array([260, 0, 260, 0])
    tracks = follow(seen(120, other, BOX))
    assert [t.boxes[0].tolist() for t in tracks] == [other.tolist(), BOX.tolist()]
    assert [t.first for t in follow([*seen(110, BOX), *seen(110, other)])] == [0, 110]


def test_the_crop_is_a_square_with_room_below_the_face():
    """Half a box is 90 px: columns 170 +- 126, rows from 210 - 90 to 210 + 162."""
    frame = np.zeros((512, 512, 3), np.uint8)
    frame[..., 0], frame[..., 1] = np.mgrid[:512, :512] // 2
    face = next(crops([frame] * 20, Track(0, np.tile(BOX, (20, 1)))))
    assert face.shape == (224, 224, 3)
    # Of the first frame the median filter takes the smallest of seven: the same box.
    rows, columns = (
        (np.arange(224) + 0.5) * 252 / 224 + 120,
        (np.arange(224) + 0.5) * 252 / 224 + 44,
    )
    assert np.abs(face[:, 100, 0] - (rows - 0.5) / 2).max() < 1.5
    assert np.abs(face[100, :, 1] - (columns - 0.5) / 2).max() < 1.5


def test_beyond_the_frame_it_is_grey():
    frame = np.full((512, 512, 3), 200, np.uint8)
    box = np.array([0.0, 0.0, 140.0, 180.0])
    face = list(crops([frame] * 20, Track(0, np.tile(box, (20, 1)))))[10]
    assert (face[:, :40] == 110).all() and (face[60:, 60:] == 200).all()


def test_a_single_wrong_box_does_not_move_the_crop():
    frame = np.random.default_rng(0).integers(0, 255, (512, 512, 3)).astype(np.uint8)
    boxes = np.tile(BOX, (30, 1))
    boxes[15] += 40
    faces = list(crops([frame] * 30, Track(0, boxes)))
    assert all((face == faces[10]).all() for face in faces[6:24])

"""Labels, clean plate, torso layer and backdrop on drawn scenes."""

import numpy as np
import pytest

pytest.importorskip("cv2")

from d3talker.face import parsing
from d3talker.face.inner_mouth import (
    LOWER_EDGE,
    STEPS,
    UPPER_EDGE,
    MouthSettings,
    edge_of_lip,
    lip_shifts,
    mark_mouth,
    smooth_in_time,
)
from d3talker.face.parsing import BACKGROUND, CLOTH, FACE, HAIR, INNER_MOUTH, NECK, TEETH
from d3talker.face.segment import ParseSettings, fill, refine_person
from d3talker.video.background import clean_plate, fill_holes, median_and_spread
from d3talker.video.torso import DARKENING, paint_up, torso_layer


def scene(size=512):
    """Labels (size,size) of a block person: face above neck above cloth, and a frame of it."""
    labels = np.full((size, size), BACKGROUND, np.uint8)
    labels[100:300, 150:350] = FACE
    labels[80:100, 150:350] = HAIR
    labels[240:260, 220:280] = INNER_MOUTH
    labels[240:245, 230:270] = TEETH
    labels[300:380, 200:300] = NECK
    labels[380:, 100:400] = CLOTH
    colours = np.array(
        [[0, 90, 200], [220, 170, 150], [60, 40, 20], [80, 0, 20], [240] * 3, [200, 150, 130],
         [30, 30, 40]], np.uint8
    )  # fmt: skip
    return labels, colours[labels]


def test_masks_divide_the_labels():
    labels = np.arange(7, dtype=np.uint8)
    assert parsing.head_mask(labels).tolist() == [0, 1, 1, 1, 1, 0, 0]
    assert parsing.mouth_mask(labels).tolist() == [0, 0, 0, 1, 1, 0, 0]


def test_backdrop_is_the_real_frame_outside_the_head():
    labels, frame = scene()
    rng = np.random.default_rng(0)
    plate = rng.integers(0, 255, frame.shape, np.uint8)
    torso = torso_layer(frame, labels, plate)
    behind = parsing.backdrop(frame, labels, torso, plate)
    head = parsing.head_mask(labels)
    assert np.array_equal(behind[~head], frame[~head])
    bare = head & (torso[..., 3] == 0)
    assert bare.any() and np.array_equal(behind[bare], plate[bare])
    painted = head & (torso[..., 3] > 0)
    assert np.array_equal(behind[painted], torso[painted][:, :3])


def test_neck_goes_up_53_px_behind_the_jaw_and_darkens():
    labels, frame = scene()
    torso = torso_layer(frame, labels, np.zeros_like(frame))
    column = torso[:, 250]
    assert column[300 + 4 - 52, 3] == 255 and column[300 + 4 - 53, 3] == 0
    expected = frame[310, 250] * DARKENING**20
    assert np.abs(column[304 - 20, :3] - expected).max() < 3
    assert not torso[:, 180, 3][:380].any()


def test_neck_is_bridged_where_a_tie_touches_the_chin():
    labels, frame = scene()
    labels[300:380, 240:260] = CLOTH
    frame[300:380, 240:260] = [255, 0, 0]
    painted, colours = paint_up(frame, labels, NECK, 53, 4)
    assert painted[290, 200:300].all()
    image = np.zeros_like(frame)
    image[painted] = colours
    assert np.abs(image[290, 250].astype(int) - image[290, 210]).max() <= 1


def test_nothing_is_painted_without_a_neck():
    frame, labels = np.zeros((8, 8, 3), np.uint8), np.full((8, 8), FACE, np.uint8)
    painted, colours = paint_up(frame, labels, NECK, 4, 1)
    assert not painted.any() and colours.shape == (0, 3)


def moving_person(count=20, size=256):
    """Frames of a grey disc that walks over a gradient, the true background, and its masks."""
    y, x = np.mgrid[:size, :size]
    background = np.stack([x // 2 + 50, y // 2 + 50, np.full_like(x, 90)], -1).astype(np.uint8)
    frames, masks = [], []
    for i in range(count):
        disc = (x - 60 - 8 * i) ** 2 + (y - 128) ** 2 < 40**2
        frames.append(np.where(disc[..., None], np.uint8(230), background))
        masks.append(disc.astype(np.float32))
    return np.stack(frames), masks, background


def test_plate_is_recovered_behind_a_moving_person():
    frames, masks, background = moving_person()
    plate = clean_plate(frames, masks)
    assert plate.known.all()
    assert np.array_equal(plate.image, background)
    assert not plate.spread.any()


def test_what_was_never_seen_is_filled_smoothly():
    frames, masks, background = moving_person()
    plate = clean_plate(frames[:3], masks[:3])
    hole = ~plate.known
    assert hole.any()
    assert np.array_equal(plate.image[plate.known], background[plate.known])
    assert np.abs(plate.image[hole].astype(float) - background[hole]).max() < 30


def test_holes_in_a_flat_picture_take_its_colour():
    image = np.full((50, 60, 3), 77, np.float32)
    known = np.ones((50, 60), bool)
    known[10:40, 5:55] = False
    image[~known] = 0
    assert np.allclose(fill_holes(image, known), 77, atol=0.01)
    assert np.allclose(fill_holes(image, np.zeros_like(known)), 127.5)


def test_the_plate_corrects_a_loose_outline():
    frames, masks, _ = moving_person()
    plate = clean_plate(frames, masks)
    y, x = np.mgrid[:256, :256]
    distance = np.hypot(x - 140, y - 128)
    loose = np.clip(0.5 + (43 - distance) / 8, 0, 1).astype(np.float32)
    person = refine_person(frames[10], loose, plate, ParseSettings())
    wrong = (person > 0) != (masks[10] > 0)
    assert wrong.sum() < 0.5 * ((loose > 0.5) != (masks[10] > 0)).sum()


def test_a_blink_of_the_segmentation_is_smoothed_without_lag():
    steady = [
        np.zeros((2, 2)),
        np.zeros((2, 2)),
        np.ones((2, 2)),
        np.zeros((2, 2)),
        np.zeros((2, 2)),
    ]
    values = [float(m[0, 0]) for m in smooth_in_time(iter(steady))]
    assert values == [0, 0.25, 0.5, 0.25, 0]
    assert len(list(smooth_in_time(iter(steady[:1])))) == 1


def test_polygons_use_pixel_centres():
    mask = fill((10, 10), np.array([[2, 2], [6, 2], [6, 5], [2, 5]], float))
    assert mask[2:5, 2:6].all()
    assert mask[:2].sum() == mask[6:].sum() == 0


def test_median_of_whole_numbers_equals_the_one_that_leaves_values_out():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (9, 5, 7, 3), np.uint8)
    free = rng.random((9, 5, 7)) < 0.6
    free[0] = True
    image, spread = median_and_spread(frames, free)
    seen = np.where(free[..., None], frames.astype(float), np.nan)
    expected = np.nanmedian(seen, axis=0)
    assert np.allclose(image, expected)
    assert np.allclose(spread, np.nanmedian(np.abs(seen - expected), axis=0).sum(-1))


def test_the_plate_is_a_guess_near_what_was_seen_and_nothing_far_from_it():
    frames = np.full((5, 128, 128, 3), 90, np.uint8)
    person = np.zeros((128, 128), np.float32)
    person[20:108, 20:108] = 1
    plate = clean_plate(frames, [person] * 5)
    assert plate.spread[0, 0] == 0
    assert 0 < plate.spread[20, 64] < np.inf
    assert np.isinf(plate.spread[64, 64])


def drawn_mouth(top=240.0, bottom=260.0):
    """A frame of red lips on skin with dark between rows `top` and `bottom`, and a mesh whose
    inner lips are flat lines there."""
    frame = np.full((512, 512, 3), (220, 170, 150), np.uint8)
    frame[int(top) - 15 : int(bottom) + 15, 180:320] = (200, 90, 90)
    frame[int(top) : int(bottom), 200:300] = (40, 10, 10)
    mesh = np.zeros((478, 3), np.float32)
    mesh[UPPER_EDGE, 0] = mesh[LOWER_EDGE, 0] = np.linspace(200, 300, 11)
    mesh[UPPER_EDGE, 1], mesh[LOWER_EDGE, 1] = top, bottom
    mesh[[78, 308], 1] = (top + bottom) / 2
    return frame, mesh


def test_lips_are_moved_onto_their_edges():
    frame, mesh = drawn_mouth()
    mesh[:, 1] += 1.5
    assert lip_shifts(frame, mesh, MouthSettings()) == pytest.approx([-1.5, -1.5], abs=0.5)


def test_a_lip_without_an_edge_stays_where_the_mesh_has_it():
    flat = np.full((31, 10 * STEPS + 1, 3), 120, np.float32)
    outward = np.arange(-5 * STEPS, 5 * STEPS + 1) / STEPS
    assert edge_of_lip(flat, outward, MouthSettings()) == 0


def test_mouth_is_written_between_the_lips_and_on_the_face_only():
    _, mesh = drawn_mouth()
    labels = np.full((512, 512), FACE, np.uint8)
    labels[:, 280:] = HAIR
    mark_mouth(labels, mesh, np.array([-1.0, 2.0]), np.full((64, 96), -1, np.float32))
    assert np.flatnonzero(labels[:, 250] == INNER_MOUTH).tolist() == list(range(239, 262))
    assert (labels[:, 280:] == HAIR).all()
    labels[labels == INNER_MOUTH] = FACE
    mark_mouth(labels, mesh, np.zeros(2), np.full((64, 96), 1, np.float32))
    assert labels[250, 250] == TEETH

"""Ingest decisions on numbers: one face, the crop, the sound's length and start."""

import numpy as np
import pytest

pytest.importorskip("imageio_ffmpeg")

from d3talker.cli import InputError
from d3talker.video import io
from d3talker.video.ingest import (
    IngestSettings,
    align_audio,
    choose_crop,
    describe,
    require_one_face,
    require_usable,
)

SETTINGS = IngestSettings()


def boxes(*faces):
    return np.array(faces, float).reshape(-1, 4)


def video_info(**changes):
    facts = {"width": 512, "height": 512, "fps": 25.0, "duration": 30.0, "has_audio": True}
    return io.VideoInfo(**(facts | {"video_start": 0.0, "audio_start": 0.0} | changes))


@pytest.mark.parametrize("samples", [0, 1, 6399, 6400, 6401, 20000])
def test_sound_has_640_samples_for_every_frame(samples):
    assert len(align_audio(np.ones(samples, np.int16), 0.0, 10)) == 6400


def test_late_picture_cuts_the_sound_before_it():
    sound = np.arange(20000, dtype=np.int16)
    assert align_audio(sound, 0.08, 10)[0] == 1280


def test_late_sound_begins_with_silence():
    aligned = align_audio(np.ones(20000, np.int16), -0.02, 10)
    assert not aligned[:320].any() and aligned[320:].all()


def test_missing_sound_at_the_end_is_silence():
    aligned = align_audio(np.ones(6000, np.int16), 0.0, 10)
    assert aligned[:6000].all() and not aligned[6000:].any()


def test_a_frame_filling_head_in_a_square_video_keeps_the_whole_frame():
    crop = choose_crop(boxes([130, 150, 230, 260]), 512, 512, SETTINGS)
    assert (crop.x, crop.y, crop.side) == (0, 0, 512)


def test_a_small_head_in_a_wide_video_is_cut_out_with_even_numbers():
    crop = choose_crop(boxes([600, 200, 90, 101]), 1280, 720, SETTINGS)
    assert 2.2 * 101 <= crop.side <= 2.6 * 101
    assert crop.x % 2 == crop.y % 2 == crop.side % 2 == 0
    assert crop.x < 600 - 25 and crop.x + crop.side > 690 + 25


def test_the_crop_never_leaves_the_picture():
    crop = choose_crop(boxes([0, 0, 120, 140]), 1280, 720, SETTINGS)
    assert (crop.x, crop.y) == (0, 0)
    crop = choose_crop(boxes([1160, 580, 120, 140]), 1280, 720, SETTINGS)
    assert crop.x + crop.side <= 1280 and crop.y + crop.side <= 720


def test_a_wandering_head_gets_a_larger_crop():
    still = choose_crop(boxes(*[[600, 200, 90, 100]] * 10), 1280, 720, SETTINGS)
    moving = boxes(*[[500 + 20 * i, 200, 90, 100] for i in range(10)])
    assert choose_crop(moving, 1280, 720, SETTINGS).side > still.side


def test_one_face_is_accepted_and_gaps_are_tolerated():
    faces = [boxes([10, 10, 80, 100])] * 8 + [boxes()] * 2
    assert require_one_face("x.mp4", faces, SETTINGS).shape == (8, 4)


def test_no_face_is_refused():
    faces = [boxes([10, 10, 80, 100])] * 4 + [boxes()] * 6
    with pytest.raises(InputError, match=r"x.mp4: a face was found in 4 of 10"):
        require_one_face("x.mp4", faces, SETTINGS)


def test_two_people_are_refused_but_a_picture_on_the_wall_is_not():
    person, second, picture = [10, 10, 80, 100], [200, 10, 80, 90], [300, 10, 30, 30]
    with pytest.raises(InputError, match="crop the video"):
        require_one_face("x.mp4", [boxes(second, person)] * 10, SETTINGS)
    faces = require_one_face("x.mp4", [boxes(picture, person)] * 10, SETTINGS)
    assert np.array_equal(faces[0], person)
    passing_by = [boxes(person)] * 8 + [boxes(second, person)] * 2
    assert len(require_one_face("x.mp4", passing_by, SETTINGS)) == 10


def test_silent_film_and_snippet_are_refused():
    with pytest.raises(InputError, match="no audio stream"):
        require_usable("x.mp4", video_info(has_audio=False), SETTINGS)
    with pytest.raises(InputError, match=r"lasts 3.00 s; at least 4 s"):
        require_usable("x.mp4", video_info(duration=3.0), SETTINGS)


def test_a_short_clip_is_noted():
    crop = choose_crop(boxes([130, 150, 230, 260]), 512, 512, SETTINGS)
    facts = describe("me", "dir/me.mp4", video_info(), crop, 400, 512, [])
    assert facts["test"] == [300, 400]
    assert "too short" in facts["note"]
    assert facts["source"] == "me.mp4"
    assert describe("me", "me.mp4", video_info(), crop, 550, 512, [])["note"] is None

"""Ingest decisions on numbers: one face, the crop, the sound's length and start."""

import numpy as np
import pytest

pytest.importorskip("imageio_ffmpeg")
pytest.importorskip("cv2")

from d3talker.cli import InputError
from d3talker.ingest import people, scenes, select, sound, speaking
from d3talker.ingest.clip import choose_crop
from d3talker.ingest.describe import describe, require_usable
from d3talker.ingest.people import Person
from d3talker.ingest.scenes import Span
from d3talker.ingest.settings import AUTO, IngestSettings
from d3talker.ingest.survey import Survey, find_faces
from d3talker.video import io
from d3talker.video.colour import Colour

SETTINGS = IngestSettings()


def boxes(*faces):
    return np.array(faces, float).reshape(-1, 4)


def video_info(**changes):
    facts = {"width": 512, "height": 512, "fps": 25.0, "duration": 30.0, "has_audio": True}
    facts |= {"video_start": 0.0, "audio_start": 0.0, "audio_rate": 16000, "audio_channels": "mono"}
    colour = Colour("yuv420p", "tv", "bt709", "bt709", "bt709")
    return io.VideoInfo(**(facts | {"colour": colour} | changes))


def cut(samples, start, length, block=1000):
    """cut_sound on an array handed over in blocks."""
    blocks = (samples[i : i + block] for i in range(0, len(samples), block))
    return np.concatenate(list(sound.cut_sound(blocks, start, length)))


@pytest.mark.parametrize("samples", [0, 1, 6399, 6400, 6401, 20000])
@pytest.mark.parametrize("start", [-7000, -320, 0, 1280])
def test_a_cut_of_the_sound_is_the_sound_with_silence_around_it(samples, start):
    whole = np.arange(1, samples + 1, dtype=np.int16)
    around = np.pad(whole, 30000)
    assert np.array_equal(cut(whole, start, 6400), around[30000 + start :][:6400])


def test_no_more_sound_is_decoded_than_is_needed():
    blocks = iter([np.ones(1000, np.int16)] * 5)
    assert sum(map(len, sound.cut_sound(blocks, 500, 1000))) == 1000
    assert len(list(blocks)) == 3


def test_the_level_of_a_square_wave_of_half_scale_is_minus_6_db():
    blocks = [np.full(1000, 16384, np.int16), np.zeros(280, np.int16)]
    assert sound.levels(blocks) == pytest.approx([-6.02, -8.52], abs=0.01)


def test_speech_is_measured_against_its_pauses_and_not_against_missing_sound():
    level = np.r_[np.full(50, sound.FLOOR), np.tile([-20.0] * 15 + [-50.0] * 10, 10)]
    measured = sound.quality(level)
    assert measured.speech_level == pytest.approx(-20)
    assert measured.speech_to_noise == pytest.approx(30)
    assert measured.seconds_without_sound == 2.0
    assert sound.quality(np.full(50, sound.FLOOR)).level == sound.FLOOR


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


def views(*grey, frames=30):
    """Thumbnails: `frames` frames of each view, a pattern that drifts a little."""
    pattern = np.random.default_rng(0).integers(0, 100, (len(grey), 18, 32))
    moving = np.arange(frames)[:, None, None] % 2
    return np.concatenate([p + g + moving for p, g in zip(pattern, grey, strict=True)]).astype(
        np.uint8
    )


def survey_of(thumbnails, faces=None, changes=5.0):
    """A survey of these thumbnails in which each sample shows the same face, or `faces`."""
    looks = -(-len(thumbnails) // 5)
    faces = [boxes([100, 100, 80, 100])] * looks if faces is None else faces
    return Survey(len(thumbnails), 5, faces, np.full(looks, changes), thumbnails)


def never_heard(span, group):
    raise AssertionError("nobody's mouth has to be looked at")


def test_cuts_are_found_and_flashes_are_none():
    thumbnails = views(20, 60, 100)
    thumbnails[45] = 255
    assert list(scenes.discontinuities(thumbnails, SETTINGS)) == [30, 60]


def test_a_pan_is_no_cut():
    wide = np.random.default_rng(0).integers(0, 255, (18, 400)).astype(float)
    wide = np.apply_along_axis(np.convolve, 1, wide, np.ones(9) / 9, "same")
    pan = np.stack([wide[:, i * 4 : i * 4 + 32] for i in range(90)]).astype(np.uint8)
    assert not scenes.discontinuities(pan, SETTINGS)


def test_black_frames_at_the_beginning_are_skipped_and_a_black_glitch_is_not_a_border():
    thumbnails = np.concatenate([np.zeros((7, 18, 32), np.uint8), views(60, frames=120)])
    thumbnails[80:83] = 0
    assert scenes.scenes(survey_of(thumbnails), SETTINGS)[0] == [Span(7, 127)]


def test_a_jump_within_a_take_is_no_border_unless_the_face_is_elsewhere():
    thumbnails = np.concatenate([views(60), np.minimum(views(60), 200) + 8])
    here, there = boxes([100, 100, 80, 100]), boxes([300, 100, 80, 100])
    assert scenes.scenes(survey_of(thumbnails), SETTINGS) == ([Span(0, 60)], [30])
    moved = survey_of(thumbnails, [here] * 6 + [there] * 6)
    assert scenes.scenes(moved, SETTINGS) == ([Span(0, 30), Span(30, 60)], [])


def test_the_longest_scene_with_a_face_is_kept_and_said():
    thumbnails = np.concatenate([views(20, frames=150), views(90, frames=400), views(140)])
    none, face = boxes(), boxes([100, 100, 80, 100])
    seen = survey_of(thumbnails, [face] * 30 + [none] * 20 + [face] * 60 + [face] * 6)
    chosen = select.select("x.mp4", seen, 0.0, AUTO, never_heard, SETTINGS)
    assert chosen.span == Span(250, 550)
    (warning,) = select.warnings_about(chosen, seen, 23.2, SETTINGS)
    assert (
        warning == "only 10.00 to 22.00 s of 23.20 s are used: the longest usable one of 3 scenes"
    )


def test_short_gaps_are_bridged_and_long_ones_end_the_clip():
    thumbnails = views(60, frames=600)
    none, face = boxes(), boxes([100, 100, 80, 100])
    short = survey_of(thumbnails, [none] * 8 + [face] * 50 + [none] * 8 + [face] * 54)
    assert select.select("x", short, 0.0, AUTO, never_heard, SETTINGS).span == Span(0, 600)
    long = survey_of(thumbnails, [face] * 40 + [none] * 12 + [face] * 68)
    assert select.select("x", long, 0.0, AUTO, never_heard, SETTINGS).span == Span(260, 600)


@pytest.mark.parametrize(
    ("thumbnails", "faces", "changes", "words"),
    [
        (views(60, frames=75), None, 5.0, "x.mp4: lasts 3.00 s; at least 4 s"),
        (views(60, frames=200), [boxes()] * 40, 5.0, "a face was found in 0 of 40"),
        (views(20, 60, 100, frames=50), None, 5.0, "of its 3 scenes the longest.*2.00 s"),
        (views(60, frames=200), None, 0.1, "still picture"),
    ],
)
def test_what_cannot_be_used_is_said_why(thumbnails, faces, changes, words):
    seen = survey_of(thumbnails, faces, changes)
    with pytest.raises(InputError, match=words):
        select.select("x.mp4", seen, 0.0, AUTO, never_heard, SETTINGS)


def test_people_are_followed_through_gaps_and_crossings_of_others():
    left, right = [100, 100, 80, 100], [400, 100, 80, 100]
    faces = [boxes(left, right), boxes(right), boxes(right, left), boxes(left), boxes(left, right)]
    tracks = people.follow(range(5), faces, patience=3)
    assert [track.samples.tolist() for track in tracks] == [[0, 2, 3, 4], [0, 1, 2, 4]]
    assert [track.centre[0] for track in tracks] == [140, 440]


def person_at(x, height):
    return Person(np.arange(10), np.tile([x, 0.0, height, height], (10, 1)))


def chosen_of(group, wanted=AUTO, scores=None):
    """x of the person taken, and why."""

    def hear(rivals):
        return scores if scores is not None else never_heard(None, rivals)

    index, _, reason = people.choose(group, wanted, hear, SETTINGS)
    return group[index].boxes[0, 0], reason


def test_the_one_who_speaks_is_taken_then_the_largest_then_nobody():
    pair = [person_at(0, 100), person_at(300, 90)]
    assert chosen_of(pair, scores=[0.05, 0.4]) == (300, "who speaks")
    larger = [person_at(0, 140), person_at(300, 100)]
    assert chosen_of(larger, scores=[0.2, 0.25]) == (0, "the largest face")
    with pytest.raises(InputError, match=r"two faces.*--person left, right.*crop the video"):
        chosen_of(pair, scores=[0.3, 0.25])


def test_a_picture_on_the_wall_does_not_compete():
    assert chosen_of([person_at(0, 40), person_at(300, 100)])[0] == 300


def test_a_named_person_is_taken():
    group = [person_at(0, 80), person_at(200, 100), person_at(400, 90)]
    words = ("left", "right", "largest", "2", "3")
    assert [chosen_of(group, word)[0] for word in words] == [0, 400, 200, 200, 400]
    with pytest.raises(InputError, match=r"no person 4: 3 seen.*number up to 3"):
        chosen_of(group, "4")


def test_two_people_seen_together_are_rivals_and_a_passer_by_is_not():
    person, second = [10, 10, 80, 100], [200, 10, 80, 90]
    assert people.has_rivals([boxes(second, person)] * 10, SETTINGS)
    assert not people.has_rivals([boxes(person)] * 8 + [boxes(second, person)] * 2, SETTINGS)
    assert not people.has_rivals([boxes(person, [300, 10, 30, 30])] * 10, SETTINGS)


def test_a_mouth_that_moves_with_the_sound_correlates_even_if_late_and_a_closed_one_does_not():
    rng = np.random.default_rng(0)
    loud = np.repeat(rng.integers(0, 2, 40), 10).astype(float)
    mouth = np.roll(loud, 2) * (0.1 + 0.1 * np.sin(np.arange(400) * 1.2))
    mouth[100:110] = np.nan
    assert speaking.correlation(mouth, loud * 40 - 60) > 0.7
    assert speaking.correlation(np.full(400, 0.02), loud * 40 - 60) == 0
    assert speaking.correlation(np.full(400, np.nan), loud * 40 - 60) == 0


def test_no_mouth_follows_a_sound_that_is_as_loud_all_the_time():
    loud = np.repeat(np.random.default_rng(0).integers(0, 2, 40), 10).astype(float)
    mouth = loud * (0.1 + 0.1 * np.sin(np.arange(400) * 1.2))
    assert speaking.correlation(mouth, loud - 20) == 0
    assert speaking.correlation(mouth, 8 * loud - 20) > 0.7


def test_a_head_lost_in_a_wide_picture_is_looked_for_in_its_parts():
    def detect(image):
        """Sees the white square where it takes a tenth of the picture."""
        y, x = np.nonzero(image[..., 0])
        if not len(x) or np.ptp(x) < 0.09 * image.shape[1]:
            return boxes()
        return boxes([x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1])

    picture = np.zeros((360, 640, 3), np.uint8)
    picture[100:140, 410:450] = 255
    assert find_faces(picture, detect).tolist() == [[410, 100, 40, 40]]
    assert len(find_faces(picture[:, :360], detect)) == 0


def test_silent_film_and_snippet_are_refused():
    with pytest.raises(InputError, match="no audio stream"):
        require_usable("x.mp4", video_info(has_audio=False), SETTINGS)
    with pytest.raises(InputError, match=r"lasts 3.00 s; at least 4 s"):
        require_usable("x.mp4", video_info(duration=3.0), SETTINGS)


def test_a_short_clip_is_noted():
    crop = choose_crop(boxes([130, 150, 230, 260]), 512, 512, SETTINGS)
    facts = describe("me", "dir/me.mp4", video_info(), crop, 400, 512)
    assert facts["test"] == [300, 400]
    assert "too short" in facts["note"]
    assert facts["source"] == "me.mp4"
    assert describe("me", "me.mp4", video_info(), crop, 550, 512)["note"] is None


def test_the_test_part_may_be_asked_for():
    crop = choose_crop(boxes([130, 150, 230, 260]), 512, 512, SETTINGS)
    facts = describe("me", "me.mp4", video_info(), crop, 400, 512, 150)
    assert facts["test"] == [250, 400] and facts["note"] is None
    with pytest.raises(
        InputError, match=r"me.mp4: 380 test frames .* the clip has 400; at least 25"
    ):
        describe("me", "me.mp4", video_info(), crop, 400, 512, 380)

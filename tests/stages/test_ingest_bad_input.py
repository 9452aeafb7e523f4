"""Files that cannot be used: named with the reason and what to do, and nothing is left behind."""

import os
from pathlib import Path

import pytest

pytest.importorskip("mediapipe")

from media_clips import astronaut_frames, ffmpeg, run_ingest, write_clip, write_tone

from d3talker.artifacts import load_json, save_image


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")


def refusal(video: Path, *options: str) -> str:
    """What ingest says of a file that it refuses."""
    out = video.parent / "out"
    done = run_ingest(video, out, 128, *options)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists() or not list(out.iterdir())
    message = done.stderr.splitlines()[-1]
    assert message.startswith("error: ")
    return message


def test_a_file_cut_off_before_its_index_is_named(clip, tmp_path):
    plain = tmp_path / "plain.mp4"
    ffmpeg("-i", clip, "-c", "copy", plain)  # the index comes last
    (tmp_path / "half.mp4").write_bytes(plain.read_bytes()[: plain.stat().st_size // 2])
    message = refusal(tmp_path / "half.mp4")
    assert "half.mp4" in message and "moov atom not found" in message
    assert "copy it again" in message


def test_what_is_left_of_a_file_cut_off_after_its_index_is_used_and_said(tmp_path):
    whole = write_clip(tmp_path / "whole.mp4", seconds=9)
    (tmp_path / "half.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    done = run_ingest(tmp_path / "half.mp4", tmp_path / "ok", 128)
    assert done.returncode == 0, done.stderr
    facts = load_json(tmp_path / "ok" / "ingest.json")
    assert 4 <= facts["seconds"] < 8
    assert any("the picture ends after" in warning for warning in facts["warnings"])
    (tmp_path / "stub.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size * 3 // 10])
    message = refusal(tmp_path / "stub.mp4")
    assert "stub.mp4: lasts" in message and "of the 9.0 s that the file promises" in message


def test_a_still_picture_with_sound_is_named(tmp_path):
    save_image(tmp_path / "photo.png", astronaut_frames(1)[0])
    write_tone(tmp_path / "tone.wav", 6)
    ffmpeg("-loop", "1", "-framerate", "25", "-i", tmp_path / "photo.png", "-i",
           tmp_path / "tone.wav", "-t", "6", "-pix_fmt", "yuv420p",
           tmp_path / "still.mp4")  # fmt: skip
    message = refusal(tmp_path / "still.mp4")
    assert "still.mp4: shows a still picture" in message and "moves and speaks" in message


def test_a_song_with_a_cover_is_no_video(tmp_path):
    save_image(tmp_path / "cover.png", astronaut_frames(1)[0])
    write_tone(tmp_path / "tone.wav", 6)
    ffmpeg("-i", tmp_path / "tone.wav", "-i", tmp_path / "cover.png", "-map", "0", "-map", "1",
           "-c:v", "png", "-disposition:v", "attached_pic", "-c:a", "aac",
           tmp_path / "song.mp4")  # fmt: skip
    message = refusal(tmp_path / "song.mp4")
    assert "song.mp4: has no video stream" in message and "picture and sound" in message


def test_a_wrong_extension_does_not_matter_to_a_video_and_is_named_of_a_photograph(clip, tmp_path):
    os.link(clip, tmp_path / "clip.avi")
    done = run_ingest(tmp_path / "clip.avi", tmp_path / "ok", 128)
    assert done.returncode == 0, done.stderr
    save_image(tmp_path / "photo.png", astronaut_frames(1)[0])
    (tmp_path / "photo.png").rename(tmp_path / "photo.mp4")
    message = refusal(tmp_path / "photo.mp4")
    assert "photo.mp4: has no audio stream" in message and "with its sound" in message


def test_a_newline_in_a_name_is_read_and_shown_on_one_line(clip, tmp_path):
    os.link(clip, tmp_path / "a\nerror: b.mp4")
    done = run_ingest(tmp_path / "a\nerror: b.mp4", tmp_path / "ok", 128)
    assert done.returncode == 0, done.stderr
    assert load_json(tmp_path / "ok" / "ingest.json")["source"] == "a\nerror: b.mp4"
    (tmp_path / "c\nd.mp4").write_text("no video")
    assert r"c\nd.mp4: not a video" in refusal(tmp_path / "c\nd.mp4")


def test_a_disk_that_cannot_be_written_leaves_nothing(clip, tmp_path):
    """The sound cannot be put in its place, so the video that was written before goes again."""
    (tmp_path / "out" / "audio.wav" / "in the way").mkdir(parents=True)
    done = run_ingest(clip, tmp_path / "out", 128)
    assert done.returncode != 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["audio.wav"]


def test_a_person_that_is_not_there_is_named(clip, tmp_path):
    os.link(clip, tmp_path / "clip.mp4")
    assert "clip.mp4: there is no person 3" in refusal(tmp_path / "clip.mp4", "--person", "3")
    done = run_ingest(clip, tmp_path / "out", 128, "--person", "middle")
    assert "'middle' is none of auto, largest, left, right, 1, 2, 3" in done.stderr

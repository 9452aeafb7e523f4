"""The ingest stages: any video or sound in, a trusted clip out, and clear words for bad input."""

import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mediapipe")

from media_clips import (
    D3_DATA,
    astronaut_frames,
    ffmpeg,
    run_ingest,
    run_stage,
    write_clip,
    write_tone,
)

from d3talker.artifacts import load_json
from d3talker.video import probe, read_frames, read_wav, write_video, write_wav

needs_clips = pytest.mark.skipif(not D3_DATA, reason="D3_DATA does not name the real clips")


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")


def ingest_ok(video: Path, out: Path, size: int = 256, *options: str) -> dict:
    done = run_ingest(video, out, size, *options)
    assert done.returncode == 0, done.stderr
    facts = load_json(out / "ingest.json")
    info = probe(out / "video.mp4")
    assert (info.width, info.height, info.fps, info.has_audio) == (size, size, 25.0, False)
    samples, rate = read_wav(out / "audio.wav")
    assert rate == 16000 and len(samples) == facts["frames"] * 640
    return facts


def assert_refused(done, *words: str) -> None:
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_clip_is_made_square_timed_and_described(clip, tmp_path):
    facts = ingest_ok(clip, tmp_path)
    assert facts["frames"] == len(read_frames(tmp_path / "video.mp4")) == 110
    assert facts["identity"] == "someone" and facts["source"] == "clip.mp4"
    assert facts["test"] == [83, 110] and "too short" in facts["note"]
    assert any("the face is only" in warning for warning in facts["warnings"])
    crop = facts["crop"]
    assert crop["side"] < 384 and crop["x"] + crop["side"] <= 384


@pytest.mark.parametrize("name", ["a b.mp4", 'it\'s "x";&$.mp4', "видео 日本.mp4", "-x:%d.mp4"])
def test_any_file_name_works(clip, tmp_path, name):
    os.link(clip, tmp_path / name)
    done = run_ingest(f"./{name}", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert load_json(tmp_path / "out" / "ingest.json")["source"] == name


def test_other_rates_containers_and_rotation(clip, tmp_path):
    ffmpeg("-i", clip, "-vf", "fps=30,transpose=1", "-c:a", "libmp3lame", tmp_path / "side.mkv")
    ffmpeg("-display_rotation", "90", "-i", tmp_path / "side.mkv", "-c", "copy",
           tmp_path / "phone.mov")  # fmt: skip
    upright = ingest_ok(clip, tmp_path / "a")
    turned = ingest_ok(tmp_path / "phone.mov", tmp_path / "b")
    assert turned["source_video"]["fps"] == 30
    assert abs(turned["frames"] - upright["frames"]) <= 1
    assert abs(turned["crop"]["side"] - upright["crop"]["side"]) <= 12


def flash_and_click(folder: Path, picture_late: float) -> Path:
    """A clip whose picture flashes and whose sound clicks 2 s after the first frame."""
    frames = astronaut_frames(110)
    frames[50] = np.full_like(frames[50], 255)
    write_video(folder / "silent.mp4", frames)
    samples = np.zeros(5 * 16000, np.int16)
    click = round((2 + picture_late) * 16000)
    samples[click : click + 160] = 20000
    write_wav(folder / "click.wav", samples)
    ffmpeg("-i", folder / "click.wav", "-itsoffset", str(picture_late), "-i",
           folder / "silent.mp4", "-map", "1:v", "-map", "0:a", "-c:v", "copy", "-c:a", "pcm_s16le",
           folder / "late.mov")  # fmt: skip
    return folder / "late.mov"


@pytest.mark.parametrize("late", [0.0, 0.08, 0.5])
def test_sound_stays_with_a_picture_that_starts_late(tmp_path, late):
    facts = ingest_ok(flash_and_click(tmp_path, late), tmp_path / "out")
    flash = read_frames(tmp_path / "out" / "video.mp4").mean((1, 2, 3)).argmax()
    click = np.abs(read_wav(tmp_path / "out" / "audio.wav")[0]).argmax() / 640
    assert flash == 50
    assert abs(click - 50) < 0.3
    assert facts["frames"] == 110


def test_sound_that_ends_early_is_padded_with_silence(clip, tmp_path):
    write_tone(tmp_path / "short.wav", 2)
    ffmpeg("-i", clip, "-i", tmp_path / "short.wav", "-map", "0:v", "-map", "1:a", "-c:v", "copy",
           tmp_path / "x.mp4")  # fmt: skip
    ingest_ok(tmp_path / "x.mp4", tmp_path / "out")
    samples, _ = read_wav(tmp_path / "out" / "audio.wav")
    assert np.abs(samples[:30000]).max() > 0.1 and not samples[40000:].any()


def test_silent_sound_is_a_warning(clip, tmp_path):
    ffmpeg("-i", clip, "-af", "volume=0", "-c:v", "copy", tmp_path / "x.mp4")
    facts = ingest_ok(tmp_path / "x.mp4", tmp_path / "out")
    assert any("silent" in warning for warning in facts["warnings"])


def test_bad_files_are_named_with_what_to_do(clip, tmp_path):
    (tmp_path / "text.mp4").write_text("this is a text")
    (tmp_path / "empty.mp4").touch()
    write_tone(tmp_path / "tone.wav", 5)
    for name, words in {
        "missing.mp4": "no such file",
        "empty.mp4": "is empty",
        "text.mp4": "not a video",
        "tone.wav": "no video stream",
    }.items():
        assert_refused(run_ingest(tmp_path / name, tmp_path / "out"), name, words)
    assert not (tmp_path / "out").exists()


def test_unusable_clips_are_named_with_what_to_do(tmp_path):
    clip = write_clip(tmp_path / "short.mp4", seconds=3)
    assert_refused(run_ingest(clip, tmp_path / "out"), "short.mp4", "lasts 3.0", "at least 4 s")
    clip = write_clip(tmp_path / "mute.mp4", sound=False)
    assert_refused(run_ingest(clip, tmp_path / "out"), "mute.mp4", "no audio stream")
    clip = write_clip(tmp_path / "pair.mp4", faces=2)
    assert_refused(run_ingest(clip, tmp_path / "out"), "pair.mp4", "two faces", "crop the video")
    ffmpeg("-f", "lavfi", "-i", "testsrc=d=5:s=256x256:r=25", "-f", "lavfi", "-i", "sine=d=5",
           tmp_path / "bars.mp4")  # fmt: skip
    assert_refused(run_ingest(tmp_path / "bars.mp4", tmp_path / "out"), "bars.mp4", "a face was")
    assert not (tmp_path / "out").exists()


def test_audio_becomes_16_khz_mono_whole_frames(tmp_path):
    write_tone(tmp_path / "in.wav", 2.03, rate=44100)
    ffmpeg("-i", tmp_path / "in.wav", "-ac", "2", tmp_path / "ü 'in.mp3")
    for name in ("in.wav", "ü 'in.mp3"):
        done = run_stage("ingest_audio", "--audio", tmp_path / name, "--out", tmp_path / "o.wav")
        assert done.returncode == 0, done.stderr
        samples, rate = read_wav(tmp_path / "o.wav")
        assert rate == 16000 and len(samples) % 640 == 0
        assert 49 <= len(samples) // 640 <= 51
        assert np.abs(samples).max() > 0.15


def test_bad_audio_is_named(tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    write_tone(tmp_path / "blip.wav", 0.5)
    for name, words in {
        "text.wav": "no sound that ffmpeg can read",
        "blip.wav": "0.50 s of sound; at least 1 s",
        "missing.wav": "no such file",
    }.items():
        done = run_stage("ingest_audio", "--audio", tmp_path / name, "--out", tmp_path / "o.wav")
        assert_refused(done, name, words)


@needs_clips
def test_a_512_px_clip_passes_unchanged(tmp_path):
    source = Path(D3_DATA) / "videos" / "cnn2.mp4"
    ffmpeg("-i", source, "-t", "5", "-c", "copy", tmp_path / "cnn2.mp4")
    facts = ingest_ok(tmp_path / "cnn2.mp4", tmp_path, size=512)
    assert facts["crop"] == {"x": 0, "y": 0, "side": 512}
    error = read_frames(tmp_path / "video.mp4", 0, 50).astype(float) - read_frames(source, 0, 50)
    assert np.abs(error).mean() < 0.6
    assert np.abs(error.mean()) < 0.05


@needs_clips
@pytest.mark.parametrize("name", ["aoc", "german", "virtual_3"])
def test_a_square_clip_filled_by_its_head_is_accepted_whole(tmp_path, name):
    source = Path(D3_DATA) / "videos" / "pretrain" / f"{name}.mp4"
    facts = ingest_ok(source, tmp_path, size=512)
    assert facts["crop"]["side"] == 512
    sound = 25 * probe(source).duration  # some sound tracks outlast their picture
    assert 0.98 * sound <= facts["frames"] <= sound + 1


@needs_clips
@pytest.mark.parametrize(("name", "frames"), [("landscape31", 607), ("vr4", 166), ("vr2", 125)])
def test_hard_clips_are_accepted_and_retimed(tmp_path, name, frames):
    source = Path(D3_DATA) / "videos" / "hard" / f"{name}.mp4"
    facts = ingest_ok(source, tmp_path, size=512)
    assert abs(facts["frames"] - frames) <= 1

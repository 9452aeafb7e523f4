"""Which part of a video, and whom of several people, the ingest stage takes."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mediapipe")

from media_clips import D3_DATA, astronaut_frames, ffmpeg, run_ingest, write_clip

from d3talker.artifacts import load_json
from d3talker.video import probe, read_frames, read_wav, write_video, write_wav


def ingest_ok(video: Path, out: Path, *options: str) -> dict:
    done = run_ingest(video, out, 128, *options)
    assert done.returncode == 0, done.stderr
    return load_json(out / "ingest.json")


def colour_bars(count: int, height: int, width: int) -> list[np.ndarray]:
    """Frames (height,width,3) of still colour bars."""
    bars = np.zeros((height, width, 3), np.uint8)
    bars[:, ::2, 1] = 200
    bars[: height // 2, :, 0] = 220
    return [bars] * count


def test_the_longest_scene_with_a_face_is_kept_with_its_sound(tmp_path):
    """Black, bars, a short take, the long take with a flash and a click in it."""
    face = astronaut_frames(140)
    long = [frame[:, ::-1] for frame in face[:115]]
    long[60] = np.full_like(long[60], 255)
    black = [np.zeros_like(face[0])] * 8
    before = black + colour_bars(30, 384, 384) + [255 - frame for frame in face[:20]]
    write_video(tmp_path / "cut.mp4", before + long)
    samples = np.random.default_rng(0).normal(0, 40, (len(before) + 115) * 640).astype(np.int16)
    samples[(len(before) + 60) * 640 :][:320] = 20000
    write_wav(tmp_path / "click.wav", samples)
    ffmpeg("-i", tmp_path / "cut.mp4", "-i", tmp_path / "click.wav", "-c:v", "copy", "-c:a",
           "pcm_s16le", tmp_path / "x.mkv")  # fmt: skip
    facts = ingest_ok(tmp_path / "x.mkv", tmp_path / "out")
    assert facts["frames"] == 115
    assert facts["kept"] == {"start": 58 / 25, "stop": 173 / 25, "of": 173 / 25}
    assert len(facts["scenes"]) == 3
    assert any("2.32 to 6.92 s of 6.92 s" in warning for warning in facts["warnings"])
    flash = read_frames(tmp_path / "out" / "video.mp4").mean((1, 2, 3)).argmax()
    click = np.abs(read_wav(tmp_path / "out" / "audio.wav")[0]).argmax() // 640
    assert flash == click == 60


def test_a_black_beginning_is_skipped(tmp_path):
    black = [np.zeros((384, 384, 3), np.uint8)] * 12
    write_video(tmp_path / "x.mp4", black + astronaut_frames(110), audio=tone(tmp_path, 4.88))
    facts = ingest_ok(tmp_path / "x.mp4", tmp_path / "out")
    assert (facts["frames"], facts["kept"]["start"]) == (110, 0.48)
    assert any("0.48 to 4.88 s" in w and "the rest is black" in w for w in facts["warnings"])


def tone(folder: Path, seconds: float) -> Path:
    from media_clips import write_tone

    write_tone(folder / "tone.wav", seconds)
    return folder / "tone.wav"


def test_a_small_head_in_an_odd_landscape_is_found(tmp_path):
    head = [frame[:200, 100:280][::2, ::2] for frame in astronaut_frames(110)]
    frames = [np.full((720, 1282, 3), 90, np.uint8) for _ in head]
    for frame, small in zip(frames, head, strict=True):
        frame[300 : 300 + small.shape[0], 800 : 800 + small.shape[1]] = small
    write_video(tmp_path / "even.mp4", frames, audio=tone(tmp_path, 4.4))
    ffmpeg("-i", tmp_path / "even.mp4", "-vf", "crop=1281:719:0:0:exact=1,format=yuv444p", "-c:a",
           "copy", "-crf", "10", tmp_path / "x.mkv")  # fmt: skip
    facts = ingest_ok(tmp_path / "x.mkv", tmp_path / "out")
    assert (facts["source_video"]["width"], facts["source_video"]["height"]) == (1281, 719)
    crop, (person,) = facts["crop"], facts["people"]
    assert 40 < person["face_height"] < 80
    assert 800 < person["x"] < 890 and 300 < person["y"] < 400
    assert crop["x"] < 800 < 880 < crop["x"] + crop["side"] < 1000
    assert any("the face is only" in warning for warning in facts["warnings"])


@pytest.mark.parametrize(("word", "side"), [("left", 0), ("2", 1)])
def test_a_named_person_of_two_is_cut_out(tmp_path, word, side):
    facts = ingest_ok(write_clip(tmp_path / "pair.mp4", faces=2), tmp_path, "--person", word)
    assert len(facts["people"]) == 2 and facts["person"]["number"] == side + 1
    middle = facts["crop"]["x"] + facts["crop"]["side"] / 2
    assert abs(middle - facts["people"][side]["x"]) < 60
    assert any("2 people are seen" in warning for warning in facts["warnings"])


@pytest.mark.skipif(not D3_DATA, reason="D3_DATA does not name the real clips")
@pytest.mark.parametrize("speaker", [0, 1])
def test_of_two_real_people_the_one_who_speaks_is_taken(tmp_path, speaker):
    videos = [Path(D3_DATA) / "videos" / "pretrain" / f"{n}.mp4" for n in ("german", "virtual_15")]
    ffmpeg("-i", videos[0], "-i", videos[1], "-filter_complex", "[0:v][1:v]hstack", "-map",
           f"{speaker}:a", "-t", "12", "-preset", "ultrafast", tmp_path / "x.mp4")  # fmt: skip
    facts = ingest_ok(tmp_path / "x.mp4", tmp_path)
    assert facts["person"] == {"number": speaker + 1, "reason": "who speaks"}
    assert facts["crop"]["x"] == pytest.approx(512 * speaker, abs=80)


def test_quality_is_measured_and_what_is_poor_is_warned_of(tmp_path):
    good = ingest_ok(write_clip(tmp_path / "good.mp4"), tmp_path / "a")
    noisy = "aevalsrc=0.003*random(0):d=4.4:s=8000"
    ffmpeg("-i", tmp_path / "good.mp4", "-f", "lavfi", "-i", noisy, "-map", "0:v", "-map", "1:a",
           "-vf", "gblur=9", "-c:a", "pcm_s16le", tmp_path / "poor.mkv")  # fmt: skip
    poor = ingest_ok(tmp_path / "poor.mkv", tmp_path / "b")
    assert good["quality"]["face_height"] == pytest.approx(poor["quality"]["face_height"], rel=0.1)
    assert good["quality"]["face_seen"] == 1
    assert 0 < good["quality"]["head_speed"] < 1.5
    assert good["quality"]["blur"] + 0.15 < poor["quality"]["blur"]
    assert good["quality"]["speech_level"] == pytest.approx(-15.3, abs=1)
    for words in ("is blurred", "is quiet", "above what is heard", "only 8000 Hz"):
        assert any(words in warning for warning in poor["warnings"]), words
    assert not any("quiet" in warning or "Hz" in warning for warning in good["warnings"])


def test_a_file_of_hours_is_cut_to_its_beginning(tmp_path):
    clip = write_clip(tmp_path / "short.mp4", seconds=5)
    ffmpeg("-i", clip, "-vf", "fps=2,scale=192:192", "-an", tmp_path / "slow.mkv")
    ffmpeg("-stream_loop", "3600", "-i", tmp_path / "slow.mkv", "-i", clip, "-map", "0:v", "-map",
           "1:a", "-c", "copy", tmp_path / "long.mkv")  # fmt: skip
    assert probe(tmp_path / "long.mkv").duration > 5 * 3600 - 60
    facts = ingest_ok(tmp_path / "long.mkv", tmp_path / "out", "--settings", '{"max_seconds": 6.0}')
    assert 145 <= facts["frames"] <= 151
    assert any("only its first 6 s" in warning for warning in facts["warnings"])

"""Video and audio files: what is read back is what was written, whatever the file is called."""

import wave

import numpy as np
import pytest

pytest.importorskip("imageio_ffmpeg")

from d3talker.cli import InputError
from d3talker.video import iter_frames, probe, read_frames, read_wav, write_video, write_wav
from d3talker.video.io import input_of, run_ffmpeg

AWKWARD_NAMES = ["with space.mp4", 'quote\'s "x";&.mp4', "日本語 ü.mp4", "a:b%03d.mp4", "-dash.mp4"]


def gradient_frames(count=10, height=64, width=96):
    """(count,height,width,3) uint8: smooth colours, a different red in every frame."""
    y, x = np.mgrid[:height, :width]
    frames = np.zeros((count, height, width, 3), np.uint8)
    frames[..., 0] = np.arange(count)[:, None, None] * 20 + 20
    frames[..., 1] = 60 + x
    frames[..., 2] = 200 - y
    return frames


@pytest.fixture(scope="module")
def sine():
    time = np.arange(6400) / 16000
    return (8000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)


def test_frames_survive_the_codec_without_a_colour_shift(tmp_path):
    frames = gradient_frames()
    write_video(tmp_path / "a.mp4", iter(frames), crf=4)
    error = read_frames(tmp_path / "a.mp4").astype(float) - frames
    assert np.abs(error).mean() < 2
    assert np.abs(error.mean((0, 1, 2))).max() < 0.7


def key_frames(path):
    """Numbers of the frames that need no other to be decoded."""
    only_keys = input_of(path, skip_frame="nokey").output("pipe:", format="framecrc")
    out, _ = run_ffmpeg(only_keys.global_args("-copyts"), path)
    rows = [line for line in out.decode().splitlines() if not line.startswith("#")]
    return [int(row.split(",")[2]) for row in rows]


def test_key_frames_come_as_often_as_asked(tmp_path):
    write_video(tmp_path / "a.mp4", gradient_frames(), keyframe_every=4)
    assert key_frames(tmp_path / "a.mp4") == [0, 4, 8]
    write_video(tmp_path / "b.mp4", gradient_frames())
    assert key_frames(tmp_path / "b.mp4") == [0]


def test_part_of_a_video_is_the_same_as_the_whole_cut(tmp_path):
    write_video(tmp_path / "a.mp4", gradient_frames())
    whole = read_frames(tmp_path / "a.mp4")
    assert np.array_equal(read_frames(tmp_path / "a.mp4", 3, 7), whole[3:7])
    assert np.array_equal(read_frames(tmp_path / "a.mp4", 8), whole[8:])


@pytest.mark.parametrize("rate", [50, 10])
def test_another_rate_shows_the_picture_of_the_time(tmp_path, rate):
    shades = np.arange(20) * 10
    frames = np.repeat(shades.astype(np.uint8), 64 * 64 * 3).reshape(-1, 64, 64, 3)
    write_video(tmp_path / "v.mp4", frames, fps=rate)
    seen = [frame.mean() for frame in iter_frames(tmp_path / "v.mp4", fps=25)]
    assert len(seen) == 20 * 25 // rate
    places = np.floor(np.arange(20) * 25 / rate + 0.5)  # of the pictures among 25 a second
    latest = shades[np.searchsorted(places, np.arange(len(seen)), side="right") - 1]
    assert np.abs(np.array(seen) - latest).max() < 3


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_any_file_name_works(tmp_path, monkeypatch, name, sine):
    monkeypatch.chdir(tmp_path)
    write_wav("-s 'o.wav", sine)
    write_video(name, gradient_frames(), audio="-s 'o.wav")
    info = probe(name)
    assert (info.width, info.height, info.fps, info.has_audio) == (96, 64, 25.0, True)
    assert len(read_frames(name)) == 10


def test_a_failing_encoder_says_what_ffmpeg_said_and_leaves_nothing(tmp_path):
    (tmp_path / "bad.wav").write_text("no sound")
    with pytest.raises(InputError, match="Invalid data"):
        write_video(tmp_path / "a.mp4", gradient_frames(), audio=tmp_path / "bad.wav")
    assert [p.name for p in tmp_path.iterdir()] == ["bad.wav"]


def test_odd_sides_are_refused(tmp_path):
    with pytest.raises(ValueError, match="even sides"):
        write_video(tmp_path / "a.mp4", np.zeros((2, 63, 64, 3), np.uint8))


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "is empty"), (b"hello", "not a video"), (None, "no such file")]
)
def test_what_is_no_video_is_named(tmp_path, content, message):
    path = tmp_path / "x.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        probe(path)
    assert str(path) in str(error.value)


def test_sound_alone_is_no_video(tmp_path, sine):
    write_wav(tmp_path / "a.wav", sine)
    with pytest.raises(InputError, match="no video stream"):
        probe(tmp_path / "a.wav")


def test_wav_samples_survive_exactly(tmp_path, sine):
    write_wav(tmp_path / "a.wav", sine)
    samples, rate = read_wav(tmp_path / "a.wav")
    assert rate == 16000
    assert np.array_equal(samples * 32768, sine)
    write_wav(tmp_path / "b.wav", samples)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_stereo_wav_is_averaged(tmp_path):
    with wave.open(str(tmp_path / "s.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.array([[100, 300], [-200, 0]], "<i2").tobytes())
    samples, rate = read_wav(tmp_path / "s.wav")
    assert rate == 8000
    assert np.array_equal(samples * 32768, [200, -100])

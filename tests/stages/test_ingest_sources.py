"""Whatever a camera records: colours, frame rates and sounds come out as the same clip."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mediapipe")

from media_clips import astronaut_frames, ffmpeg, write_tone

from d3talker.ingest import clip, sound, survey
from d3talker.ingest.scenes import Span
from d3talker.ingest.settings import IngestSettings
from d3talker.video import probe, read_frames, write_video, write_wav

SETTINGS = IngestSettings()
TO_LINEAR = (
    "format=gbrp,setparams=colorspace=gbr:color_primaries=bt709:color_trc=bt709,"
    "zscale=t=linear:npl=203,format=gbrpf32le"
)
HEVC = ["-c:v", "libx265", "-x265-params", "log-level=none:crf=4"]
H264 = ["-c:v", "libx264", "-crf", "4"]
ENCODINGS = {
    "PQ": [
        f"{TO_LINEAR},zscale=p=bt2020:t=smpte2084:m=bt2020nc:r=tv:npl=203,format=yuv420p10le",
        *HEVC,
    ],
    "HLG": [
        f"{TO_LINEAR},zscale=p=bt2020:t=arib-std-b67:m=bt2020nc:r=tv:npl=203,format=yuv420p10le",
        *HEVC,
    ],
    "BT.2020 without HDR": [
        "format=gbrp,setparams=colorspace=gbr:color_primaries=bt709:color_trc=bt709,"
        "zscale=p=bt2020:t=bt2020-10:m=bt2020nc:r=tv,format=yuv420p10le",
        *HEVC,
    ],
    "10 bit": ["format=yuv420p10le", *H264],
    "full range": ["scale=out_range=pc,format=yuvj420p", *H264, "-color_range", "pc"],
    "4:4:4": ["format=yuv444p", *H264],
    "RGB": ["format=gbrp", "-c:v", "ffv1"],
}


def frames_of(path: Path) -> np.ndarray:
    """The first frames that ingest makes of a video whose whole picture it keeps."""
    info = probe(path)
    whole = clip.Crop(0, 0, info.height)
    video = clip.cropped(path, info, whole, info.height, Span(0, 5), SETTINGS)
    looks = list(clip.write_clip(video, info.height, path, path.with_suffix(".out.mp4")))
    assert len(looks) == 1
    return read_frames(path.with_suffix(".out.mp4")).astype(float)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_of_a_picture_gives_its_colours(tmp_path, encoding):
    frames = np.stack(astronaut_frames(5, side=256))
    write_video(tmp_path / "plain.mp4", frames, crf=4)
    filters, *options = ENCODINGS[encoding]
    ffmpeg("-i", tmp_path / "plain.mp4", "-vf", filters, *options, tmp_path / "x.mkv")
    error = frames_of(tmp_path / "x.mkv") - read_frames(tmp_path / "plain.mp4")
    assert np.abs(error).mean() < 4
    assert np.abs(error.mean((0, 1, 2))).max() < 2
    assert probe(tmp_path / "x.out.mp4").colour.pixel_format == "yuv420p"
    assert probe(tmp_path / "x.out.mp4").colour.range in ("tv", "unknown")


def test_highlights_above_white_keep_their_drawing(tmp_path):
    """A ramp to five times the reference white still rises where clipping would end it."""
    ramp = np.tile(np.linspace(0, 255, 256).astype(np.uint8)[None, :, None], (256, 1, 3))
    write_video(tmp_path / "plain.mp4", [ramp] * 5, crf=4)
    brighter = TO_LINEAR.replace("npl=203", "npl=1000") + (
        ",zscale=p=bt2020:t=smpte2084:m=bt2020nc:r=tv:npl=1000,format=yuv420p10le"
    )
    ffmpeg("-i", tmp_path / "plain.mp4", "-vf", brighter, *HEVC, tmp_path / "x.mkv")
    grey = frames_of(tmp_path / "x.mkv").mean((0, 1, 3))
    assert grey[250] > grey[190] + 2 and grey[190] > grey[130] + 2


@pytest.mark.parametrize(
    "options",
    [
        ["-ac", "1", "-c:a", "aac"],
        ["-af", "pan=stereo|c0=c0|c1=c0", "-c:a", "libmp3lame"],
        ["-ac", "6", "-c:a", "ac3"],
        ["-ar", "8000", "-c:a", "pcm_s16le"],
    ],
    ids=["mono", "stereo", "5.1", "8 kHz"],
)
def test_every_kind_of_sound_keeps_its_level_and_its_time(tmp_path, options):
    time = np.arange(5 * 16000) / 16000
    samples = 8000 * np.sin(2 * np.pi * 440 * time) * ((time > 2) & (time < 3))
    write_wav(tmp_path / "beep.wav", samples.astype(np.int16))
    write_video(tmp_path / "silent.mp4", astronaut_frames(125, side=64))
    ffmpeg("-i", tmp_path / "silent.mp4", "-i", tmp_path / "beep.wav", "-c:v", "copy", *options,
           tmp_path / "x.mkv")  # fmt: skip
    info = probe(tmp_path / "x.mkv")
    blocks = sound.clip_sound(tmp_path / "x.mkv", info, 25, 100, SETTINGS)
    level = sound.levels(blocks)
    assert len(level) == 100
    loud = np.flatnonzero(level > -30)
    assert abs(loud[0] - 25) <= 1 and abs(loud[-1] - 49) <= 1
    assert np.median(level[loud]) == pytest.approx(20 * np.log10(8000 / 32768 / 2**0.5), abs=2)


def test_sound_that_starts_late_begins_with_silence(tmp_path):
    write_tone(tmp_path / "tone.wav", 3)
    write_video(tmp_path / "silent.mp4", astronaut_frames(125, side=64))
    ffmpeg("-i", tmp_path / "silent.mp4", "-itsoffset", "1.2", "-i", tmp_path / "tone.wav",
           "-c:v", "copy", "-c:a", "pcm_s16le", tmp_path / "x.mkv")  # fmt: skip
    info = probe(tmp_path / "x.mkv")
    level = sound.levels(sound.clip_sound(tmp_path / "x.mkv", info, 0, 125, SETTINGS))
    loud = np.flatnonzero(level > -30)
    assert (loud[0], loud[-1]) == (30, 104)
    assert sound.quality(level).seconds_without_sound == pytest.approx(2.0, abs=0.05)


def test_a_varying_frame_rate_becomes_25_fps_in_step(tmp_path):
    frames = astronaut_frames(110, side=64)
    frames[50] = np.full_like(frames[50], 255)
    write_video(tmp_path / "even.mp4", frames)
    kept = "lt(mod(n,9),4)+eq(n,50)+eq(n,51)+eq(n,109)"
    ffmpeg("-i", tmp_path / "even.mp4", "-vf", f"select='{kept}'", "-fps_mode", "vfr",
           tmp_path / "x.mkv")  # fmt: skip
    seen = survey.survey(
        tmp_path / "x.mkv", probe(tmp_path / "x.mkv"), lambda image: np.empty((0, 4)), SETTINGS
    )
    assert seen.frames == 110 and len(seen.faces) == 22
    assert seen.thumbnails.mean((1, 2)).argmax() == 50

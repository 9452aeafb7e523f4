"""From any talking-head video to the trusted clip: 25 fps, square crop around the head, 16 kHz."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from d3talker import split
from d3talker.artifacts import atomic
from d3talker.cli import InputError
from d3talker.video import io

SAMPLES_PER_FRAME = io.SAMPLE_RATE // io.FPS  # 640


@dataclass(frozen=True)
class IngestSettings:
    """What is accepted, and how the head is framed."""

    samples: int = 60  # frames looked at to find the head, spread over the clip
    sample_side: int = 1280  # px, longer side of those frames at most
    crop_side: float = 2.4  # side of the crop over the face height: hair and shoulders fit
    crop_centre: float = 0.08  # the crop's centre lies this many face heights below the face's
    head_margin: float = 0.75  # face heights kept on each side of every face centre
    keep_whole: float = 0.7  # a crop at least this share of the short side becomes all of it
    min_found: float = 0.5  # share of sampled frames that must show a face
    second_face: float = 0.6  # a second face of this share of the first one's height counts
    max_two_faces: float = 0.3  # share of sampled frames that may show two such faces
    min_seconds: float = 4.0  # of video
    min_audio_seconds: float = 1.0  # of a cross-driving audio
    soft_below: float = 160.0  # px of the source; a lower face is enlarged and looks soft
    silent_below: float = 1e-3  # root mean square of the sound (-60 dB of full scale)


@dataclass(frozen=True)
class Crop:
    """Square cut from the source, in px of the displayed picture."""

    x: int
    y: int
    side: int


def sample_frames(path: str | Path, info: io.VideoInfo, settings: IngestSettings):
    """Yield about `settings.samples` frames (h,w,3) uint8 RGB, evenly spaced, and small."""
    scale = min(1.0, settings.sample_side / max(info.width, info.height))
    width, height = round(info.width * scale), round(info.height * scale)
    rate = settings.samples / max(info.duration, 1.0)
    video = io.input_of(path)["V:0"].filter("fps", min(rate, io.FPS))
    yield from io.pipe_frames(
        video.filter("scale", width, height, flags=io.EXACT_COLOUR), width, height, path
    )


def require_one_face(
    path: str | Path, faces: Sequence[np.ndarray], settings: IngestSettings
) -> np.ndarray:
    """Check that one person is in the clip; return the largest face of each frame that has one.

    faces: per sampled frame the boxes (n,4) float x, y, width, height. Returns (m,4).
    """
    if not faces:
        raise InputError(f"{path}: no frame could be decoded; convert it to MP4 and try again")
    by_size = [boxes[np.argsort(-boxes[:, 3])] for boxes in faces]
    found = [boxes[0] for boxes in by_size if len(boxes)]
    if len(found) < settings.min_found * len(faces):
        raise InputError(
            f"{path}: a face was found in {len(found)} of {len(faces)} sampled frames; give a "
            "video in which one person faces the camera all the time, large enough to see"
        )
    two = sum(
        len(boxes) > 1 and boxes[1, 3] > settings.second_face * boxes[0, 3] for boxes in by_size
    )
    if two > settings.max_two_faces * len(faces):
        raise InputError(
            f"{path}: two faces of similar size in {two} of {len(faces)} sampled frames; "
            "crop the video to the one person it should show"
        )
    return np.stack(found)


def choose_crop(faces: np.ndarray, width: int, height: int, settings: IngestSettings) -> Crop:
    """One square for the whole clip that holds the head wherever it goes.

    faces: (m,4) x, y, width, height in px of the width x height source. The square is even in
    position and size (4:2:0 chroma), and never larger than the picture.
    """
    face = float(np.median(faces[:, 3]))
    centres = faces[:, :2] + faces[:, 2:] / 2
    low, high = np.percentile(centres, [2, 98], axis=0)
    reach = float((high - low).max()) + 2 * settings.head_margin * face
    side = max(settings.crop_side * face, reach)
    short = min(width, height)
    if side >= settings.keep_whole * short:
        side = short
    side = int(side) // 2 * 2
    x, y = (low + high) / 2 - side / 2 + np.array([0, settings.crop_centre * face])
    x, y = np.clip([x, y], 0, [width - side, height - side])
    return Crop(int(x) // 2 * 2, int(y) // 2 * 2, side)


def write_cropped(
    source: str | Path, info: io.VideoInfo, crop: Crop, size: int, out: str | Path
) -> int:
    """Cut, scale to size x size and re-time to 25 fps; return the number of frames T.

    Frame i shows the source's picture nearest to i/25 s after its first frame. The picture stays
    in its own YUV from decoder to encoder, so that nothing is lost to colour conversion.
    """
    video = io.square_pixels(io.input_of(source)["V:0"], info)
    video = video.filter("setpts", "PTS-STARTPTS").filter("fps", io.FPS)
    if (crop.side, crop.side) != (info.width, info.height):
        video = video.filter("crop", crop.side, crop.side, crop.x, crop.y)
    if crop.side != size:
        kernel = "area" if crop.side > size else "lanczos"
        video = video.filter("scale", size, size, flags=f"{kernel}+accurate_rnd")
    with atomic(out) as part:
        node = video.output(
            f"file:{part}",
            vcodec="libx264",
            pix_fmt="yuv420p",
            crf=10,
            preset="fast",
            movflags="+faststart",
            fflags="+bitexact",
            progress="pipe:",
        )
        report, _ = io.run_ffmpeg(node, source)
    counts = [line for line in report.decode().splitlines() if line.startswith("frame=")]
    return int(counts[-1].split("=")[1])


def align_audio(samples: np.ndarray, late: float, frames: int) -> np.ndarray:
    """Sound of exactly `frames` * 640 samples that starts with the first frame.

    samples: (n,) int16, 16 kHz. late: seconds by which the picture starts after the sound; what
    was heard before the first frame is cut, what is missing is silence.
    """
    shift = round(late * io.SAMPLE_RATE)
    samples = samples[shift:] if shift > 0 else np.pad(samples, (-shift, 0))
    length = frames * SAMPLES_PER_FRAME
    return np.pad(samples[:length], (0, max(0, length - len(samples))))


def load_any_audio(path: str | Path, settings: IngestSettings) -> np.ndarray:
    """Sound of any file as a driving audio: (n,) int16, 16 kHz mono, n a multiple of 640."""
    try:
        samples = io.decode_audio(path)
    except io.FfmpegError as error:
        raise InputError(f"{path}: has no sound that ffmpeg can read ({error.reason})") from error
    if len(samples) < settings.min_audio_seconds * io.SAMPLE_RATE:
        raise InputError(
            f"{path}: {len(samples) / io.SAMPLE_RATE:.2f} s of sound; at least "
            f"{settings.min_audio_seconds:g} s are needed"
        )
    return samples[: len(samples) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME]


def require_usable(path: str | Path, info: io.VideoInfo, settings: IngestSettings) -> None:
    """Refuse a video without sound, or too short, before any long work on it."""
    if not info.has_audio:
        raise InputError(
            f"{path}: has no audio stream; the avatar learns its lips from speech, "
            "so give the video with its sound"
        )
    if 0 < info.duration < settings.min_seconds:
        raise InputError(too_short(path, info.duration, settings))


def too_short(path: str | Path, seconds: float, settings: IngestSettings) -> str:
    """Message for a clip that lasts only `seconds`."""
    return (
        f"{path}: lasts {seconds:.2f} s; at least {settings.min_seconds:g} s are needed "
        "(22 s or more for 10 s of training and the 12 s test of the paper)"
    )


def warnings_about(face_height: float, sound: np.ndarray, settings: IngestSettings) -> list[str]:
    """What works but will not look or sound good. face_height: px of the source."""
    warnings = []
    if face_height < settings.soft_below:
        warnings.append(
            f"the face is only {face_height:.0f} px high in the source; the avatar will look soft"
        )
    level = float(np.sqrt(np.mean((sound / 32768.0) ** 2)))
    if level < settings.silent_below:
        warnings.append("the sound is silent; the lips cannot be learned from it")
    return warnings


def describe(
    identity: str,
    source: str | Path,
    info: io.VideoInfo,
    crop: Crop,
    frames: int,
    size: int,
    warnings: list[str],
) -> dict:
    """Contents of ingest.json: what was found and decided."""
    test = split.test_range(frames)
    note = None
    if frames < split.TRAIN_FRAMES + split.TEST_FRAMES:
        note = (
            f"{frames / io.FPS:.2f} s are too short for 10 s of training and 12 s of test: "
            f"the last quarter ({test[1] - test[0]} frames) is the test part"
        )
    return {
        "identity": identity,
        "source": Path(source).name,
        "frames": frames,
        "fps": io.FPS,
        "size": size,
        "seconds": frames / io.FPS,
        "crop": asdict(crop),
        "source_video": asdict(info),
        "test": list(test),
        "note": note,
        "warnings": warnings,
    }

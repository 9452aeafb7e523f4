"""Contents of ingest.json, and what is refused before any long work."""

from dataclasses import asdict
from pathlib import Path

from d3talker import split
from d3talker.cli import InputError
from d3talker.ingest.clip import Crop
from d3talker.ingest.select import Selection, too_short
from d3talker.ingest.settings import IngestSettings
from d3talker.ingest.survey import Survey
from d3talker.video import io


def require_usable(path: str | Path, info: io.VideoInfo, settings: IngestSettings) -> None:
    """Refuse a video without sound, or too short, before any long work on it."""
    if not info.has_audio:
        raise InputError(
            f"{path}: has no audio stream; the avatar learns its lips from speech, "
            "so give the video with its sound"
        )
    if 0 < info.duration < settings.min_seconds:
        raise InputError(f"{path}: {too_short(info.duration, settings)}")


def describe(
    identity: str,
    source: str | Path,
    info: io.VideoInfo,
    crop: Crop,
    frames: int,
    size: int,
    test_frames: int | None = None,
) -> dict:
    """What the clip is and of what it was made.

    test_frames: how many frames at the end are the test part; None: as `split.test_range`. Raises
    InputError if they leave less than a second to train on.
    """
    test, note = split.test_range(frames), None
    if test_frames is not None:
        test = frames - test_frames, frames
        if test[0] < split.FPS:
            raise InputError(
                f"{source}: {test_frames} test frames were asked for, but the clip has {frames}; "
                f"at least {split.FPS} must be left to train on"
            )
    elif frames < split.TRAIN_FRAMES + split.TEST_FRAMES:
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
    }


def selected(chosen: Selection, seen: Survey) -> dict:
    """What of the video is in the clip: times in s of the source, people from the left."""
    return {
        "kept": {
            "start": chosen.span.first / io.FPS,
            "stop": chosen.span.stop / io.FPS,
            "of": seen.frames / io.FPS,
        },
        "scenes": [[scene.first / io.FPS, scene.stop / io.FPS] for scene in chosen.scenes],
        "jump_cuts": [frame - chosen.span.first for frame in chosen.jumps],  # frames of the clip
        "person": {"number": chosen.number, "reason": chosen.reason},
        "people": [
            {
                "x": round(one.centre[0]),
                "y": round(one.centre[1]),
                "face_height": round(one.height),
                "speech_corr": one.speech_corr,
            }
            for one in chosen.people
        ],
    }

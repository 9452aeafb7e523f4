"""How good a clip is, and what its avatar will suffer from."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from skimage.measure import blur_effect

from d3talker.ingest.clip import LOOK_STEP, Crop
from d3talker.ingest.people import Person
from d3talker.ingest.scenes import Span
from d3talker.ingest.settings import IngestSettings
from d3talker.ingest.sound import SoundQuality, warnings_about_sound
from d3talker.video.io import FPS, VideoInfo

SMALLEST = 16  # px, side of a face whose blur can be measured


@dataclass(frozen=True)
class PictureQuality:
    """What was measured on the face."""

    face_height: float  # px of the source, median
    face_seen: float  # share of the sampled frames that show it
    head_speed: float  # face heights per s, exceeded in a tenth of the time
    head_range: float  # face heights between the outermost places of its centre
    blur: float | None  # of the face in the clip, 0 sharp to 1 (Crete et al. 2007), median


def picture(person: Person, looks: int, step: int, blur: float | None) -> PictureQuality:
    """Measure how `person`, seen in some of `looks` samples `step` frames apart, moves."""
    centres = person.boxes[:, :2] + person.boxes[:, 2:] / 2
    near = np.diff(person.samples) == 1
    moved = np.linalg.norm(np.diff(centres, axis=0), axis=1)[near]
    speed = float(np.percentile(moved, 90)) * FPS / step if len(moved) else 0.0
    low, high = np.percentile(centres, [2, 98], axis=0)
    return PictureQuality(
        face_height=person.height,
        face_seen=len(person.samples) / looks,
        head_speed=speed / person.height,
        head_range=float((high - low).max()) / person.height,
        blur=blur,
    )


def blur_of_face(
    looks: Iterable[np.ndarray], person: Person, step: int, span: Span, crop: Crop, size: int
) -> float | None:
    """Median blur of the face in grey frames (size,size) of the clip, LOOK_STEP frames apart.

    None for a face too small to be measured. Uses up `looks`. The face is where the nearest sample
    showed it.
    """
    scale = size / crop.side
    blurs = []
    for number, image in enumerate(looks):
        frame = span.first + number * LOOK_STEP
        box = person.boxes[np.argmin(np.abs(person.samples * step - frame))]
        x, y = ((box[:2] - [crop.x, crop.y]) * scale).round().astype(int)
        width, height = (box[2:] * scale).round().astype(int)
        face = image[max(y, 0) : y + height, max(x, 0) : x + width]
        if min(face.shape) >= SMALLEST:
            blurs.append(float(blur_effect(face)))
    return float(np.median(blurs)) if blurs else None


def warnings_about(
    face: PictureQuality, sound: SoundQuality, info: VideoInfo, settings: IngestSettings
) -> list[str]:
    """What works but will not look or sound good."""
    checks = [
        (
            face.face_height < settings.soft_below,
            f"the face is only {face.face_height:.0f} px high in the source; the avatar will look "
            "soft",
        ),
        (
            (face.blur or 0.0) > settings.blurred_above,
            f"the face is blurred ({face.blur or 0:.2f} on a scale from 0 to 1), so the avatar "
            "will be",
        ),
        (
            face.head_speed > settings.fast_above,
            f"the head moves fast ({face.head_speed:.1f} face heights per second in its fastest "
            "tenth); its motion blur goes into the avatar",
        ),
        (
            face.face_seen < settings.seen_below,
            f"the face is seen in {face.face_seen:.0%} of the frames only; the others cannot be "
            "trained on",
        ),
        (
            info.audio_rate < settings.narrow_below,
            f"the sound has only {info.audio_rate} Hz; consonants are hard to tell apart in it",
        ),
    ]
    return [text for applies, text in checks if applies] + warnings_about_sound(sound, settings)

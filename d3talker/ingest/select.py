"""Which stretch of a video becomes the clip, and whom it shows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from d3talker.cli import InputError
from d3talker.ingest import people
from d3talker.ingest.people import Person
from d3talker.ingest.scenes import Span, scenes, stretches
from d3talker.ingest.settings import AUTO, IngestSettings
from d3talker.ingest.survey import Survey
from d3talker.video.io import FPS

MOVING = 95  # percentile of the face's changes; most are 0 in a video of few frames per second

# Correlations of people's mouths with the sound of a span.
Hear = Callable[[Span, Sequence[Person]], Sequence[float]]


@dataclass(frozen=True)
class Selection:
    """What is made of a video."""

    span: Span  # frames of the video at 25 fps
    person: Person  # samples inside the span only
    people: list[Person]  # everybody in the span, from the left to the right
    number: int  # of the person, counted from the left, first 1
    reason: str  # why this person
    scenes: list[Span]
    jumps: list[int]  # frames inside the span at which the take has a cut


def select(
    path: str | Path,
    seen: Survey,
    duration: float,
    wanted: str,
    hear: Hear,
    settings: IngestSettings,
) -> Selection:
    """The longest usable stretch of the video at `path`, and the person in it.

    duration: s that the file says it lasts; 0 unknown. wanted: auto, largest, left, right or a
    number. Raises InputError if there is no such stretch;
    the reason is that of the longest.
    """
    found, jumps = scenes(seen, settings)
    spans = []
    for scene in found:
        visible = [s for s in seen.samples(scene.first, scene.stop) if len(seen.faces[s])]
        spans += stretches(scene, seen, visible, settings)
    problem = _why_none(spans, found, seen, duration, settings)
    for span in sorted(spans, key=lambda span: -span.length):
        if span.length < settings.min_seconds * FPS:
            break
        try:
            chosen = _choose(span, seen, wanted, hear, settings)
        except InputError as error:
            problem = problem or str(error)
            continue
        inside = [frame for frame in jumps if chosen.span.first < frame < chosen.span.stop]
        return replace(chosen, scenes=found, jumps=inside)
    raise InputError(f"{path}: {problem}")


def _why_none(
    spans: Sequence[Span],
    found: Sequence[Span],
    seen: Survey,
    duration: float,
    settings: IngestSettings,
) -> str | None:
    """Why no span is long enough; None if one is."""
    longest = max(spans, key=lambda span: span.length, default=Span(0, 0))
    if longest.length >= settings.min_seconds * FPS:
        return None
    if seen.frames < settings.min_seconds * FPS:
        return too_short(seen.frames / FPS, settings, promised=duration)
    faces = sum(len(boxes) > 0 for boxes in seen.faces)
    if faces < settings.min_found * len(seen.faces):
        return _few_faces(faces, len(seen.faces))
    return (
        f"of its {len(found)} scenes the longest in which a face is seen throughout lasts "
        f"{longest.length / FPS:.2f} s ({longest.seconds()}); at least {settings.min_seconds:g} s "
        "without a cut are needed"
    )


def _few_faces(faces: int, looks: int) -> str:
    return (
        f"a face was found in {faces} of {looks} sampled frames; give a video in which one person "
        "faces the camera all the time, large enough to see"
    )


def too_short(seconds: float, settings: IngestSettings, promised: float = 0.0) -> str:
    """Message for a clip that lasts only `seconds`, although the file says `promised`."""
    lost = ""
    if promised - seconds > settings.missing_picture:
        lost = f" of the {promised:.1f} s that the file promises (cut off? then copy it again)"
    return (
        f"lasts {seconds:.2f} s{lost}; at least {settings.min_seconds:g} s are needed "
        "(22 s or more for 10 s of training and the 12 s test of the paper)"
    )


def _choose(
    span: Span, seen: Survey, wanted: str, hear: Hear, settings: IngestSettings
) -> Selection:
    """Whom `span` shows, and how much of it. Raises InputError, without the file's name."""
    samples = seen.samples(span.first, span.stop)
    faces = [seen.faces[s] for s in samples]
    changes = seen.changes[samples.start : samples.stop]
    if np.isfinite(changes).any() and np.nanpercentile(changes, MOVING) < settings.still_below:
        raise InputError("shows a still picture; give a video in which the person moves and speaks")
    if wanted == AUTO and not people.has_rivals(faces, settings):
        person = people.largest_faces(samples, faces)
        present, index, reason = [person], 0, "the largest face"
    else:
        patience = round(settings.max_gap * FPS / seen.step)
        tracks = people.follow(samples, faces, patience)
        present = people.everybody(tracks, len(samples), settings)
        if not present:
            raise InputError("nobody's face can be followed through it; crop it to one person")
        index, present, reason = people.choose(
            present, wanted, lambda group: hear(span, group), settings
        )
        person = present[index]
    kept = max(
        stretches(span, seen, person.samples.tolist(), settings), key=lambda part: part.length
    )
    if kept.length < settings.min_seconds * FPS:
        raise InputError(
            f"person {index + 1} from the left is seen only from {kept.seconds()}; at least "
            f"{settings.min_seconds:g} s are needed, so name another (--person) or give more video"
        )
    inside = seen.samples(kept.first, kept.stop)
    chosen = (person.samples >= inside.start) & (person.samples < inside.stop)
    if chosen.sum() < settings.min_found * len(inside):
        raise InputError(_few_faces(int(chosen.sum()), len(inside)))
    person = replace(person, samples=person.samples[chosen], boxes=person.boxes[chosen])
    return Selection(kept, person, present, index + 1, reason, [], [])


def warnings_about(
    chosen: Selection, seen: Survey, duration: float, settings: IngestSettings
) -> list[str]:
    """What of the video was left out. duration: s that the file says it lasts; 0 unknown."""
    span, total = chosen.span, seen.frames / FPS
    warnings = []
    if span != Span(0, seen.frames):
        kept = f"only {span.seconds()} of {total:.2f} s are used"
        if len(chosen.scenes) > 1:
            warnings.append(f"{kept}: the longest usable one of {len(chosen.scenes)} scenes")
        elif span == chosen.scenes[0]:
            warnings.append(f"{kept}: the rest is black")
        else:
            warnings.append(f"{kept}: the face is not seen in the rest")
    if len(chosen.people) > 1:
        warnings.append(
            f"{len(chosen.people)} people are seen; taken is number {chosen.number} from the left "
            f"({chosen.reason}); --person (`person` in the configuration) names another"
        )
    if duration > settings.max_seconds + 1:
        warnings.append(
            f"lasts {duration:.0f} s; only its first {settings.max_seconds:g} s are looked at "
            "(max_seconds)"
        )
    elif duration - total > settings.missing_picture:
        warnings.append(
            f"the picture ends after {total:.1f} of {duration:.1f} s; if the file was cut off, "
            "copy or record it again"
        )
    return warnings

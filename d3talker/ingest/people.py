"""Who is in a stretch of video, and which of them the avatar is made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from d3talker.cli import InputError
from d3talker.ingest.settings import AUTO, LARGEST, LEFT, RIGHT, IngestSettings

REACH = 0.75  # face heights that a face may move from one look to the next
OTHER_SIZE = 1.6  # ratio of heights from which on it is another face


@dataclass(frozen=True)
class Person:
    """One face followed through the samples of a stretch."""

    samples: np.ndarray  # (k,) int, samples that show it
    boxes: np.ndarray  # (k,4) float x, y, width, height in px of the source
    speech_corr: float | None = None  # correlation of its mouth with the sound, where measured

    @property
    def height(self) -> float:
        """Median height of the face, px."""
        return float(np.median(self.boxes[:, 3]))

    @property
    def centre(self) -> tuple[float, float]:
        """Median centre of the face, px."""
        x, y = np.median(self.boxes[:, :2] + self.boxes[:, 2:] / 2, axis=0)
        return float(x), float(y)


def follow(samples: Sequence[int], faces: Sequence[np.ndarray], patience: int) -> list[Person]:
    """Link the faces of consecutive samples to people.

    faces: per sample boxes (n,4). A face continues the nearest person of about its size who was
    seen at most `patience` samples ago.
    """
    tracks: list[tuple[list[int], list[np.ndarray]]] = []
    for sample, boxes in zip(samples, faces, strict=True):
        free = [track for track in tracks if sample - track[0][-1] <= patience]
        for box in boxes[np.argsort(-boxes[:, 3])]:
            costs = [_distance(box, track[1][-1]) for track in free]
            if costs and min(costs) < REACH:
                track = free.pop(int(np.argmin(costs)))
            else:
                track = ([], [])
                tracks.append(track)
            track[0].append(sample)
            track[1].append(box)
    return [Person(np.array(seen), np.stack(boxes)) for seen, boxes in tracks]


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    """Face heights between the centres of two boxes (4,); infinite for different sizes."""
    larger, smaller = max(a[3], b[3]), min(a[3], b[3])
    if larger > OTHER_SIZE * smaller:
        return np.inf
    return float(np.linalg.norm(a[:2] + a[2:] / 2 - b[:2] - b[2:] / 2) / larger)


def has_rivals(faces: Sequence[np.ndarray], settings: IngestSettings) -> bool:
    """Whether two faces of similar size are seen too often for somebody who passes by."""
    two = 0
    for boxes in faces:
        heights = np.sort(boxes[:, 3])[::-1]
        two += len(heights) > 1 and heights[1] > settings.second_face * heights[0]
    return two > settings.max_two_faces * len(faces)


def largest_faces(samples: Sequence[int], faces: Sequence[np.ndarray]) -> Person:
    """The largest face of every sample that has one, as one person."""
    found = [(sample, boxes) for sample, boxes in zip(samples, faces, strict=True) if len(boxes)]
    largest = [boxes[np.argmax(boxes[:, 3])] for _, boxes in found]
    return Person(np.array([sample for sample, _ in found]), np.reshape(largest, (-1, 4)))


def everybody(people: Sequence[Person], looks: int, settings: IngestSettings) -> list[Person]:
    """From the left to the right, those seen in enough of `looks` samples and not too small."""
    lasting = [p for p in people if len(p.samples) >= settings.min_found * looks]
    tallest = max((p.height for p in lasting), default=0.0)
    present = [p for p in lasting if p.height >= settings.smallest_person * tallest]
    return sorted(present, key=lambda person: person.centre[0])


def choose(
    people: Sequence[Person],
    wanted: str,
    hear: Callable[[Sequence[Person]], Sequence[float]],
    settings: IngestSettings,
) -> tuple[int, list[Person], str]:
    """Index of the person to take, the people with what was measured of them, and the reason.

    people: from the left to the right, at least one. wanted: auto, largest, left, right or a
    number. hear: correlation of each one's mouth with the sound; asked only if needed.
    Raises InputError, without the file's name, if there is no such person or no clear choice.
    """
    people = list(people)
    order = np.argsort([-person.height for person in people])
    if wanted != AUTO:
        return _named(people, wanted, int(order[0])), people, f"--person {wanted}"
    tallest = people[order[0]].height
    rivals = [i for i, p in enumerate(people) if p.height > settings.second_face * tallest]
    if len(rivals) == 1:
        return rivals[0], people, "the only large face"
    scores = hear([people[i] for i in rivals])
    for i, score in zip(rivals, scores, strict=True):
        people[i] = replace(people[i], speech_corr=score)
    ranks = np.argsort(scores)[::-1]
    best, second = scores[ranks[0]], scores[ranks[1]]
    if best >= settings.speaker_corr and best - second >= settings.speaker_margin:
        return rivals[ranks[0]], people, "who speaks"
    if people[order[0]].height >= settings.clearly_larger * people[order[1]].height:
        return int(order[0]), people, "the largest face"
    raise InputError(
        f"two faces of similar size ({len(people)} people in all) and none of them clearly "
        "speaks; say which to take (--person left, right, largest or a number counted from the "
        "left; `person` in the configuration), or crop the video to the one person"
    )


def _named(people: Sequence[Person], wanted: str, largest: int) -> int:
    index = {LARGEST: largest, LEFT: 0, RIGHT: len(people) - 1}.get(wanted)
    if index is None:
        index = int(wanted) - 1
    if index >= len(people):
        raise InputError(
            f"there is no person {wanted}: {len(people)} seen throughout; choose a number up to "
            f"{len(people)}, left, right or largest"
        )
    return index

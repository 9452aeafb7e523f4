"""The demo people: who they are, how they move, and their frames, sound and ground truth."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

from d3talker.demo.head import FOCAL_PER_SIZE, FRONTAL, Head, Shape, build_head, deform
from d3talker.demo.portrait import Colours, load_portrait, paint_background, recolour
from d3talker.demo.render import Scene, build_scene, draw
from d3talker.demo.voice import Voice, mouth_targets, random_phones, synthesize
from d3talker.face.model import FACE_POINTS, LOWER_LIP, UPPER_LIP
from d3talker.split import FPS

TURN = np.radians([3.5, 7.0, 2.5])  # largest nod, shake and tilt of the head
SHIFT = np.array([0.008, 0.005, 0.010])  # m, largest movement to the side, up and forth
SLOW, FAST = 0.08, 0.45  # Hz, range of the frequencies of head motion
BLINK_SHAPE = np.array([0.5, 1.0, 0.9, 0.4])  # lid closure in consecutive frames


@dataclass(frozen=True)
class Person:
    """Everything that tells one demo person from another. wall: hue of the background, degrees."""

    name: str
    mirrored: bool = False
    shape: Shape = field(default_factory=Shape)
    colours: Colours = field(default_factory=Colours)
    voice: Voice = field(default_factory=Voice)
    wall: float = 210.0


CAST = (
    Person("ada", voice=Voice(pitch=190, formant_scale=1.15)),
    Person(
        "ben",
        mirrored=True,
        shape=Shape(width=1.04, length=1.06, jaw=1.14, nose=1.15),
        colours=Colours((-9, 3, 5), (-38, 3, -8), hair_contrast=0.8, cloth=(0.25, 0.38, 0.60)),
        voice=Voice(pitch=110, formant_scale=1.0, pace=1.05),
        wall=35,
    ),
    Person(
        "cleo",
        shape=Shape(width=1.06, length=0.95, jaw=0.93, nose=0.95),
        colours=Colours((-24, 6, 10), (-45, 0, -22), hair_contrast=0.6, cloth=(0.32, 0.55, 0.36)),
        voice=Voice(pitch=160, formant_scale=1.08, pace=0.95),
        wall=320,
    ),
)


def choose_people(count: int, seed: int) -> list[Person]:
    """The first `count` people: the cast, then persons drawn from the seed."""
    drawn = (random_person(i, np.random.default_rng([seed, i])) for i in range(len(CAST), count))
    return [*CAST[:count], *drawn]


def random_person(index: int, rng: np.random.Generator) -> Person:
    """Person number `index` with random looks and voice."""
    dark = rng.uniform(0, 1)
    return Person(
        name=f"person{index + 1}",
        mirrored=bool(rng.integers(2)),
        shape=Shape(*rng.uniform(0.94, 1.08, 2), *rng.uniform(0.9, 1.14, 2)),
        colours=Colours(
            skin=(-26 * dark, 6 * dark, 10 * dark),
            hair=(rng.uniform(-45, 5), rng.uniform(0, 12), rng.uniform(-22, 5)),
            hair_contrast=rng.uniform(0.6, 1.0),
            cloth=tuple(rng.uniform(0.2, 0.7, 3)),
        ),
        voice=Voice(rng.uniform(95, 220), rng.uniform(0.98, 1.18), rng.uniform(0.9, 1.1)),
        wall=rng.uniform(0, 360),
    )


@dataclass(frozen=True)
class Performance:
    """What a person does in T frames: labels (100 per second) phones, sound (n,) float32 at 16 kHz,
    expression (T,4) values of head.EXPRESSIONS, turn (T,3) rad about the camera's axes, shift
    (T,3) m in camera space."""

    labels: np.ndarray
    sound: np.ndarray
    expression: np.ndarray
    turn: np.ndarray
    shift: np.ndarray


def perform(voice: Voice, seconds: float, rng: np.random.Generator) -> Performance:
    """Random speech of whole frames, with head motion, blinks and brows."""
    frames = round(seconds * FPS)
    labels, sound = speak(voice, frames / FPS, rng)
    brow = 0.8 * wave(frames, 1, rng)
    expression = np.column_stack([mouth_targets(labels), blinks(frames, rng), brow])
    turn, shift = TURN * wave(frames, 3, rng), SHIFT * wave(frames, 3, rng)
    return Performance(labels, sound, expression, turn, shift)


def speak(voice: Voice, seconds: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A random utterance: phone labels (100 per second) and its sound (n,) float32 at 16 kHz."""
    labels = random_phones(rng, seconds, voice.pace)
    return labels, synthesize(labels, voice, rng)


def wave(frames: int, curves: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth random curves (frames, curves) in [-1,1]: sums of three sines."""
    time = np.arange(frames)[:, None, None] / FPS
    frequency = rng.uniform(SLOW, FAST, (3, curves))
    phase = rng.uniform(0, 2 * np.pi, (3, curves))
    return np.sin(2 * np.pi * frequency * time + phase).mean(axis=1)


def blinks(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Lid closure (frames,) 0 to 1: a blink every two to four seconds."""
    closure = np.zeros(frames + len(BLINK_SHAPE))
    start = int(rng.uniform(0.5, 2.0) * FPS)
    while start < frames:
        closure[start : start + len(BLINK_SHAPE)] = BLINK_SHAPE
        start += int(rng.uniform(2.0, 4.0) * FPS)
    return closure[:frames]


def build_person(person: Person, size: int, rng: np.random.Generator) -> Scene:
    """The person before a random background, ready to draw at size x size."""
    portrait = load_portrait(person.mirrored)
    head = build_head(portrait, person.shape)
    background = paint_background(rng, size, person.wall)
    return build_scene(portrait, recolour(portrait, person.colours), head, background)


def poses(head: Head, performance: Performance) -> tuple[np.ndarray, np.ndarray]:
    """Head poses of a performance: R (T,3,3), t (T,3) m with X_cam = R @ X_head + t."""
    turn = Rotation.from_euler("xyz", performance.turn).as_matrix()
    return turn @ FRONTAL, head.center + performance.shift


def film(scene: Scene, performance: Performance) -> Iterator[np.ndarray]:
    """Yield the frames (S,S,3) uint8 RGB of a performance."""
    R, t = poses(scene.head, performance)
    for i, expression in enumerate(performance.expression):
        yield draw(scene, expression, R[i], t[i])


def ground_truth(scene: Scene, performance: Performance) -> dict[str, np.ndarray]:
    """What is known of a film.

    expression (T,4) values of head.EXPRESSIONS; R (T,3,3), t (T,3) m; focal () px; faces (T,468,3)
    m, the FaceMesh points without the irises in HEAD space; mouth_opening (T,) m between landmarks
    13 and 14; phones (100 per second) strings.
    """
    R, t = poses(scene.head, performance)
    faces = np.array([deform(scene.head, e)[:FACE_POINTS] for e in performance.expression])
    lips = faces[:, UPPER_LIP] - faces[:, LOWER_LIP]
    return {
        "expression": performance.expression.astype(np.float32),
        "R": R.astype(np.float32),
        "t": t.astype(np.float32),
        "focal": np.float32(FOCAL_PER_SIZE * scene.background.shape[0]),
        "faces": faces.astype(np.float32),
        "mouth_opening": np.linalg.norm(lips, axis=1).astype(np.float32),
        "phones": performance.labels,
    }

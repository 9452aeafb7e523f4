"""Label images from the colours of parsing/<i>.png and the masks of teeth (spec 1.4, 1.10)."""

import numpy as np

from d3talker import artifacts
from d3talker.artifacts import ArtifactError
from d3talker.cli import InputError
from d3talker.export.dataset import COLOURS, parsing_image
from d3talker.face.parsing import FACE, INNER_MOUTH, TEETH
from d3talker.imported import layout
from d3talker.imported.dataset import Dataset

STEP = 100  # divides the channels' values 0, 100 and 255 into 0, 1 and 2
# Colours by their channels so divided. Teeth, painted as skin, come from masks of their own.
LABELS = np.zeros((3, 3, 3), np.uint8)
for _label, _colour in COLOURS.items():
    if _label != TEETH:
        LABELS[tuple(value // STEP for value in _colour)] = _label


def labels_of(image: np.ndarray, teeth: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Labels (H,W) uint8 of a parsing image (H,W,3) RGB, and where (H,W) bool its colour is none.

    teeth (H,W) bool: they count where face or inner mouth is (spec 1.11); elsewhere the detector
    saw some where no mouth can be.
    """
    labels = LABELS[tuple(image[..., channel] // STEP for channel in range(3))]
    unknown = (parsing_image(labels) != image).any(axis=2)
    if teeth is not None:
        labels[teeth & ((labels == FACE) | (labels == INNER_MOUTH))] = TEETH
    return labels, unknown


def load_labels(dataset: Dataset, number: int) -> np.ndarray:
    """Labels (S,S) uint8 of frame `number`. Raises InputError where a colour is none of theirs."""
    path = layout.frame_file(dataset.folder, layout.PARSING, number)
    image = artifacts.load_image(path)
    if image.ndim != 3 or image.shape[2] != 3:
        raise InputError(f"{path}: is no RGB image; {_colours()}")
    teeth = _load_teeth(dataset, number) if dataset.teeth else None
    labels, unknown = labels_of(image, teeth)
    if unknown.any():
        y, x = np.argwhere(unknown)[0]
        raise InputError(
            f"{path}: has {int(unknown.sum())} pixels of other colours, the first"
            f" {tuple(image[y, x].tolist())} at x {x}, y {y}; {_colours()}"
        )
    return labels


def load_torso(dataset: Dataset, number: int) -> np.ndarray:
    """The torso (S,S,4) uint8 RGBA of frame `number`, alpha 0 or 255."""
    path = layout.frame_file(dataset.folder, layout.TORSO, number)
    image = artifacts.load_image(path)
    if image.ndim != 3 or image.shape[2] != 4:
        raise InputError(f"{path}: is no RGBA image; the torso's alpha says what it covers")
    image[..., 3] = np.where(image[..., 3] > 127, 255, 0)
    return image


def _load_teeth(dataset: Dataset, number: int) -> np.ndarray:
    path = layout.frame_file(dataset.folder, layout.TEETH, number)
    try:
        mask = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: not a readable array ({error})") from error
    if mask.ndim != 2:
        raise InputError(f"{path}: has shape {mask.shape}; a mask of the frame is needed")
    return mask != 0


def _colours() -> str:
    known = ", ".join(str(colour) for label, colour in COLOURS.items() if label != TEETH)
    return f"the colours of the programs' face parsing are {known}"

"""A dataset folder, looked through before any long work: is all there that is needed?"""

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from d3talker import artifacts
from d3talker.artifacts import ArtifactError
from d3talker.cli import InputError
from d3talker.face.action_units import MAXIMUM, NAMES
from d3talker.imported import layout
from d3talker.imported.cameras import Cameras, listed, read_cameras
from d3talker.ingest.settings import IngestSettings
from d3talker.metrics.openface import intensities
from d3talker.split import FPS

SMALLEST = 64  # px, side of a frame
MADE_BY = "it is written by the preprocessing of InsTaG and its relatives (process.py)"


class Dataset(NamedTuple):
    """What a folder holds. All of it is there, of the same frames and the same size."""

    folder: Path
    frames: int
    size: int  # px, side of the square frames
    cameras: Cameras
    au: np.ndarray | None  # (T,6) float32, columns action_units.NAMES; None without au.csv
    teeth: bool  # whether there are masks of teeth, as beside a parsing with inner mouths


def open_dataset(folder: str | Path) -> Dataset:
    """Look through `folder`: names, sizes and numbers of all files, which takes seconds.

    Raises InputError or ArtifactError, which names the file, if it cannot be used.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    needed = [folder / name for name in (layout.TRAIN, layout.TEST, layout.PLATE)]
    needed += [layout.frame_file(folder, part, 0) for part in layout.NEEDED]
    for path in needed:
        if not path.is_file():
            raise InputError(f"{path}: no such file; {MADE_BY}")
    size = _size(layout.frame_file(folder, layout.IMAGES, 0))
    cameras = read_cameras(folder, size)
    frames = len(cameras.R)
    if frames < IngestSettings().min_seconds * FPS:
        raise InputError(
            f"{folder}: has {frames} frames, {frames / FPS:.1f} s; at least"
            f" {IngestSettings().min_seconds:g} s are needed"
        )
    teeth = (folder / layout.TEETH).is_dir()
    parts = [*layout.NEEDED, *([layout.TEETH] if teeth else [])]
    for part in parts:
        _require_all(folder, part, frames)
    for part in parts[1:]:
        for number in range(frames):
            path = layout.frame_file(folder, part, number)
            _require_shape(
                path, _npy_shape(path) if part == layout.TEETH else _png_shape(path), size
            )
    _require_shape(folder / layout.PLATE, artifacts.load_image(folder / layout.PLATE).shape, size)
    return Dataset(folder, frames, size, cameras, _action_units(folder, frames), teeth)


def load_frame(dataset: Dataset, number: int) -> np.ndarray:
    """Frame `number` as filmed, (S,S,3) uint8 RGB."""
    path = layout.frame_file(dataset.folder, layout.IMAGES, number)
    image = artifacts.load_image(path)
    _require_shape(path, image.shape, dataset.size)
    return image


def _size(path: Path) -> int:
    """Side of the first frame, which must be square and even."""
    height, width = artifacts.load_image(path).shape[:2]
    if height != width:
        raise InputError(
            f"{path}: has {width}x{height} pixels; frames must be square. Cut a square"
            " around the head out of the video and make the dataset again"
        )
    if height % 2 or height < SMALLEST:
        raise InputError(
            f"{path}: has {width}x{height} pixels; an even side from {SMALLEST} is needed"
        )
    return height


def _require_all(folder: Path, part: str, frames: int) -> None:
    """Raise InputError unless `part` has the files 0 to frames - 1, and no more of ori_imgs.

    More frames than cameras mean that the tracker passed over some, and that those after them have
    the cameras of others.
    """
    found = layout.numbered(folder, part)
    if missing := sorted(set(range(frames)) - set(found)):
        raise InputError(
            f"{layout.frame_file(folder, part, missing[0])}: no such file; there are cameras of"
            f" {frames} frames, but {part}/ lacks {listed(missing)}"
        )
    if part == layout.IMAGES and len(found) > frames:
        raise InputError(
            f"{folder / part}: holds {len(found)} frames, but there are cameras of {frames}; the"
            " tracker may have skipped some without a face, and then the others have each other's"
            " cameras. Cut such frames out of the video and make the dataset again"
        )


def _require_shape(path: Path, shape: tuple[int, ...], size: int) -> None:
    if shape[:2] != (size, size):
        found = "x".join(map(str, shape[1::-1]))
        raise InputError(f"{path}: has {found} pixels, but the first frame {size}x{size}")


def _png_shape(path: Path) -> tuple[int, int]:
    """Height and width of a PNG, by its header."""
    with path.open("rb") as file:
        head = file.read(24)
    if head[:8] != b"\x89PNG\r\n\x1a\n" or len(head) < 24:
        raise ArtifactError(f"{path}: not a readable PNG")
    width, height = struct.unpack(">II", head[16:])
    return height, width


def _npy_shape(path: Path) -> tuple[int, ...]:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False).shape
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: not a readable array ({error})") from error


def _action_units(folder: Path, frames: int) -> np.ndarray | None:
    """The units of au.csv in the ranges of `face.action_units`; None if there is no such file."""
    path = folder / layout.ACTION_UNITS
    if not path.is_file():
        return None
    units = intensities(path, [name.removeprefix("AU") for name in NAMES])
    if len(units) < frames:
        raise InputError(
            f"{path}: has {len(units)} rows, but there are cameras of {frames} frames; run OpenFace"
            " on the whole video"
        )
    return np.minimum(units[:frames], MAXIMUM).astype(np.float32)

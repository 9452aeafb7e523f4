"""What OpenFace finds: action units of a clip, and their error in a render, AUE (spec 1.10, 7.7).

OpenFace is not part of this project: the user runs it and gives its CSV files.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from d3talker.artifacts import ArtifactError
from d3talker.face.action_units import MAXIMUM, NAMES

UPPER = ("01", "02", "04", "05", "06", "07", "09", "45")
LOWER = ("10", "12", "14", "15", "17", "20", "23", "25", "26")
UNITS = (*UPPER, *LOWER)
LARGEST = 5.0  # of OpenFace's intensities, which begin at 0


def file_name(identity: str, variant: str, secs: int, drive: str) -> str:
    """What OpenFace's file of a render is called; that of the truth is <identity>.csv."""
    return f"{identity}.{variant}.{secs}s.{drive}.csv"


def load_intensities(path: str | Path) -> np.ndarray:
    """Intensities (T,17) of the action units UNITS, as `intensities` reads them."""
    return intensities(path, UNITS)


def intensities(path: str | Path, units: Iterable[str]) -> np.ndarray:
    """Intensities (T,n) of n action units, such as "45", in the order of frames.

    Frames on which OpenFace failed count as it wrote them, as in the field. Raises ArtifactError
    naming file and column if one is missing or holds what OpenFace does not write.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ArtifactError(f"{path}: not a readable CSV of OpenFace ({error})") from error
    header = [name.strip() for name in rows[0]] if rows else []
    columns = []
    for unit in units:
        name = f"AU{unit}_r"
        if name not in header:
            raise ArtifactError(f"{path}: no column {name}; run OpenFace with -aus")
        columns.append(column(path, rows[1:], header.index(name), name))
    return np.stack(columns, axis=1)


def column(path: str | Path, rows: list[list[str]], index: int, name: str) -> np.ndarray:
    """One column of numbers (T,)."""
    values = []
    for number, row in enumerate(rows, start=2):
        try:
            value = float(row[index])
        except (IndexError, ValueError):
            value = float("nan")
        if not 0 <= value <= LARGEST:
            shown = row[index] if index < len(row) else "nothing"
            raise ArtifactError(
                f"{path}: column {name}, line {number}: {shown}, not an intensity from 0 to 5"
            )
        values.append(value)
    return np.array(values)


def of_clip(path: str | Path, frames: int) -> np.ndarray:
    """Action units (frames,6) float32 of eyes and brows, columns and ranges of action_units.NAMES.

    Raises ArtifactError if the file is not of a clip of so many frames.
    """
    intensities = load_intensities(path)
    if len(intensities) != frames:
        raise ArtifactError(
            f"{path}: {len(intensities)} frames, but the clip has {frames}; run OpenFace on"
            " all of the clip, results/<name>/video.mp4"
        )
    columns = [UNITS.index(name.removeprefix("AU")) for name in NAMES]
    return np.minimum(intensities[:, columns], MAXIMUM).astype(np.float32)


def test_part(
    path: str | Path, intensities: np.ndarray, start: int, frames: int, clip: int
) -> np.ndarray:
    """The rows (frames,17) of the rendered frames, the first being frame `start` of the clip.

    The file holds them alone, or the whole clip, `clip` frames.
    """
    if len(intensities) == frames:
        return intensities
    if len(intensities) == clip:
        return intensities[start : start + frames]
    raise ArtifactError(
        f"{path}: {len(intensities)} frames, but {frames} were rendered and the clip has {clip}"
    )


def aue(render: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Mean squared differences (spec 7.7), summed over the units of the lower and the upper face.

    render, truth: intensities (T,17).
    """
    errors = dict(zip(UNITS, ((render - truth) ** 2).mean(axis=0), strict=True))
    parts = {"aue_lower": LOWER, "aue_upper": UPPER}
    return {name: float(sum(errors[unit] for unit in units)) for name, units in parts.items()}

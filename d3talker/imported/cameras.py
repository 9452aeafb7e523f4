"""Cameras and split of a dataset folder: its two transforms_*.json (spec 1.9)."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from d3talker.artifacts import load_json
from d3talker.cli import InputError
from d3talker.export.dataset import OPENCV_TO_OPENGL
from d3talker.imported import layout
from d3talker.split import FPS

SHOWN = 5  # frames that a message names
ORTHONORMAL = 1e-3  # by which R R^T may differ from the identity
CENTRED = 1.0  # px by which the principal point may lie off the middle, where all programs put it


class Cameras(NamedTuple):
    """Cameras of T frames, to which the head is still, and which of them are tested."""

    focal: float  # px
    R: np.ndarray  # (T,3,3) from the dataset's head space to the OpenCV camera
    t: np.ndarray  # (T,3) m
    test: tuple[int, int]  # frames [start, stop)


def head_to_camera(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """OpenCV poses R (T,3,3), t (T,3) m of OpenGL matrices camera to world (T,4,4) (spec 1.9).

    The inverse of `export.dataset.camera_to_world`.
    """
    to_camera = matrices[:, :3, :3].transpose(0, 2, 1)
    t = -np.einsum("tij,tj->ti", to_camera, matrices[:, :3, 3])
    return OPENCV_TO_OPENGL @ to_camera, t @ OPENCV_TO_OPENGL


def read_cameras(folder: Path, size: int) -> Cameras:
    """Cameras of the dataset in `folder`, whose frames are size x size.

    Raises InputError, which names the file, where they cannot be used.
    """
    parts = {name: _part(folder / name, size) for name in (layout.TRAIN, layout.TEST)}
    (focal, train, matrices), (focal_test, tested, more) = parts.values()
    if abs(focal - focal_test) > 1e-6 * focal:
        raise InputError(
            f"{folder / layout.TEST}: focal_len is {focal_test:g}, but {focal:g} in {layout.TRAIN};"
            " one camera must have filmed the clip"
        )
    # The loaders drop the last entry of the test part (spec 1.11).
    test = split(folder, train, tested[:-1])
    matrices = matrices | more
    frames = max(matrices) + 1
    if missing := sorted(set(range(frames)) - set(matrices)):
        raise InputError(
            f"{folder}: {layout.TRAIN} and {layout.TEST} have no camera of {listed(missing)}; every"
            f" frame from 0 to {frames - 1} needs one. Trackers that skip frames without a face"
            " leave such gaps: cut these frames out of the video and make the dataset again"
        )
    R, t = head_to_camera(np.stack([matrices[number] for number in range(frames)]))
    if (behind := np.flatnonzero(t[:, 2] <= 0)).size:
        raise InputError(
            f"{folder}: the head is behind the camera in {listed(behind.tolist())}; matrices must"
            " be camera to world with the axes of OpenGL (x right, y up, looking along -z)"
        )
    return Cameras(focal, R, t, test)


def split(folder: Path, train: list[int], tested: list[int]) -> tuple[int, int]:
    """Test frames [start, stop) of the frames that each part lists.

    Raises InputError unless the tested frames follow each other, and all training frames come
    before them.
    """
    path = folder / layout.TEST
    if not tested:
        raise InputError(
            f"{path}: lists fewer than two frames, of which the programs drop the last; so nothing"
            " would be tested"
        )
    start, stop = min(tested), max(tested) + 1
    if set(tested) != set(range(start, stop)):
        raise InputError(
            f"{path}: its frames are not one stretch of the clip; list it without gaps"
        )
    if late := [number for number in sorted(train) if number >= start]:
        raise InputError(
            f"{folder / layout.TRAIN}: trains on {listed(late)}, but the test part begins at frame"
            f" {start}; it must be the end of the clip, apart from what trains"
        )
    if start < FPS:
        raise InputError(
            f"{folder / layout.TRAIN}: {start} frames train; at least {FPS}, a second, are needed"
        )
    return start, stop


def chosen_test(folder: str | Path, frames: int, wanted: int) -> tuple[int, int]:
    """Test frames [start, stop) if the last `wanted` of `frames` are to be tested, whatever the
    dataset says. Raises InputError if less than a second is left to train on."""
    if frames - wanted < FPS:
        raise InputError(
            f"{folder}: {wanted} test frames were asked for, but it has {frames}; at least {FPS}"
            " must be left to train on"
        )
    return frames - wanted, frames


def listed(numbers: list[int]) -> str:
    """`frame 3` or `12 frames (3, 4, 5, 6, 7 ...)`."""
    if len(numbers) == 1:
        return f"frame {numbers[0]}"
    more = " ..." if len(numbers) > SHOWN else ""
    return f"{len(numbers)} frames ({', '.join(map(str, numbers[:SHOWN]))}{more})"


def _part(path: Path, size: int) -> tuple[float, list[int], dict[int, np.ndarray]]:
    """Focal length (px), the frames in the order of the file, and their matrices (4,4)."""
    content = load_json(path)
    try:
        focal = float(content["focal_len"])
        centre = [float(content.get(key, size / 2)) for key in ("cx", "cy")]
        entries = [
            (int(entry["img_id"]), int(entry.get("aud_id", entry["img_id"])), entry)
            for entry in content["frames"]
        ]
        found = {number: np.array(e["transform_matrix"], float) for number, _, e in entries}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: is not laid out as these files are (focal_len, and frames with img_id and"
            f" transform_matrix): {error!r}"
        ) from error
    if not (np.isfinite(focal) and focal > 0):
        raise InputError(f"{path}: focal_len is {focal}, no focal length in px")
    if any(abs(value - size / 2) > CENTRED for value in centre):
        raise InputError(
            f"{path}: cx and cy are {centre[0]:g} and {centre[1]:g}, but the frames have"
            f" {size}x{size} pixels; the cameras must be those of these frames"
        )
    if shifted := [number for number, sound, _ in entries if number != sound]:
        raise InputError(
            f"{path}: aud_id is not img_id in {listed(shifted)}; sound must be in step"
        )
    if negative := [number for number in found if number < 0]:
        raise InputError(f"{path}: img_id of {listed(negative)} is below 0")
    for number, matrix in found.items():
        if not _is_pose(matrix):
            raise InputError(f"{path}: transform_matrix of frame {number} is no rotation and place")
    return focal, [number for number, _, _ in entries], found


def _is_pose(matrix: np.ndarray) -> bool:
    """Whether a matrix is 4 x 4, finite, and a rotation with a shift."""
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        return False
    rotation = matrix[:3, :3]
    square = np.abs(rotation @ rotation.T - np.eye(3)).max() < ORTHONORMAL
    return bool(square and np.linalg.det(rotation) > 0)

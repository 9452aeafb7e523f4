"""A geometry prior: depth and normals of the frames as a network for single pictures sees them.

The paper's is Sapiens (spec 1.10). This project reads such a prior and makes none.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from d3talker import artifacts
from d3talker.cli import InputError
from d3talker.train.scene import Scene


@dataclass(frozen=True)
class Geometry:
    """The prior of the frames of a scene that have one, cut to the scene's crops."""

    items: dict[int, int]  # number of a frame in the clip -> place in the arrays
    depth: np.ndarray  # (n,h,w) float16 or float32, larger is farther, of any unit
    normals: np.ndarray  # (n,h,w,3) the same type, unit normals, x right, y up, z to the camera

    def of(self, frame: int, device: torch.device | str) -> tuple[Tensor, Tensor] | None:
        """Depth (h,w) and normals (h,w,3) float32 of a frame; None if it has none."""
        if frame not in self.items:
            return None
        place = self.items[frame]
        return tuple(
            torch.from_numpy(array[place]).to(device).float()
            for array in (self.depth, self.normals)
        )


def load_geometry(path: str | Path, scene: Scene) -> Geometry:
    """Read the prior of a clip for the frames of `scene`.

    The file holds depth (T,S,S), normals (T,S,S,3), float16 or float32, of whole frames, S being
    the side of the clip, and frames (T,), their numbers. Raises InputError for another content,
    values that are not finite, or where no frame of the scene is among them.
    """
    arrays, _ = artifacts.load_arrays(path)
    if missing := {"depth", "normals", "frames"} - set(arrays):
        raise InputError(f"{path}: lacks {', '.join(sorted(missing))}; see docs/architecture.md")
    depth, normals, frames = (arrays[name] for name in ("depth", "normals", "frames"))
    shape = (len(frames), scene.size, scene.size)
    for name, array, wanted in (("depth", depth, shape), ("normals", normals, (*shape, 3))):
        if array.shape != wanted or array.dtype not in (np.float16, np.float32):
            raise InputError(
                f"{path}: {name} must be {wanted} float16 or float32, of the frames of video.mp4; "
                f"it is {array.shape} {array.dtype}"
            )
        if not np.isfinite(array).all():
            raise InputError(f"{path}: {name} has values that are not finite")
    places = {int(frame): place for place, frame in enumerate(frames)}
    known = [i for i, frame in enumerate(scene.indices.tolist()) if frame in places]
    if not known:
        raise InputError(
            f"{path}: holds none of the training frames, which lie between {scene.indices.min()} "
            f"and {scene.indices.max()}"
        )
    height, width = scene.heads.shape[1:]
    chosen = scene.indices[known].tolist()
    windows = [
        np.s_[places[frame], y : y + height, x : x + width]
        for frame, (x, y) in zip(chosen, scene.origins[known], strict=True)
    ]
    return Geometry(
        {frame: place for place, frame in enumerate(chosen)},
        np.stack([depth[window] for window in windows]),
        np.stack([normals[window] for window in windows]),
    )

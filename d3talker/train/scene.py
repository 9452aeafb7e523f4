"""One person's frames, masks and cameras in memory, cut to the box around the head."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from d3talker import artifacts
from d3talker.cli import InputError
from d3talker.face.model import LIPS_OUTER
from d3talker.face.parsing import HAIR, backdrop, extents, head_mask, mouth_mask
from d3talker.splat.rasterize import Camera
from d3talker.video import read_frames

MARGIN = 12  # px around the head, or the mouth, at 512
BLOCK = 32  # px; crops suit the rasterizer tiles and the refiner
MOUTH_AREA = (
    20  # px at 512; a frame that shows less of the inner mouth does not teach it (spec 3.6)
)
BAND = 5  # px at 512; the silhouette's uncertain band, where no alpha is asked for


class SceneFiles(NamedTuple):
    """Paths of one person's prepared artifacts."""

    video: Path
    labels: Path
    background: Path
    torso: Path
    track: Path
    poses: Path | None = None  # refined poses; None: the tracker's


class View(NamedTuple):
    """One frame as the losses see it; every image covers the crop (h,w)."""

    camera: Camera
    image: Tensor  # (h,w,3) ground truth
    backdrop: Tensor  # (h,w,3) what stands behind the head
    inside: Tensor  # (h,w) bool, surely head
    outside: Tensor  # (h,w) bool, surely not head
    mouth: Tensor  # (h,w) bool, inner mouth and teeth
    head: Tensor  # (h,w) bool, all that the avatar draws
    hair: Tensor  # (h,w) bool

    def to(self, device: torch.device | str) -> "View":
        """The same view with its images on `device`."""
        return View(self.camera, *(image.to(device) for image in self[1:]))


@dataclass
class Scene:
    """Frames `indices` of a clip. Images are uint8 crops (n,h,w,...), cameras one per frame."""

    indices: np.ndarray  # (n,) frame numbers in the clip
    size: int
    focal: float
    rotations: np.ndarray  # (n,3,3)
    translations: np.ndarray  # (n,3)
    origins: np.ndarray  # (n,2) x, y of each crop's corner in the frame
    images: np.ndarray
    backdrops: np.ndarray
    heads: np.ndarray  # (n,h,w) bool
    mouths: np.ndarray  # (n,h,w) bool
    hairs: np.ndarray  # (n,h,w) bool
    lips: np.ndarray  # (n,4) left, top, right, bottom of a square around the lips, px of the frame

    def __len__(self) -> int:
        return len(self.indices)

    def camera(self, i: int) -> Camera:
        """Camera of the whole frame of item `i`."""
        return Camera(
            self.rotations[i],
            self.translations[i],
            self.focal,
            self.size / 2,
            self.size / 2,
            self.size,
            self.size,
        )

    def lips_window(self, i: int) -> tuple[slice, slice]:
        """Rows and columns of the square around the lips in the crop of item `i`."""
        left, top, right, bottom = (self.lips[i] - np.tile(self.origins[i], 2)).clip(0).tolist()
        return slice(top, bottom), slice(left, right)

    def view(self, i: int) -> View:
        """Item `i` for training, cut to its crop."""
        height, width = self.heads.shape[1:]
        band = max(1, round(BAND * self.size / 512))
        kernel = np.ones((band, band), np.uint8)
        head = self.heads[i].astype(np.uint8)
        return View(
            self.camera(i).crop(*self.origins[i].tolist(), width, height),
            torch.from_numpy(self.images[i]).float() / 255,
            torch.from_numpy(self.backdrops[i]).float() / 255,
            torch.from_numpy(cv2.erode(head, kernel) > 0),
            torch.from_numpy(cv2.dilate(head, kernel) == 0),
            torch.from_numpy(self.mouths[i]),
            torch.from_numpy(self.heads[i]),
            torch.from_numpy(self.hairs[i]),
        )

    def cut(self, items: np.ndarray, corners: np.ndarray, width: int, height: int) -> "Scene":
        """`items` (n,) of the scene, cut to windows with `corners` (n,2) x, y in their crops."""
        windows = [
            np.s_[i, y : y + height, x : x + width]
            for i, (x, y) in zip(items, corners, strict=True)
        ]
        arrays = ("images", "backdrops", "heads", "mouths", "hairs")
        return replace(
            self,
            indices=self.indices[items],
            rotations=self.rotations[items],
            translations=self.translations[items],
            origins=self.origins[items] + corners,
            lips=self.lips[items],
            **{name: np.stack([getattr(self, name)[w] for w in windows]) for name in arrays},
        )

    def mouth_windows(self) -> "Scene | None":
        """The items that show the inner mouth, cut to windows of one size around it."""
        area = MOUTH_AREA * (self.size / 512) ** 2
        items = np.nonzero(self.mouths.sum(axis=(1, 2)) >= max(1, area))[0]
        return self.cut(items, *boxes(self.mouths[items], self.size)) if len(items) else None


def load_scene(files: SceneFiles, start: int, stop: int, whole: bool = False) -> Scene:
    """Read frames [start, stop) of a person whose artifacts are `files`.

    The crop is the box around the head, and frames in which no face was found are left out;
    with `whole` every frame is there as it is. Raises InputError if no frame remains.
    """
    track, _ = artifacts.load_arrays(files.track)
    valid = track["valid"][start:stop] | whole
    if not valid.any():
        raise InputError(f"{files.track}: no frame with a face between {start} and {stop}")
    indices = start + np.nonzero(valid)[0]
    pose = track if files.poses is None else artifacts.load_arrays(files.poses)[0]
    frames = read_frames(files.video, start, stop)[valid]
    labels = artifacts.load_images(files.labels, indices)
    torso = artifacts.load_images(files.torso, indices)
    background = artifacts.load_image(files.background)
    heads = head_mask(labels)
    size = frames.shape[1]
    rotations, translations = pose["R"][indices], pose["t"][indices]
    focal = float(track["focal"])
    outline = track["shape"][LIPS_OUTER]
    origins, width, height = boxes(heads, size)
    if whole:
        origins, width, height = np.zeros_like(origins), size, size
    crops = [np.s_[y : y + height, x : x + width] for x, y in origins]
    return Scene(
        indices=indices,
        size=size,
        focal=focal,
        rotations=rotations,
        translations=translations,
        origins=origins,
        images=np.stack([f[c] for f, c in zip(frames, crops, strict=True)]),
        backdrops=np.stack(
            [
                backdrop(f[c], m[c], t[c], background[c])
                for f, m, t, c in zip(frames, labels, torso, crops, strict=True)
            ]
        ),
        heads=np.stack([h[c] for h, c in zip(heads, crops, strict=True)]),
        mouths=np.stack([mouth_mask(m[c]) for m, c in zip(labels, crops, strict=True)]),
        hairs=np.stack([m[c] == HAIR for m, c in zip(labels, crops, strict=True)]),
        lips=lip_squares(outline, rotations, translations, focal, mouth_mask(labels)),
    )


def lip_squares(
    outline: np.ndarray,
    rotations: np.ndarray,
    translations: np.ndarray,
    focal: float,
    mouths: np.ndarray,
) -> np.ndarray:
    """Squares around the lips (n,4) int: left, top, right, bottom, px; they may leave the frame.

    The box around the outer lips at rest `outline` (k,3) m, projected, and the inner mouth `mouths`
    (n,H,W) bool, which shows how far the lips are apart; made square about its centre (spec 1.11,
    where 12 landmarks of the outer lips in motion give the box).
    """
    points = np.einsum("nij,kj->nki", rotations, outline) + translations[:, None]
    points = focal * points[..., :2] / points[..., 2:] + mouths.shape[1] / 2
    low, high = points.min(axis=1), points.max(axis=1)
    starts, stops = extents(mouths)
    shown = mouths.any(axis=(1, 2))[:, None]
    low = np.where(shown, np.minimum(low, starts), low)
    high = np.where(shown, np.maximum(high, stops), high)
    side = np.round((high - low).max(axis=1, keepdims=True))
    corner = np.round((low + high - side) / 2)
    return np.concatenate([corner, corner + side], axis=1).astype(int)


def boxes(masks: np.ndarray, size: int) -> tuple[np.ndarray, int, int]:
    """Boxes of one common size around every mask (n,h,w): (origins (n,2) x, y, width, height).

    `size` is the side of a whole frame, to which the margin is in proportion.
    """
    starts, stops = extents(masks)
    limits = np.array(masks.shape[:0:-1])
    box = (stops - starts).max(axis=0) + 2 * round(MARGIN * size / 512)
    box = np.minimum((box + BLOCK - 1) // BLOCK * BLOCK, limits)
    origins = np.clip((starts + stops - box) // 2, 0, limits - box)
    return origins, int(box[0]), int(box[1])

"""Photometric head poses of frames on which nothing was trained: the Gaussians are frozen."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from scipy.signal import savgol_filter
from torch import Tensor

from d3talker.avatar import Avatar, move
from d3talker.cli import progress
from d3talker.splat.camera import Camera
from d3talker.train.pose import PoseCorrection
from d3talker.train.scene import Scene
from d3talker.train.settings import PoseSettings

SUBNASALE = 2  # FaceMesh point between nose and upper lip
EYES = (
    (33, 133, 159, 145, 105, 107),  # corners, lids and brow of one eye
    (263, 362, 386, 374, 334, 336),
)
EYE_MARGIN = 0.006  # m around the eyes, in which a static head is wrong as well


def refine_poses(
    avatar: Avatar,
    scene: Scene,
    shape: np.ndarray,
    start: np.ndarray,
    settings: PoseSettings,
    jump_cuts: Sequence[int] = (),
) -> np.ndarray:
    """Head-space pose corrections (n,6) of every frame of `scene`, smooth in time.

    `start` (6,) is the mean correction of the training frames. `jump_cuts`: frames of the clip that
    do not continue the movement of the frame before; nothing is smoothed across them, nor across
    frames that are missing. The mouth, the jaw and the eyes count little, because the static head
    does not move them.
    """
    with torch.no_grad():
        head = avatar.face.activated()
    corrections = PoseCorrection(
        len(scene), settings.rotation_lr, settings.translation_lr, avatar.device
    )
    mean = torch.from_numpy(start).to(avatar.device)
    for i in progress(range(len(scene)), len(scene), "poses"):
        corrections.values[i] = mean if i == 0 else 0.5 * (mean + corrections.values[i - 1])
        target, backdrop, camera = _scaled_view(scene, i, settings.scale, avatar.device)
        weight = _weight(scene, i, shape, settings).to(avatar.device)
        for step in range(settings.steps):
            pose = corrections.leaf(i)
            moved = move(head, pose[:3], pose[3:])
            image = avatar.rasterize(**moved, camera=camera, background=backdrop).color
            ((image - target).abs().mean(2) * weight).mean().backward()
            corrections.step(i, pose.grad, settings.lr_final ** (step / settings.steps))
    takes = np.split(corrections.values.cpu().numpy(), breaks(scene.indices, jump_cuts))
    return np.concatenate([_smooth(take, settings.smoothing) for take in takes])


def breaks(frames: np.ndarray, jump_cuts: Sequence[int]) -> np.ndarray:
    """Positions in `frames` (n,), ascending, before which the movement is interrupted."""
    after_gap = 1 + np.flatnonzero(np.diff(frames) > 1)
    after_cut = np.searchsorted(frames, jump_cuts)
    return np.setdiff1d(np.union1d(after_gap, after_cut), [0, len(frames)])


def _scaled_view(
    scene: Scene, i: int, scale: float, device: torch.device
) -> tuple[Tensor, Tensor, Camera]:
    view = scene.view(i)
    camera = view.camera.scaled(scale)
    size = (camera.width, camera.height)
    target, backdrop = (
        torch.from_numpy(cv2.resize(image.numpy(), size, interpolation=cv2.INTER_AREA)).to(device)
        for image in (view.image, view.backdrop)
    )
    return target, backdrop, camera


def _weight(scene: Scene, i: int, shape: np.ndarray, settings: PoseSettings) -> Tensor:
    """Pixel weights (h,w): small below the nose and around the eyes."""
    camera_points = shape @ scene.rotations[i].T + scene.translations[i]
    pixel = scene.focal * camera_points[:, :2] / camera_points[:, 2:] + scene.size / 2
    pixel = (pixel - scene.origins[i]) * settings.scale
    margin = EYE_MARGIN * scene.focal / camera_points[:, 2].mean() * settings.scale
    height, width = (round(n * settings.scale) for n in scene.heads.shape[1:])
    weight = torch.ones(height, width)
    weight[max(0, int(pixel[SUBNASALE, 1])) :] = settings.moving_weight
    for eye in EYES:
        low = np.maximum(0, pixel[list(eye)].min(axis=0) - margin).astype(int)
        high = np.ceil(pixel[list(eye)].max(axis=0) + margin).astype(int)
        weight[low[1] : high[1], low[0] : high[0]] = settings.moving_weight
    return weight


def _smooth(corrections: np.ndarray, window: int) -> np.ndarray:
    """Quadratic filter of `window` frames over time; a take shorter than that stays as it is."""
    if window < 3 or len(corrections) < window:
        return corrections
    return savgol_filter(corrections, window, 2, axis=0).astype(np.float32)

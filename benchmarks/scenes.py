"""Made-up input, like a head in what it costs; no recording of anybody is needed."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from d3talker.avatar import Avatar, Drive
from d3talker.fields.deformation import GeneralField, IndividualField
from d3talker.splat.camera import Camera
from d3talker.splat.gaussians import Gaussians
from d3talker.train.person import Person
from d3talker.train.pose import PoseCorrection
from d3talker.train.scene import Scene, boxes

RADII = np.array([0.092, 0.13, 0.107])  # m, of the head's ellipsoid
MOUTH = np.array([0.0, -0.04, 0.08]), 0.02  # m, middle and radius of the inner mouth
MOUTH_SHARE = 0.15  # Gaussians of the mouth for each of the face
DISTANCE = 0.6  # m from the camera
FOCAL = 1000 / 512  # px for each pixel of the image's side
COARSE = 8  # px, sides of the random images before they are enlarged


def pose() -> tuple[np.ndarray, np.ndarray]:
    """Rotation and translation that put a frontal head before the camera."""
    return np.diag([1.0, -1.0, -1.0]), np.array([0.0, 0.0, DISTANCE])


def head_camera(size: int) -> Camera:
    """A camera in front of the head, which covers about 40 % of its image."""
    return Camera(*pose(), FOCAL * size, size / 2, size / 2, size, size)


def head_gaussians(count: int, seed: int = 0) -> list[Tensor]:
    """The first five arguments of `rasterize`: Gaussians of all sizes on an ellipsoid.

    Sizes and opacities are distributed like those of a head fitted to a real clip with 20 000.
    They are not smaller where there are more: a set of 200 000 is about ten times as dense.
    """
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    arrays = [
        directions * RADII * (1 + 0.02 * rng.normal(size=(count, 1))),
        rng.normal(size=(count, 4)),
        np.exp(rng.normal(-6.4, 0.8, size=(count, 1)) + rng.normal(0, 0.4, size=(count, 3))),
        1 / (1 + np.exp(-rng.normal(-0.6, 1.5, size=count))),
        rng.random((count, 3)),
    ]
    return [torch.tensor(array, dtype=torch.float32, requires_grad=True) for array in arrays]


def as_set(tensors: list[Tensor], means: Tensor, mobility: Tensor) -> Gaussians:
    """Trainable Gaussians with the shapes and colors of `tensors`."""
    _, quats, scales, opacities, colors = (tensor.detach() for tensor in tensors)
    return Gaussians(
        {
            "means": means,
            "quats": quats,
            "scales": torch.log(torch.expm1(scales)),
            "opacities": torch.logit(opacities),
            "colors": colors,
            "mobility": mobility,
        }
    )


def random_images(count: int, size: int) -> np.ndarray:
    """Smooth images uint8 (count,size,size,3)."""
    coarse = torch.rand(count, 3, COARSE, COARSE)
    images = F.interpolate(coarse, (size, size), mode="bilinear")
    return (255 * images).byte().permute(0, 2, 3, 1).numpy()


def head_scene(frames: int, size: int, whole: bool = False) -> Scene:
    """Frames in which a head turns up, cut to the box around it unless `whole`."""
    rotation, translation = pose()
    row, column = np.mgrid[:size, :size] + 0.5 - size / 2
    reach = FOCAL * size / DISTANCE
    head = np.hypot(column / (reach * RADII[0]), row / (reach * RADII[1])) < 1
    middle, radius = MOUTH
    mouth = np.hypot(column - reach * middle[0], row + reach * middle[1]) < reach * radius
    heads, mouths = np.repeat(head[None], frames, 0), np.repeat(mouth[None], frames, 0)
    origins, width, height = boxes(heads, size)
    if whole:
        origins, width, height = np.zeros_like(origins), size, size
    x, y = origins[0]
    window = np.s_[:, y : y + height, x : x + width]
    images, backdrops = random_images(frames, size), random_images(frames, size)
    return Scene(
        indices=np.arange(frames),
        size=size,
        focal=FOCAL * size,
        rotations=np.repeat(rotation[None].astype(np.float32), frames, 0),
        translations=np.repeat(translation[None].astype(np.float32), frames, 0),
        origins=origins,
        images=np.ascontiguousarray(images[window]),
        backdrops=np.ascontiguousarray(backdrops[window]),
        heads=np.ascontiguousarray(heads[window]),
        mouths=np.ascontiguousarray(mouths[window]),
        hairs=np.zeros((frames, height, width), bool),
        lips=np.zeros((frames, 4), int),
    )


def random_drive(frames: int) -> Drive:
    """Control signals of about the size of real ones."""
    return Drive(
        0.05 * torch.randn(frames, 3, 128, 128),
        torch.randn(frames, 8, 29, 16),
        torch.rand(frames, 6),
    )


def head_avatar(gaussians: int, moving: bool) -> Avatar:
    """A head of `gaussians` in the face and some in the mouth; the front half moves if any does."""
    face = head_gaussians(gaussians)
    mouth = head_gaussians(max(1, round(MOUTH_SHARE * gaussians)), seed=1)
    middle, radius = MOUTH
    inside = torch.tensor(middle) + mouth[0].detach() / torch.tensor(RADII) * radius
    means = face[0].detach()
    avatar = Avatar(
        as_set(face, means, (means[:, 2] > 0).float()),
        as_set(mouth, inside.float(), torch.ones(len(inside))),
    )
    if moving:
        avatar.general, avatar.individual = GeneralField(), IndividualField()
    return avatar


def person(gaussians: int, frames: int, size: int, moving: bool) -> Person:
    """A person in training; static, or `moving` by fields."""
    return Person(
        head_scene(frames, size),
        head_avatar(gaussians, moving),
        random_drive(frames) if moving else None,
        PoseCorrection(frames, rotation_lr=1e-4, translation_lr=1e-5),
    )

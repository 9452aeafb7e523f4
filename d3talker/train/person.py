"""One person in training."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from d3talker.avatar import Avatar, Drive
from d3talker.metrics.alexnet import AlexNet
from d3talker.splat.rasterize import GradientStats
from d3talker.train.geometry import Geometry
from d3talker.train.pose import PoseCorrection
from d3talker.train.scene import Scene


@dataclass
class Person:
    """Frames, avatar and control signals of one person; optimisers while the person is trained."""

    scene: Scene
    avatar: Avatar
    drive: Drive | None = None  # None: the head is static
    poses: PoseCorrection | None = None
    motion: Tensor | None = None  # (T,32) F_M of every frame of the clip, where it is frozen
    geometry: Geometry | None = None  # depth and normals that another network saw, if there are any
    alexnet: AlexNet | None = None  # compares patches of the picture, where a loss asks for it
    hooks: Tensor | None = None  # (n,3) face-mouth hook of every item, where the face is frozen
    magnification: float = 1.0  # side of the head's crop over that of `scene`'s windows
    fields: torch.optim.AdamW | None = field(default=None, init=False)
    density: tuple[GradientStats, GradientStats] | None = field(default=None, init=False)
    _queue: list[int] = field(default_factory=list, init=False)

    def next_frame(self, rng: np.random.Generator) -> int:
        """Frames in a shuffled pass without replacement (spec 3.6)."""
        if not self._queue:
            self._queue = rng.permutation(len(self.scene)).tolist()
        return self._queue.pop()

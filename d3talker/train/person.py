"""One person in training."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from d3talker.avatar import Avatar, Drive
from d3talker.metrics.alexnet import AlexNet
from d3talker.splat.rasterize import GradientStats
from d3talker.train.curriculum import FrameScores
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
    scores: FrameScores | None = field(default=None, init=False)  # where the phase chooses frames
    queue: list[int] = field(default_factory=list, init=False)  # items left of the pass

    def next_frame(self, rng: np.random.Generator, allowed: np.ndarray | None = None) -> int:
        """Frames in a shuffled pass without replacement (spec 3.6).

        Where only some are `allowed` (n,) bool, it is the next of them; the others keep their turn.
        If none is left of the pass, one is drawn once more.
        """
        if not self.queue:
            self.queue = rng.permutation(len(self.scene)).tolist()
        if allowed is None:
            return self.queue.pop()
        for place in reversed(range(len(self.queue))):
            if allowed[self.queue[place]]:
                return self.queue.pop(place)
        return int(rng.choice(np.flatnonzero(allowed)))

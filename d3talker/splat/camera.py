"""The pinhole camera of the rasterizers."""

from dataclasses import dataclass, replace

import numpy as np
import torch


@dataclass(frozen=True)
class Camera:
    """A pinhole camera, OpenCV axes (x right, y down, z forward).

    A point X of the world is at `R @ X + t` in front of the camera and is seen at the pixel
    `u = focal * x / z + cx`, `v = focal * y / z + cy`; the centre of the first pixel is at 0.5.
    """

    R: np.ndarray | torch.Tensor  # (3,3) world to camera
    t: np.ndarray | torch.Tensor  # (3,) m
    focal: float  # px
    cx: float  # px
    cy: float  # px
    width: int  # px
    height: int  # px

    def crop(self, x0: int, y0: int, width: int, height: int) -> "Camera":
        """The camera that sees only the window whose top left pixel is column x0 of row y0."""
        return replace(self, cx=self.cx - x0, cy=self.cy - y0, width=width, height=height)

    def scaled(self, factor: float) -> "Camera":
        """The same view in an image `factor` times as large."""
        return replace(
            self,
            focal=self.focal * factor,
            cx=self.cx * factor,
            cy=self.cy * factor,
            width=round(self.width * factor),
            height=round(self.height * factor),
        )

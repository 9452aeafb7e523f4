"""Small corrections of head poses, optimised through the renderer."""

import numpy as np
import torch
from torch import Tensor

BETAS = (0.8, 0.95)  # short memory: a frame is visited a few dozen times


class PoseCorrection:
    """A rotation vector and a translation (m) in head space for each of n frames.

    Each frame has its own Adam moments, stepped only when the frame is visited.
    """

    def __init__(
        self,
        frames: int,
        rotation_lr: float,
        translation_lr: float,
        device: torch.device | str = "cpu",
    ) -> None:
        self.values = torch.zeros(frames, 6, device=device)
        self.rate = torch.tensor([rotation_lr] * 3 + [translation_lr] * 3, device=device)
        self._mean, self._square = torch.zeros_like(self.values), torch.zeros_like(self.values)
        self._steps = torch.zeros(frames, device=device)

    def tensors(self) -> dict[str, Tensor]:
        """Corrections and Adam's moments and steps, by name."""
        return {
            "values": self.values,
            "mean": self._mean,
            "square": self._square,
            "steps": self._steps,
        }

    def leaf(self, i: int) -> Tensor:
        """The correction (6,) of frame `i` as a leaf that collects a gradient."""
        return self.values[i].clone().requires_grad_()

    def step(self, i: int, gradient: Tensor, factor: float = 1.0) -> None:
        """One Adam step of frame `i` with learning rates times `factor`."""
        b1, b2 = BETAS
        self._steps[i] += 1
        self._mean[i] = b1 * self._mean[i] + (1 - b1) * gradient
        self._square[i] = b2 * self._square[i] + (1 - b2) * gradient**2
        mean = self._mean[i] / (1 - b1 ** self._steps[i])
        square = self._square[i] / (1 - b2 ** self._steps[i])
        self.values[i] -= factor * self.rate * mean / (square.sqrt() + 1e-12)


def corrected(
    rotations: np.ndarray, translations: np.ndarray, corrections: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Poses (n,3,3), (n,3) m after head-space corrections (n,6): X_c = R (exp(w) x + v) + t."""
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_rotvec(corrections[:, :3]).as_matrix()
    shift = np.einsum("nij,nj->ni", rotations, corrections[:, 3:])
    return (
        (rotations @ turn).astype(np.float32),
        (translations + shift).astype(np.float32),
    )

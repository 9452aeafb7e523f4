"""Face models shaped as the Basel Face Model, but of few vertices and made up."""

from pathlib import Path

import numpy as np

from d3talker.face.bfm import EXPRESSION, IDENTITY, LANDMARKS, BaselFaceModel
from d3talker.face.model import IBUG_68, FaceModel

FACE_MODEL = Path(__file__).parents[2] / "resources" / "face_model.npz"
ORIGIN = np.array([0.01, -0.02, 0.06])  # m, where its middle lies in HEAD space
VERTICES = LANDMARKS + 2 * 8 * 20 + 40


def basel_like() -> BaselFaceModel:
    """A model whose landmarks are those of our mean face, with small smooth bases.

    Larger ones could make a near face of a far one, which no single camera can tell apart.
    Beside each point of the jaw lie 20 that may show it instead, and bone is scattered about.
    """
    rng = np.random.default_rng(3)
    landmarks = FaceModel.load(FACE_MODEL).mean[IBUG_68] - ORIGIN
    jaw = np.r_[landmarks[:8], landmarks[9:17]]
    back = np.linspace(-0.03, 0.03, 20)[:, None] * [0.1, 0, 1]  # along the cheek
    contours = (jaw[:, None] + back).reshape(-1, 3)
    bone = rng.uniform(-0.05, 0.05, (40, 3))
    mean = np.concatenate([landmarks, contours, bone]).astype(np.float32)

    def basis(count: int, size: float) -> np.ndarray:
        waves = rng.normal(size=(count, 3, 4)) / 0.12
        phase = rng.uniform(0, 6, (count, 1, 4))
        bends = np.sin(np.einsum("vc,kcw->kvw", mean, waves) + phase)
        fading = size / (1 + np.arange(count))[:, None, None] ** 0.5
        return (fading * (bends @ rng.normal(size=(4, 3)))).astype(np.float32)

    numbers = np.arange(VERTICES, dtype=np.int32)
    left, right = numbers[LANDMARKS : LANDMARKS + 320].reshape(2, 8, 20)
    return BaselFaceModel(
        mean=mean,
        identity=basis(IDENTITY, 3e-4),
        expression=basis(EXPRESSION, 3e-4),
        keypoints=numbers[:LANDMARKS],
        left_contour=left,
        right_contour=right,
        rigid=numbers[-40:],
        triangles=np.stack([numbers[:-2], numbers[1:-1], numbers[2:]], axis=1),
    )

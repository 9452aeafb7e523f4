"""How well a face model can take on a person's faces: the measure of the model's bases."""

import numpy as np

from d3talker.face.alignment import similarity
from d3talker.face.model import LEFT_EYE_CORNER, RIGHT_EYE_CORNER, FaceModel

ROUNDS = 8  # of alignment and fit; the error changes by less than a hundredth after four
PRIOR = 1e-6  # m^2, of a squared coefficient: keeps the equations solvable, no more
DEPTH_WEIGHT = 0.5  # FaceMesh's depth is noisy


def reconstruction_error(model: FaceModel, points: np.ndarray) -> float:
    """Mean distance of one person's landmarks from the model's best fit, as a fraction of the
    distance of the outer eye corners.

    points (T,478,3): landmarks, x right, y down, z away, in any unit. One identity is fitted to
    all frames and one expression to each; frames are aligned by similarity. Distances are of all
    points in three dimensions, the irises included.
    """
    points = points.astype(np.float64) * [1, -1, -1]
    mean = model.mean.astype(np.float64)
    identity, expression = (
        basis.astype(np.float64) for basis in (model.identity, model.expression)
    )
    shape, faces = mean, np.broadcast_to(mean, points.shape)
    for _ in range(ROUNDS):
        scale, rotation, shift = similarity(points, faces)
        aligned = scale[:, None, None] * (points @ np.swapaxes(rotation, 1, 2)) + shift[:, None]
        rest = (aligned - (faces - shape)).mean(0)
        shape = mean + fit(identity, rest - mean)
        faces = shape + fit(expression, aligned - shape)
    eyes = np.linalg.norm(shape[LEFT_EYE_CORNER] - shape[RIGHT_EYE_CORNER])
    return float(np.linalg.norm(aligned - faces, axis=2).mean() / eyes)


def fit(basis: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """The moves (...,478,3) that `basis` (K,478,3) can make nearest to `moves`, least squares."""
    axes = np.array([1, 1, DEPTH_WEIGHT])
    flat = (basis * axes).reshape(len(basis), -1)
    target = (moves * axes).reshape(*moves.shape[:-2], -1)
    equations = flat @ flat.T + PRIOR * np.eye(len(basis))
    coefficients = np.linalg.solve(equations, flat @ np.swapaxes(np.atleast_2d(target), 0, 1)).T
    return np.tensordot(coefficients, basis, 1).reshape(moves.shape)

"""Compiled loops of the face tracker: Gauss-Newton equations of the landmarks' reprojection.

Common arguments: shape (478,3) m, the face without expression; basis (E,478,3) m; R (T,3,3),
t (T,3) pose to the OpenCV camera; expression (T,E); target (T,478,2) px relative to the image
centre; weights (T,478); focal px; robust px, where Charbonnier's weighting sets in. All float64.
"""

import numba
import numpy as np

from d3talker.compiled import JIT


@numba.njit(**JIT)
def _posed_point(shape, basis, R, expression, point, rotated):
    """R X of one point, written to `rotated` (3,)."""
    for i in range(3):
        rotated[i] = 0.0
    for j in range(3):
        value = shape[point, j]
        for k in range(len(expression)):
            value += expression[k] * basis[k, point, j]
        for i in range(3):
            rotated[i] += R[i, j] * value


@numba.njit(**JIT)
def _observe(rotated, t, target, weight, focal, robust, slope, residual):
    """Residual (2,) px and pixels per metre in the camera `slope` (2,3); returns the weight."""
    inverse = 1.0 / (rotated[2] + t[2])
    squared = 0.0
    for a in range(2):
        ray = (rotated[a] + t[a]) * inverse
        residual[a] = focal * ray - target[a]
        squared += residual[a] ** 2
        slope[a, 1 - a] = 0.0
        slope[a, a] = focal * inverse
        slope[a, 2] = -focal * ray * inverse
    return weight / np.sqrt(1.0 + squared / robust**2)


@numba.njit(parallel=True, **JIT)
def frame_equations(shape, basis, R, t, expression, target, weights, focal, robust):
    """Equations of each frame, the face held: Gauss-Newton matrix (T,D,D) and gradient (T,D).

    Unknowns of a frame: a turn (3) applied after R, the translation (3), the coefficients (E).
    """
    frames, components, unknowns = len(R), len(basis), 6 + len(basis)
    hessian = np.zeros((frames, unknowns, unknowns))
    gradient = np.zeros((frames, unknowns))
    for f in numba.prange(frames):
        rotated, residual, slope = np.empty(3), np.empty(2), np.empty((2, 3))
        row = np.empty((2, unknowns))
        for p in range(len(shape)):
            if weights[f, p] == 0.0:
                continue
            _posed_point(shape, basis, R[f], expression[f], p, rotated)
            weight = _observe(
                rotated, t[f], target[f, p], weights[f, p], focal, robust, slope, residual
            )
            for a in range(2):
                x, y, z = slope[a]
                row[a, 0] = rotated[1] * z - rotated[2] * y
                row[a, 1] = rotated[2] * x - rotated[0] * z
                row[a, 2] = rotated[0] * y - rotated[1] * x
                row[a, 3], row[a, 4], row[a, 5] = x, y, z
                in_x = x * R[f, 0, 0] + y * R[f, 1, 0] + z * R[f, 2, 0]
                in_y = x * R[f, 0, 1] + y * R[f, 1, 1] + z * R[f, 2, 1]
                in_z = x * R[f, 0, 2] + y * R[f, 1, 2] + z * R[f, 2, 2]
                for k in range(components):
                    move = basis[k, p]
                    row[a, 6 + k] = in_x * move[0] + in_y * move[1] + in_z * move[2]
            for i in range(unknowns):
                first, second = weight * row[0, i], weight * row[1, i]
                gradient[f, i] += first * residual[0] + second * residual[1]
                for j in range(i + 1):
                    hessian[f, i, j] += first * row[0, j] + second * row[1, j]
        for i in range(unknowns):
            for j in range(i):
                hessian[f, j, i] = hessian[f, i, j]
    return hessian, gradient


@numba.njit(parallel=True, **JIT)
def point_equations(shape, basis, R, t, expression, target, weights, focal, robust):
    """Equations of each point of the face, the frames held: matrix (478,3,3), gradient (478,3)."""
    hessian, gradient = np.zeros((len(shape), 3, 3)), np.zeros((len(shape), 3))
    for p in numba.prange(len(shape)):
        rotated, residual, slope = np.empty(3), np.empty(2), np.empty((2, 3))
        for f in range(len(R)):
            if weights[f, p] == 0.0:
                continue
            _posed_point(shape, basis, R[f], expression[f], p, rotated)
            weight = _observe(
                rotated, t[f], target[f, p], weights[f, p], focal, robust, slope, residual
            )
            row = slope @ R[f]
            for i in range(3):
                gradient[p, i] += weight * (row[0, i] * residual[0] + row[1, i] * residual[1])
                for j in range(3):
                    hessian[p, i, j] += weight * (row[0, i] * row[0, j] + row[1, i] * row[1, j])
    return hessian, gradient

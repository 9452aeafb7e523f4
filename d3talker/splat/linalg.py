"""Vectors and matrices of three inside numba kernels: tuples of numbers, which stay in registers.

A matrix is a tuple of its rows.
"""

import math

from numba import njit

from d3talker.compiled import JIT


@njit(**JIT)
def dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@njit(**JIT)
def cross(a, b):
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


@njit(**JIT)
def times(a, b):
    """Element by element."""
    return a[0] * b[0], a[1] * b[1], a[2] * b[2]


@njit(**JIT)
def combined(a, x, b, y):
    """a x + b y, for vectors a, b and numbers x, y."""
    return a[0] * x + b[0] * y, a[1] * x + b[1] * y, a[2] * x + b[2] * y


@njit(**JIT)
def apply(m, v):
    """The matrix times the vector."""
    return dot(m[0], v), dot(m[1], v), dot(m[2], v)


@njit(**JIT)
def transposed(m):
    a, b, c = m
    return (a[0], b[0], c[0]), (a[1], b[1], c[1]), (a[2], b[2], c[2])


@njit(**JIT)
def vector(array):
    """Three numbers of an array, in float64."""
    return float(array[0]), float(array[1]), float(array[2])


@njit(**JIT)
def matrix(array):
    return vector(array[0]), vector(array[1]), vector(array[2])


@njit(**JIT)
def normalized_quaternion(quat):
    """(w,x,y,z) of length one, and the length that `quat` had."""
    w, x, y, z = float(quat[0]), float(quat[1]), float(quat[2]), float(quat[3])
    norm = math.sqrt(w * w + x * x + y * y + z * z)
    return (w / norm, x / norm, y / norm, z / norm), norm


@njit(**JIT)
def rotation_matrix(unit_quaternion):
    w, x, y, z = unit_quaternion
    return (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )


@njit(**JIT)
def quaternion_gradient(unit_quaternion, norm, g):
    """Gradient of the quaternion before normalisation, from `g`, that of its rotation matrix."""
    w, x, y, z = unit_quaternion
    gw = 2 * (x * (g[2][1] - g[1][2]) + y * (g[0][2] - g[2][0]) + z * (g[1][0] - g[0][1]))
    gx = 2 * (y * (g[0][1] + g[1][0]) + z * (g[0][2] + g[2][0]) + w * (g[2][1] - g[1][2]))
    gy = 2 * (x * (g[0][1] + g[1][0]) + z * (g[1][2] + g[2][1]) + w * (g[0][2] - g[2][0]))
    gz = 2 * (x * (g[0][2] + g[2][0]) + y * (g[1][2] + g[2][1]) + w * (g[1][0] - g[0][1]))
    gx -= 4 * x * (g[1][1] + g[2][2])
    gy -= 4 * y * (g[0][0] + g[2][2])
    gz -= 4 * z * (g[0][0] + g[1][1])
    along = gw * w + gx * x + gy * y + gz * z  # normalisation removes this part
    return (
        (gw - along * w) / norm,
        (gx - along * x) / norm,
        (gy - along * y) / norm,
        (gz - along * z) / norm,
    )

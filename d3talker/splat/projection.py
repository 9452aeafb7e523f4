"""From 3-D Gaussians to their ellipses in the image, and the gradient of that step.

Computed in float64, because it is cheap: there are few Gaussians compared with pixels. In the
names below, J is the derivative of the pixel position by the camera-space position, taken at the
centre of the Gaussian, and the axes of a Gaussian are the columns of its rotation matrix.
"""

import math

import numpy as np
from numba import njit, prange

from d3talker.compiled import JIT
from d3talker.splat.linalg import (
    apply,
    combined,
    cross,
    dot,
    matrix,
    normalized_quaternion,
    quaternion_gradient,
    rotation_matrix,
    times,
    transposed,
    vector,
)

NEAR = 0.2  # m; Gaussians nearer than this are not drawn (method spec 3.2)
LOW_PASS = 0.3  # px^2, added to the variance in the image: no ellipse is thinner than a pixel
MIN_ALPHA = 1 / 255  # fainter contributions are skipped
LOG_MIN_ALPHA = math.log(MIN_ALPHA)
LOG2_MIN_ALPHA = np.float32(math.log2(MIN_ALPHA))
RADIUS_SIGMAS = 3.0  # what counts as the radius of a Gaussian on the screen
LN_2 = math.log(2)

# A Gaussian as the image sees it. At distance (dx, dy) from its centre
# log2 alpha = log2_opacity - across (dx - ridge_x dy)^2 - along dy^2.
# A sum of squares is never more than log2_opacity, however elongated the Gaussian is; expanded to
# dx^2, dx dy and dy^2 the terms would be large, and float32 would lose their small sum.
SPLAT = np.dtype(
    [
        ("x", "f4"),  # centre, px
        ("y", "f4"),
        ("across", "f4"),  # 1/px^2
        ("along", "f4"),  # 1/px^2
        ("log2_opacity", "f4"),
        ("ridge_x", "f4"),  # dx where alpha is largest for a given dy, as a share of dy
        ("ridge_y", "f4"),  # dy where alpha is largest for a given dx, as a share of dx
        ("depth", "f4"),  # z in camera space, m
        ("radius", "f4"),  # RADIUS_SIGMAS along the longer axis, px
        ("first_column", "i4"),  # the pixels where alpha can reach MIN_ALPHA; last included
        ("last_column", "i4"),
        ("first_row", "i4"),
        ("last_row", "i4"),
        ("index", "i4"),  # which Gaussian it is
        ("unused", "i4", 2),  # makes it a cache line
    ],
    align=True,
)


@njit(**JIT)
def jacobian(position, focal):
    """The two rows of J at a camera-space position."""
    x, y, z = position
    return (focal / z, 0.0, -focal * x / z**2), (0.0, focal / z, -focal * y / z**2)


@njit(**JIT)
def camera_position(R, t, mean):
    x, y, z = apply(R, mean)
    return x + t[0], y + t[1], z + t[2]


@njit(**JIT)
def pixel_range(centre, half_width, size):
    """First and last pixel whose centre is within `half_width` of `centre`, inside the image."""
    first = max(math.ceil(centre - half_width - 0.5), 0.0)
    last = min(math.floor(centre + half_width - 0.5), size - 1.0)
    return first, last


@njit(**JIT)
def covariance(u, v):
    """Covariance (xx, xy, yy) in the image, px^2, and its determinant.

    u and v are the rows of J times the scaled axes. The determinant is the sum of squares
    |u x v|^2 + LOW_PASS (|u|^2 + |v|^2) + LOW_PASS^2, which is right for a line too.
    """
    uu, vv = dot(u, u), dot(v, v)
    area = cross(u, v)
    determinant = dot(area, area) + LOW_PASS * (uu + vv) + LOW_PASS**2
    return (uu + LOW_PASS, dot(u, v), vv + LOW_PASS), determinant


@njit(**JIT)
def conic(splat, u, v):
    """Inverse (xx, xy, yy) of the covariance in the image, 1/px^2; only its size is of the splat,
    so that what cancels between the three of a needle is in float64."""
    size = (2 * LN_2) ** 2 * float(splat.across) * float(splat.along)  # 1 / determinant
    return (dot(v, v) + LOW_PASS) * size, -dot(u, v) * size, (dot(u, u) + LOW_PASS) * size


@njit(parallel=True, **JIT)
def project(means, quats, scales, opacities, R, t, focal, cx, cy, width, height, splats):
    """Fill `splats` (N,) SPLAT. A Gaussian that leaves no trace in the image gets depth 0."""
    for i in prange(means.shape[0]):
        world_to_camera, translation = matrix(R), vector(t)
        camera_to_world = transposed(world_to_camera)
        splat = splats[i]
        splat.depth = 0.0
        position = camera_position(world_to_camera, translation, vector(means[i]))
        if not (position[2] > NEAR and opacities[i] > MIN_ALPHA):
            continue
        jx, jy = jacobian(position, focal)
        quat, _ = normalized_quaternion(quats[i])
        axes = transposed(rotation_matrix(quat))
        scale = vector(scales[i])
        u = times(apply(axes, apply(camera_to_world, jx)), scale)
        v = times(apply(axes, apply(camera_to_world, jy)), scale)
        (xx, xy, yy), determinant = covariance(u, v)
        x = focal * position[0] / position[2] + cx
        y = focal * position[1] / position[2] + cy
        log_opacity = math.log(opacities[i])
        sigmas = math.sqrt(2 * (log_opacity - LOG_MIN_ALPHA))
        first_column, last_column = pixel_range(x, sigmas * math.sqrt(xx), width)
        first_row, last_row = pixel_range(y, sigmas * math.sqrt(yy), height)
        if not (first_column <= last_column and first_row <= last_row):
            continue
        splat.x, splat.y, splat.depth = x, y, position[2]
        splat.ridge_x, splat.ridge_y = xy / yy, xy / xx
        splat.across, splat.along = 0.5 / LN_2 * yy / determinant, 0.5 / LN_2 / yy
        splat.log2_opacity = log_opacity / LN_2
        largest_variance = 0.5 * (xx + yy + math.sqrt((xx - yy) ** 2 + 4 * xy * xy))
        splat.radius = RADIUS_SIGMAS * math.sqrt(largest_variance)
        splat.first_column, splat.last_column = int(first_column), int(last_column)
        splat.first_row, splat.last_row = int(first_row), int(last_row)
        splat.index = i


@njit(**JIT)
def covariance_gradient(inverse, moments):
    """Gradient (xx, xy = yx, yy) of the covariance in the image from the sums over pixels of
    dL / d log alpha times dx^2, dx dy, dy^2."""
    a, b, c = inverse
    xx, xy, yy = moments[3], moments[4], moments[5]
    # K S K / 2 for the symmetric matrices K (the inverse) and S (the sums)
    return (
        0.5 * (a * a * xx + 2 * a * b * xy + b * b * yy),
        0.5 * (a * b * xx + (a * c + b * b) * xy + b * c * yy),
        0.5 * (b * b * xx + 2 * b * c * xy + c * c * yy),
    )


@njit(**JIT)
def position_gradient(position, focal, by_x, by_y, by_depth, jx_gradient, jy_gradient):
    """Gradient of the camera-space position from those of the pixel position, depth and J."""
    x, y, z = position
    gx = focal / z * by_x - focal / z**2 * jx_gradient[2]
    gy = focal / z * by_y - focal / z**2 * jy_gradient[2]
    gz = (
        by_depth
        - focal / z**2 * (x * by_x + y * by_y + jx_gradient[0] + jy_gradient[1])
        + 2 * focal / z**3 * (x * jx_gradient[2] + y * jy_gradient[2])
    )
    return gx, gy, gz


@njit(parallel=True, **JIT)
def project_backward(
    splats, moments, by_values, means, quats, scales, opacities, R, t, focal,
    mean_gradient, quat_gradient, scale_gradient, opacity_gradient, centre_gradient, value_gradient,
):  # fmt: skip
    """Write the rows of the parameter gradients that belong to `splats` (M,).

    moments (M,6): sums over pixels of dL / d log alpha times 1, dx, dy, dx^2, dx dy, dy^2.
    by_values (M,C): gradients of what is blended, the fourth of which is depth. centre_gradient
    (N,2) is by the pixel position; value_gradient (N,C) is `by_values` in the order of Gaussians.
    """
    for k in prange(splats.shape[0]):
        world_to_camera, translation = matrix(R), vector(t)
        camera_to_world = transposed(world_to_camera)
        splat = splats[k]
        i = splat.index
        position = camera_position(world_to_camera, translation, vector(means[i]))
        jx, jy = jacobian(position, focal)
        quat, norm = normalized_quaternion(quats[i])
        rotation = rotation_matrix(quat)
        axes = transposed(rotation)
        scale = vector(scales[i])
        view_x, view_y = apply(camera_to_world, jx), apply(camera_to_world, jy)
        # u, v: what the axes, before and after scaling, are in the image
        u_unit, v_unit = apply(axes, view_x), apply(axes, view_y)
        u, v = times(u_unit, scale), times(v_unit, scale)
        inverse = conic(splat, u, v)
        g_xx, g_xy, g_yy = covariance_gradient(inverse, moments[k])
        g_u, g_v = combined(u, 2 * g_xx, v, 2 * g_xy), combined(u, 2 * g_xy, v, 2 * g_yy)
        g_scale = combined(times(g_u, u_unit), 1.0, times(g_v, v_unit), 1.0)
        g_u, g_v = times(g_u, scale), times(g_v, scale)
        g_axes = (
            combined(view_x, g_u[0], view_y, g_v[0]),
            combined(view_x, g_u[1], view_y, g_v[1]),
            combined(view_x, g_u[2], view_y, g_v[2]),
        )
        g_jx = apply(world_to_camera, apply(rotation, g_u))
        g_jy = apply(world_to_camera, apply(rotation, g_v))
        by_x = inverse[0] * moments[k, 1] + inverse[1] * moments[k, 2]
        by_y = inverse[1] * moments[k, 1] + inverse[2] * moments[k, 2]
        g_position = position_gradient(position, focal, by_x, by_y, by_values[k, 3], g_jx, g_jy)
        g_mean = apply(camera_to_world, g_position)
        g_quat = quaternion_gradient(quat, norm, transposed(g_axes))
        for axis in range(3):
            mean_gradient[i, axis] = g_mean[axis]
            scale_gradient[i, axis] = g_scale[axis]
        for part in range(4):
            quat_gradient[i, part] = g_quat[part]
        opacity_gradient[i] = moments[k, 0] / opacities[i]
        centre_gradient[i, 0], centre_gradient[i, 1] = by_x, by_y
        for channel in range(by_values.shape[1]):
            value_gradient[i, channel] = by_values[k, channel]

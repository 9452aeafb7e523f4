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
RADIUS_SIGMAS = 3.0  # what counts as the radius of a Gaussian on the screen

# A Gaussian as the image sees it.
SPLAT = np.dtype(
    [
        ("x", "f4"),  # centre, px
        ("y", "f4"),
        ("conic_xx", "f4"),  # inverse of the covariance in the image, 1/px^2
        ("conic_xy", "f4"),
        ("conic_yy", "f4"),
        ("log_opacity", "f4"),
        ("red", "f4"),
        ("green", "f4"),
        ("blue", "f4"),
        ("depth", "f4"),  # z in camera space, m
        ("radius", "f4"),  # RADIUS_SIGMAS along the longer axis, px
        ("first_column", "i4"),  # the pixels where alpha can reach MIN_ALPHA; last included
        ("last_column", "i4"),
        ("first_row", "i4"),
        ("last_row", "i4"),
        ("index", "i4"),  # which Gaussian it is
    ],
    align=True,
)

# Gradient of the loss by the values of a splat that depend on parameters.
SPLAT_GRADIENT = np.dtype(
    [(name, "f4") for name in SPLAT.names[: SPLAT.names.index("depth") + 1]], align=True
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


@njit(parallel=True, **JIT)
def project(means, quats, scales, opacities, colors, R, t, focal, cx, cy, width, height, splats):
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
        xx, xy, yy = dot(u, u) + LOW_PASS, dot(u, v), dot(v, v) + LOW_PASS
        determinant = xx * yy - xy * xy
        x = focal * position[0] / position[2] + cx
        y = focal * position[1] / position[2] + cy
        log_opacity = math.log(opacities[i])
        sigmas = math.sqrt(2 * (log_opacity - LOG_MIN_ALPHA))
        first_column, last_column = pixel_range(x, sigmas * math.sqrt(xx), width)
        first_row, last_row = pixel_range(y, sigmas * math.sqrt(yy), height)
        if not (determinant > 0 and first_column <= last_column and first_row <= last_row):
            continue
        splat.x, splat.y, splat.depth = x, y, position[2]
        splat.conic_xx, splat.conic_xy, splat.conic_yy = (
            yy / determinant,
            -xy / determinant,
            xx / determinant,
        )
        splat.log_opacity = log_opacity
        splat.red, splat.green, splat.blue = colors[i, 0], colors[i, 1], colors[i, 2]
        largest_variance = 0.5 * (xx + yy + math.sqrt((xx - yy) ** 2 + 4 * xy * xy))
        splat.radius = RADIUS_SIGMAS * math.sqrt(largest_variance)
        splat.first_column, splat.last_column = int(first_column), int(last_column)
        splat.first_row, splat.last_row = int(first_row), int(last_row)
        splat.index = i


@njit(**JIT)
def covariance_gradient(splat, gradient):
    """Gradient (xx, xy = yx, yy) of the covariance in the image from that of its inverse."""
    a, b, c = float(splat.conic_xx), float(splat.conic_xy), float(splat.conic_yy)
    ga, gb, gc = float(gradient.conic_xx), 0.5 * gradient.conic_xy, float(gradient.conic_yy)
    # -K G K for the symmetric matrices K (the inverse) and G (its gradient)
    return (
        -(a * a * ga + 2 * a * b * gb + b * b * gc),
        -(a * b * ga + (a * c + b * b) * gb + b * c * gc),
        -(b * b * ga + 2 * b * c * gb + c * c * gc),
    )


@njit(**JIT)
def position_gradient(position, focal, gradient, jx_gradient, jy_gradient):
    """Gradient of the camera-space position from those of the pixel position, depth and J."""
    x, y, z = position
    by_x, by_y = float(gradient.x), float(gradient.y)
    gx = focal / z * by_x - focal / z**2 * jx_gradient[2]
    gy = focal / z * by_y - focal / z**2 * jy_gradient[2]
    gz = (
        gradient.depth
        - focal / z**2 * (x * by_x + y * by_y + jx_gradient[0] + jy_gradient[1])
        + 2 * focal / z**3 * (x * jx_gradient[2] + y * jy_gradient[2])
    )
    return gx, gy, gz


@njit(parallel=True, **JIT)
def project_backward(
    splats, gradients, means, quats, scales, opacities, R, t, focal,
    mean_gradient, quat_gradient, scale_gradient, opacity_gradient, color_gradient,
):  # fmt: skip
    """Write the rows of the parameter gradients that belong to `splats` (M,), from `gradients`
    (M,) SPLAT_GRADIENT."""
    for k in prange(splats.shape[0]):
        world_to_camera, translation = matrix(R), vector(t)
        camera_to_world = transposed(world_to_camera)
        splat, gradient = splats[k], gradients[k]
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
        g_xx, g_xy, g_yy = covariance_gradient(splat, gradient)
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
        g_position = position_gradient(position, focal, gradient, g_jx, g_jy)
        g_mean = apply(camera_to_world, g_position)
        g_quat = quaternion_gradient(quat, norm, transposed(g_axes))
        for axis in range(3):
            mean_gradient[i, axis] = g_mean[axis]
            scale_gradient[i, axis] = g_scale[axis]
        for part in range(4):
            quat_gradient[i, part] = g_quat[part]
        opacity_gradient[i] = gradient.log_opacity / opacities[i]
        color_gradient[i, 0] = gradient.red
        color_gradient[i, 1] = gradient.green
        color_gradient[i, 2] = gradient.blue

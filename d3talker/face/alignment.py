"""Rigid alignment of point sets."""

import numpy as np


def similarity(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Best scale s (T,), rotation R (T,3,3), shift d (T,3): s R source + d ~ target (Umeyama).

    source (T,n,3), target (n,3) or (T,n,3).
    """
    source_mean, target_mean = source.mean(1, keepdims=True), target.mean(-2, keepdims=True)
    centred = source - source_mean
    u, stretch, vt = np.linalg.svd(np.swapaxes(target - target_mean, -1, -2) @ centred)
    stretch[:, 2] *= np.sign(np.linalg.det(u @ vt))
    u[:, :, 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    rotation = u @ vt
    scale = stretch.sum(1) / (centred**2).sum((1, 2))
    shift = (
        target_mean[..., 0, :] - scale[:, None] * (source_mean @ np.swapaxes(rotation, 1, 2))[:, 0]
    )
    return scale, rotation, shift

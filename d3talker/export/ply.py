"""Gaussians as a .ply file in the layout of 3D Gaussian Splatting, which viewers open.

One vertex a Gaussian, all properties float32, little-endian: x y z, nx ny nz (zero), f_dc_0..2,
f_rest_0..44 (zero: our colours do not depend on the view), opacity before sigmoid, scale_0..2 as
logarithms of standard deviations in m, rot_0..3 as w x y z. The axes are those of HEAD space: x
to the right in the picture, y up, z from the head to the camera.
"""

from pathlib import Path

import numpy as np
import torch
from plyfile import PlyData, PlyElement, PlyParseError
from torch import Tensor

from d3talker.artifacts import ArtifactError, atomic

# Of the constant spherical harmonic: colour = 0.5 + C0 f_dc.
C0 = 0.28209479177387814
REST = 45  # coefficients of the harmonics up to degree 3, of three colours
SMALLEST = 1e-6  # opacities are kept this far from 0 and 1, where their logit ends
COLUMNS = {
    "means": ("x", "y", "z"),
    "normals": ("nx", "ny", "nz"),
    "colors": ("f_dc_0", "f_dc_1", "f_dc_2"),
    "rest": tuple(f"f_rest_{i}" for i in range(REST)),
    "opacities": ("opacity",),
    "scales": ("scale_0", "scale_1", "scale_2"),
    "quats": ("rot_0", "rot_1", "rot_2", "rot_3"),
}


def save_ply(path: str | Path, attributes: dict[str, Tensor]) -> None:
    """Write Gaussians as `rasterize` takes them: means (N,3) m, quats (N,4) wxyz, scales (N,3) m,
    opacities (N,) and colors (N,3) from 0 to 1."""
    given = {name: value.detach().cpu().double().numpy() for name, value in attributes.items()}
    count = len(given["means"])
    opacities = given["opacities"].clip(SMALLEST, 1 - SMALLEST)
    stored = {
        "means": given["means"],
        "normals": np.zeros((count, 3)),
        "colors": (given["colors"] - 0.5) / C0,
        "rest": np.zeros((count, REST)),
        "opacities": np.log(opacities / (1 - opacities))[:, None],
        "scales": np.log(given["scales"]),
        "quats": given["quats"] / np.linalg.norm(given["quats"], axis=1, keepdims=True),
    }
    names = [name for columns in COLUMNS.values() for name in columns]
    values = np.concatenate([stored[name] for name in COLUMNS], axis=1).astype("<f4")
    vertices = np.ascontiguousarray(values).view([(name, "<f4") for name in names])[:, 0]
    with atomic(path) as part:
        PlyData([PlyElement.describe(vertices, "vertex")], byte_order="<").write(str(part))


def load_ply(path: str | Path) -> dict[str, Tensor]:
    """Read a file of `save_ply`, or another of that layout, as `rasterize` takes Gaussians.

    Harmonics beyond the constant one are left out. Raises ArtifactError for another file.
    """
    try:
        vertices = PlyData.read(str(path))["vertex"].data
        stored = {
            name: np.stack([vertices[column] for column in columns], axis=1).astype(np.float64)
            for name, columns in COLUMNS.items()
            if name not in ("normals", "rest")
        }
    except (OSError, KeyError, ValueError, PlyParseError) as error:
        raise ArtifactError(f"{path}: not a .ply of Gaussians ({error})") from error
    read = {
        "means": stored["means"],
        "quats": stored["quats"],
        "scales": np.exp(stored["scales"]),
        "opacities": 1 / (1 + np.exp(-stored["opacities"][:, 0])),
        "colors": 0.5 + C0 * stored["colors"],
    }
    return {name: torch.from_numpy(value).float() for name, value in read.items()}

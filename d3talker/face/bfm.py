"""The Basel Face Model 2009 with AD-NeRF's expressions (spec 1.8), made by stages/convert_bfm.py.

vertices = mean + identity coefficients . identity basis + expression coefficients . expression
basis, in metres; x to the image's right, y up, z from the head to the camera.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from d3talker.artifacts import ArtifactError, load_arrays
from d3talker.metrics.weights import UNREADABLE, refusal

IDENTITY, EXPRESSION = 100, 79  # coefficients that the tracker of the field uses
CONTOUR = (8, 20)  # points of each side of the jaw, and vertices that may show each of them
LANDMARKS = 68
VERTEX_SHAPES = {
    "mean": (3,),
    "identity": (IDENTITY, 3),
    "expression": (EXPRESSION, 3),
}  # of the arrays, but for the number of vertices
INDEX_SHAPES = {
    "keypoints": (LANDMARKS,),
    "left_contour": CONTOUR,
    "right_contour": CONTOUR,
    "rigid": (None,),
    "triangles": (None, 3),
}  # None: any number


@dataclass(frozen=True)
class BaselFaceModel:
    """A linear face model, see the module's text.

    mean (V,3) m; identity (100,V,3) and expression (79,V,3) m per standard deviation of the
    coefficient. Of vertices: keypoints (68,) those of iBUG's landmarks, of which 0 to 7 and 9 to 16
    are chosen among left_contour and right_contour (8,20) instead; rigid (n,) those of bone;
    triangles (F,3).
    """

    mean: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    keypoints: np.ndarray
    left_contour: np.ndarray
    right_contour: np.ndarray
    rigid: np.ndarray
    triangles: np.ndarray


def load_bfm(path: str | Path) -> BaselFaceModel:
    """Read a converted model. Raises ArtifactError, which says how to make it, for other files."""
    try:
        model = BaselFaceModel(**load_arrays(path)[0])
        check(model)
    except UNREADABLE as error:
        raise refusal(path, "bfm", error) from error
    return model


def check(model: BaselFaceModel) -> None:
    """Raise ArtifactError if an array has another shape, or an index no vertex."""
    count = len(model.mean)
    for name, shape in VERTEX_SHAPES.items():
        wanted = (*shape[:-1], count, 3)
        if getattr(model, name).shape != wanted:
            raise ArtifactError(f"{name} is {getattr(model, name).shape}, not {wanted}")
    for name, shape in INDEX_SHAPES.items():
        indices = getattr(model, name)
        fits = len(indices.shape) == len(shape) and all(
            wanted in (None, found) for wanted, found in zip(shape, indices.shape, strict=True)
        )
        if not fits or indices.dtype.kind not in "iu":
            raise ArtifactError(f"{name} is {indices.dtype} {indices.shape}, not indices {shape}")
        if indices.min() < 0 or indices.max() >= count:
            raise ArtifactError(f"{name} names a vertex beyond the {count} of the model")

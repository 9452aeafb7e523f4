"""The front of the Basel Face Model 2009, as Deep3DFaceRecon lays it out, and its PNCC.

The user's BFM_model_front.mat is converted once (stages/convert_weights.py). Lengths are about
decimetres, x right, y up, z to the camera, the mean face centred on the origin (spec 5.2, 5.3).
Identity is that of the mean face (spec 6.7), so that of the bases only that of expressions is kept.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io

from d3talker.artifacts import ArtifactError, load_arrays, save_arrays
from d3talker.face.pncc import SIZE, draw, ncc_colours
from d3talker.metrics.weights import UNREADABLE, refusal

VERTICES, IDENTITIES, EXPRESSIONS, KEYPOINTS = 35709, 80, 64, 68
RIGHT_EYE, LEFT_EYE = range(36, 42), range(42, 48)  # of the 68 key points, around the opening
RENDER_SIZE = 512
CAMERA = 10.0  # distance from the origin
FOCAL, CENTRE, FITTED = 1015.0, 112.0, 224  # px of the picture that the focal length is of


@dataclass(frozen=True)
class FrontModel:
    """mean (35709,3), expression (64,35709,3) float32; triangles (F,3) int32 without the eyes."""

    mean: np.ndarray
    expression: np.ndarray
    triangles: np.ndarray


def read_mat(path: str | Path) -> FrontModel:
    """The model in BFM_model_front.mat. Raises ArtifactError for any other file."""
    try:
        found = scipy.io.loadmat(path)
        long = 3 * VERTICES
        wanted = {
            "meanshape": (1, long),
            "idBase": (long, IDENTITIES),
            "exBase": (long, EXPRESSIONS),
            "keypoints": (1, KEYPOINTS),
        }
        for name, shape in wanted.items():
            if name not in found or found[name].shape != shape:
                has = found[name].shape if name in found else "not there"
                raise ArtifactError(f"{name} is {has}, not {shape}")
        triangles = np.asarray(found["tri"]).astype(np.int64) - 1
        key = found["keypoints"][0].astype(np.int64) - 1
        if triangles.ndim != 2 or triangles.shape[1] != 3:
            raise ArtifactError(f"tri is {triangles.shape}, not (F, 3)")
        for indices in (triangles, key):
            if indices.min() < 0 or indices.max() >= VERTICES:
                raise ArtifactError("an index of tri or keypoints names no vertex")
        mean = found["meanshape"].reshape(-1, 3).astype(np.float64)
        mean -= mean.mean(axis=0)
        expression = found["exBase"].T.reshape(EXPRESSIONS, VERTICES, 3).astype(np.float32)
    # scipy has errors of its own for damaged files, which are subclasses of none of these.
    except (*UNREADABLE, IndexError, NotImplementedError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ArtifactError(
            f"{path}: not BFM_model_front.mat of Deep3DFaceRecon, or cut off ({reason})"
        ) from error
    skin = triangles[~in_eyes(mean, triangles, key)].astype(np.int32)
    return FrontModel(mean.astype(np.float32), expression, skin)


def in_eyes(mean: np.ndarray, triangles: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """Which triangles (F,3) of the mean face (n,3) lie in the openings of the eyes: (F,) bool.

    Seen from the front, their centres are within the polygon of the eye's six key points.
    """
    centres = mean[triangles].mean(axis=1)[:, :2]
    inside = np.zeros(len(triangles), bool)
    for eye in (RIGHT_EYE, LEFT_EYE):
        corners = mean[keypoints[list(eye)], :2]
        crossings = np.zeros(len(triangles), int)
        for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            spans = (a[1] > centres[:, 1]) != (b[1] > centres[:, 1])
            with np.errstate(divide="ignore", invalid="ignore"):
                x = a[0] + (centres[:, 1] - a[1]) / (b[1] - a[1]) * (b[0] - a[0])
            crossings += spans & (centres[:, 0] < x)
        inside |= crossings % 2 == 1
    return inside


def save_front(path: str | Path, model: FrontModel, meta: dict) -> None:
    """Write a model as `models.bfm_front` names it."""
    save_arrays(path, meta | {"model": "bfm_front"}, **vars(model))


def load_front(path: str | Path) -> FrontModel:
    """Read a file of `save_front`. Raises ArtifactError, which says how to make one, for others."""
    try:
        arrays, meta = load_arrays(path)
        if meta.get("model") != "bfm_front":
            raise ArtifactError("not made by stages/convert_weights.py bfm_front")
        return FrontModel(**arrays)
    except UNREADABLE as error:
        raise refusal(path, "bfm_front", error) from error


def to_pixels(vertices: np.ndarray, size: int) -> np.ndarray:
    """Columns, rows and depth (...,n,3) of vertices seen by a camera in front of the face."""
    depth = CAMERA - vertices[..., 2]
    scale = size / FITTED
    return np.stack(
        [
            scale * (CENTRE + FOCAL * vertices[..., 0] / depth),
            scale * (CENTRE - FOCAL * vertices[..., 1] / depth),
            depth,
        ],
        axis=-1,
    )


def render_pncc(model: FrontModel, expression: np.ndarray) -> np.ndarray:
    """PNCC images (T,3,128,128) uint8 of expression coefficients (T,64), from the front.

    Drawn at 512 px and averaged. Colours are interpolated linearly over a triangle in the picture:
    triangles of a millimetre at a distance of a metre leave perspective nothing to change. Where
    nothing is drawn, in the eyes and in an open mouth too, is 0, the -1 of the range.
    """
    basis = model.expression.reshape(EXPRESSIONS, -1)
    colours = ncc_colours(model.mean)
    images = np.empty((len(expression), 3, SIZE, SIZE), np.uint8)
    for first in range(0, len(expression), 32):  # vertices of all frames would fill gigabytes
        part = slice(first, first + 32)
        moved = (expression[part].astype(np.float32) @ basis).reshape(-1, *model.mean.shape)
        corners = to_pixels((model.mean + moved).astype(np.float64), RENDER_SIZE)
        images[part] = draw(corners, model.triangles, colours, RENDER_SIZE)
    return images

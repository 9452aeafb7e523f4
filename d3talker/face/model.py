"""The landmark face model: a linear model of the 478 FaceMesh points in metric HEAD space.

vertices = mean + identity coefficients . identity basis + expression coefficients . expression
basis. HEAD space is in metres: x to the image right, y up, z from the head to the camera, origin
midway between the ears. Zero expression is the face at rest: lips together, eyes open.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from d3talker.artifacts import ArtifactError, load_arrays

POINTS = 478
FACE_POINTS = 468  # the remaining ten are the irises, which turn with the gaze

SKIN, EYE_HOLE, INNER_MOUTH = 0, 1, 2  # values of FaceModel.region

# Index sets in FaceMesh numbering; "right" is the person's right, on the left of the image.
RIGHT_EYE = np.array([33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246])
LEFT_EYE = np.array(
    [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466]
)
RIGHT_BROW = np.array([70, 63, 105, 66, 107, 46, 53, 52, 65, 55])
LEFT_BROW = np.array([300, 293, 334, 296, 336, 276, 283, 282, 295, 285])
LIPS_OUTER = np.array(
    [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146]
)
LIPS_INNER = np.array(
    [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95]
)
UPPER_LIP, LOWER_LIP = 13, 14  # the middle of the inner lips; their distance is the mouth opening
RIGHT_EYE_CORNER, LEFT_EYE_CORNER = 33, 263
RIGHT_EAR, LEFT_EAR = 234, 454
JAW = np.array([132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361])
IRISES = np.arange(FACE_POINTS, POINTS)
# Bone under thin skin: nose ridge, eye corners, temples, upper forehead. Defines the head pose.
# fmt: off
RIGID = np.array([
    168, 6, 197, 195, 5, 4, 1, 122, 351, 193, 417, 45, 275, 220, 440, 33, 133, 362, 263,
    127, 356, 234, 454, 162, 389, 21, 251, 54, 284, 103, 332, 67, 297, 109, 338, 10,
])
# fmt: on
# The face mesh's points at the places of the 68 of iBUG: jaw, brows, nose, eyes, lips.
# fmt: off
IBUG_68 = np.array([
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389,
    71, 63, 105, 66, 107, 336, 296, 334, 293, 301,
    168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,
    78, 82, 13, 312, 308, 317, 14, 87,
])
# fmt: on


@dataclass(frozen=True)
class FaceModel:
    """A linear face model, see the module's text.

    mean (478,3) m; identity (I,478,3) and expression (E,478,3) m per standard deviation of the
    coefficient; the first `lower` expression components move mouth, jaw and lower cheeks, the
    others lids, gaze and brows; triangles (F,3) int32 wound so that normals point out of the
    head; region (F,) uint8 SKIN, EYE_HOLE or INNER_MOUTH.
    """

    mean: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    triangles: np.ndarray
    region: np.ndarray
    lower: int

    @classmethod
    def load(cls, path: str | Path) -> "FaceModel":
        """Read a face_model.npz."""
        arrays, meta = load_arrays(path)
        wanted = {"mean", "identity", "expression", "triangles", "region"}
        if missing := (wanted - arrays.keys()) | ({"lower"} - meta.keys()):
            raise ArtifactError(f"{path}: not a face model, lacks {', '.join(sorted(missing))}")
        return cls(**{name: arrays[name] for name in wanted}, lower=int(meta["lower"]))

    def astype(self, dtype: type) -> "FaceModel":
        """The same model with mean and bases of another float type."""
        floats = {name: getattr(self, name) for name in ("mean", "identity", "expression")}
        return replace(self, **{name: value.astype(dtype) for name, value in floats.items()})

    def vertices(self, identity: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Points (...,478,3) in metres of coefficients (...,I) and (...,E), broadcast together."""
        shape = np.tensordot(identity, self.identity, axes=1)
        return self.mean + shape + np.tensordot(expression, self.expression, axes=1)

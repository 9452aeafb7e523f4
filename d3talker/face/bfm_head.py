"""From the Basel Face Model's space to HEAD space, and the tracked face mesh into its camera.

What comes after tracking knows the 478 points of the embedded face model and its expressions. They
are tracked as always, with the focal length that the Basel Face Model found, and moved to where it
sees the head.
"""

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from d3talker.artifacts import ArtifactError
from d3talker.face.alignment import similarity
from d3talker.face.bfm import BaselFaceModel
from d3talker.face.bfm_tracking import BfmTrack
from d3talker.face.model import IBUG_68, FaceModel
from d3talker.face.tracking import Track

ALIKE = 1.3  # two mean faces in metres differ in size by less than this factor


def head_placement(bfm: BaselFaceModel, model: FaceModel) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (3,3) and shift (3,) m from the Basel Face Model's space to HEAD space.

    They bring its mean landmarks to those of our mean face, so they are the same for all people.
    """
    source, target = bfm.mean[bfm.keypoints].astype(np.float64), model.mean[IBUG_68]
    scale, turn, _ = similarity(source[None], target)
    if not 1 / ALIKE < scale[0] < ALIKE:
        raise ArtifactError(
            f"the mean face of models.bfm is {1 / scale[0]:.2g} times as large as ours: it is not"
            " in metres, or its landmarks are others; convert it with stages/convert_bfm.py"
        )
    return turn[0], target.mean(axis=0) - turn[0] @ source.mean(axis=0)


def in_bfm_camera(
    track: Track, model: FaceModel, found: BfmTrack, bfm: BaselFaceModel
) -> tuple[Track, FaceModel, float]:
    """`track` with camera and poses of `found`, the face model as it lies there, and the size.

    Distances of one camera have no scale of their own: `size` is how much larger the face has to be
    than `track` says, to be as far away as `found` says.
    """
    turn, shift = head_placement(bfm, model)
    R = found.R @ turn.T
    t = found.t - R @ shift
    valid = track.valid & np.isfinite(found.error)
    if not valid.any():
        raise ArtifactError("no frame in which both FAN and the face mesh find the face")
    middle = model.mean.mean(axis=0)
    far = (t + R @ middle)[valid, 2]
    before = (track.t + track.R @ middle)[valid, 2]
    size = float(np.median(far / before))
    back = R[valid].transpose(0, 2, 1)
    between = Rotation.from_matrix(back @ track.R[valid]).mean().as_matrix()
    offset = np.einsum("tij,tj->ti", back, size * track.t[valid] - t[valid]).mean(axis=0)
    moved = replace(
        track,
        focal=found.focal,
        R=R,
        t=t,
        shape=size * track.shape @ between.T + offset,
        reprojection_error=found.error,
        valid=valid,
    )
    return moved, replace(model, expression=size * model.expression @ between.T), size

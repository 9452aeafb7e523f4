"""Track a face: landmarks of a clip to head pose, expression, action units and lip gap."""

import argparse
import logging
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from d3talker.artifacts import load_arrays, save_arrays
from d3talker.cli import InputError, run
from d3talker.face.action_units import NAMES, action_units
from d3talker.face.model import FaceModel
from d3talker.face.tracking import (
    REFERENCE_SIZE,
    TrackSettings,
    head_points,
    mouth_opening,
    track_face,
)

log = logging.getLogger("d3talker")

MIN_FACES = 25  # frames with a face: one second
POOR_FIT = 3.0  # px at REFERENCE_SIZE, mean reprojection error above which to warn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--landmarks", required=True, help="landmarks.npz of the clip")
    parser.add_argument("--face-model", required=True, help="face_model.npz")
    parser.add_argument("--out", required=True, help="track.npz to write")
    args = parser.parse_args()

    landmarks, meta = load_arrays(args.landmarks)
    points, valid, size = landmarks["points"], landmarks["valid"], meta["size"]
    if valid.sum() < MIN_FACES:
        raise InputError(
            f"{args.landmarks}: a face was found in {valid.sum()} of {len(valid)} frames, at least "
            f"{MIN_FACES} are needed; use a clip in which the face stays in the picture"
        )
    model = FaceModel.load(args.face_model)
    settings = TrackSettings()
    track = track_face(model, points, valid, size, settings)
    head = head_points(model, track, points, size)

    error = track.reprojection_error[valid]
    log.info("%d frames, reprojection error %.2f px", len(valid), error.mean())
    if error.mean() > POOR_FIT * size / REFERENCE_SIZE:
        log.warning(
            "%s: the face is tracked poorly (%.1f px); worst frame %d. Is one face in the picture "
            "throughout?",
            args.landmarks,
            error.mean(),
            np.nanargmax(track.reprojection_error),
        )
    save_arrays(
        args.out,
        {
            "size": size,
            "units": {"focal": "px", "t": "m", "shape": "m", "mouth_opening": "m"},
            "action_units": NAMES,
            "settings": asdict(settings),
        },
        focal=np.float32(track.focal),
        R=track.R.astype(np.float32),
        t=track.t.astype(np.float32),
        shape=track.shape.astype(np.float32),
        identity=track.identity.astype(np.float32),
        expression=track.expression.astype(np.float32),
        reprojection_error=track.reprojection_error.astype(np.float32),
        valid=valid,
        au=action_units(head, valid),
        mouth_opening=mouth_opening(head).astype(np.float32),
    )


if __name__ == "__main__":
    run(main)

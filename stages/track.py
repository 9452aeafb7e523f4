"""Track a face: landmarks of a clip to head pose, expression, action units and lip gap.

Given the clip itself as well, it draws the tracked points into some frames, for people to check.
Given cameras of an imported dataset, it keeps them, and its action units, and looks for the rest.
"""

import argparse
import logging
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from d3talker.artifacts import load_arrays, load_json, save_arrays, save_image
from d3talker.cli import InputError, run
from d3talker.face.action_units import NAMES, action_units
from d3talker.face.bfm import load_bfm
from d3talker.face.check_picture import check_picture, choose_frames
from d3talker.face.model import FaceModel
from d3talker.face.tracking import (
    REFERENCE_SIZE,
    Track,
    TrackSettings,
    head_points,
    mouth_opening,
    project,
    track_face,
    tracked_faces,
)
from d3talker.metrics.openface import of_clip
from d3talker.video import iter_frames

if TYPE_CHECKING:
    from d3talker.face.bfm_tracking import BfmTrack

log = logging.getLogger("d3talker")

MIN_FACES = 25  # frames with a face: one second
POOR_FIT = 3.0  # px at REFERENCE_SIZE, mean reprojection error above which to warn
NO_FIT = 20.0  # the same with given cameras, above which they are of something else


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--landmarks", required=True, help="landmarks.npz of the clip")
    parser.add_argument("--face-model", required=True, help="face_model.npz")
    parser.add_argument("--ingest", help="ingest.json of the clip, which knows of jump cuts")
    parser.add_argument("--cameras", help="cameras of an imported clip (.npz), which are kept")
    parser.add_argument("--fan-landmarks", help="FAN's points of the clip, for --bfm")
    parser.add_argument("--bfm", help="Basel Face Model, to take camera and head poses from")
    parser.add_argument("--openface", help="OpenFace's CSV of the clip, to take action units from")
    parser.add_argument("--video", help="the clip, for the check picture only")
    parser.add_argument("--out", required=True, help="track.npz to write")
    parser.add_argument("--out-picture", help="check picture to write (.png); needs --video")
    args = parser.parse_args()
    if (args.video is None) != (args.out_picture is None):
        parser.error("--video and --out-picture go together")
    if (args.bfm is None) != (args.fan_landmarks is None):
        parser.error("--bfm and --fan-landmarks go together")
    if args.bfm and args.cameras:
        parser.error("--bfm is of no use beside --cameras")

    landmarks, meta = load_arrays(args.landmarks)
    points, valid, size = landmarks["points"], landmarks["valid"], meta["size"]
    if valid.sum() < MIN_FACES:
        raise InputError(
            f"{args.landmarks}: a face was found in {valid.sum()} of {len(valid)} frames, at least "
            f"{MIN_FACES} are needed; use a clip in which the face stays in the picture"
        )
    model = FaceModel.load(args.face_model)
    jump_cuts = load_json(args.ingest)["jump_cuts"] if args.ingest else []
    settings, given, au = TrackSettings(), None, None
    if args.cameras:
        settings, given, au = load_cameras(args.cameras, len(points), size)
    found = track_by_bfm(args, size, len(points), jump_cuts) if args.bfm else None
    if found is not None:
        settings = replace(settings, focal=found.focal * REFERENCE_SIZE / size)
    track = track_face(model, points, valid, size, settings, jump_cuts, given)
    head = head_points(model, track, points, size)
    seen_by = "the dataset" if au is not None else "the face mesh"
    if args.openface:
        au, seen_by = of_clip(args.openface, len(points)), "OpenFace"
    elif au is None:
        au = action_units(head, track.valid)

    more = {}
    if found is not None:
        from d3talker.face.bfm_head import in_bfm_camera

        track, model, scale = in_bfm_camera(track, model, found, load_bfm(args.bfm))
        head = scale * head
        more = {"bfm_identity": found.identity, "bfm_expression": found.expression}
    report(args.landmarks, track, valid, size)
    if given is not None:
        require_fit(args.cameras, track, size)
    picture = draw(args.video, model, track, size) if args.video else None
    save_arrays(
        args.out,
        {
            "size": size,
            "units": {"focal": "px", "t": "m", "shape": "m", "mouth_opening": "m"},
            "face_model": "bfm" if args.bfm else "landmarks",  # from which camera and poses are
            "expression_length": track.expression.shape[1],  # of the embedded model in any case
            "action_units": NAMES,
            "action_units_from": seen_by,
            "settings": asdict(settings),
        },
        focal=np.float32(track.focal),
        R=track.R.astype(np.float32),
        t=track.t.astype(np.float32),
        shape=track.shape.astype(np.float32),
        identity=track.identity.astype(np.float32),
        expression=track.expression.astype(np.float32),
        reprojection_error=track.reprojection_error.astype(np.float32),
        valid=track.valid,
        au=au,
        mouth_opening=mouth_opening(head).astype(np.float32),
        **more,
    )
    if picture is not None:
        save_image(args.out_picture, picture)


def load_cameras(path: str, frames: int, size: int) -> tuple:
    """Settings with the focal length of given cameras, their poses R (T,3,3) and t (T,3), and the
    action units (T,6) of the dataset, None without."""
    cameras, meta = load_arrays(path)
    if (len(cameras["R"]), meta["size"]) != (frames, size):
        raise InputError(
            f"{path}: cameras of {len(cameras['R'])} frames of {meta['size']} px, but the landmarks"
            f" are of {frames} of {size} px; import the dataset again"
        )
    settings = TrackSettings(focal=float(cameras["focal"]) * REFERENCE_SIZE / size)
    return settings, (cameras["R"], cameras["t"]), cameras.get("au")


def require_fit(path: str, track: Track, size: int) -> None:
    """Raise InputError if the face of the pictures is elsewhere than the given cameras put it."""
    error = track.reprojection_error[track.valid].mean()
    if error > NO_FIT * size / REFERENCE_SIZE:
        raise InputError(
            f"{path}: the face is {error:.0f} px from where the dataset's cameras put it; they are"
            " not the cameras of these frames. Were frames left out, turned over or cut since?"
        )


def track_by_bfm(
    args: argparse.Namespace, size: int, frames: int, jump_cuts: list[int]
) -> "BfmTrack":
    """Camera and poses of the clip by the Basel Face Model and FAN's landmarks."""
    from d3talker.face.bfm_tracking import BfmSettings, track_bfm  # torch, which loads slowly

    arrays, _ = load_arrays(args.fan_landmarks)
    if len(arrays["valid"]) != frames:
        raise InputError(
            f"{args.fan_landmarks}: {len(arrays['valid'])} frames, but the clip has {frames}; make"
            " the landmarks again"
        )
    if arrays["valid"].sum() < MIN_FACES:
        raise InputError(
            f"{args.fan_landmarks}: FAN finds a face in {arrays['valid'].sum()} frames, at least"
            f" {MIN_FACES} are needed"
        )
    bfm = load_bfm(args.bfm)
    return track_bfm(bfm, arrays["points"], arrays["valid"], size, BfmSettings(), jump_cuts)


def report(path: str, track: Track, found: np.ndarray, size: int) -> None:
    """Log how well the face is tracked; found (T,): frames in which there was one.

    Raises InputError if too few frames can be trusted.
    """
    error = track.reprojection_error
    log.info("%d frames, reprojection error %.2f px", len(found), error[track.valid].mean())
    if excluded := int((found & ~track.valid).sum()):
        log.warning(
            "%s: %d frames are excluded, the first is frame %d: their points make no face of this "
            "person, as where the mouth is covered or the head is turned away",
            path,
            excluded,
            np.argmax(found & ~track.valid),
        )
    if track.valid.sum() < MIN_FACES:
        raise InputError(
            f"{path}: the face can be tracked in {track.valid.sum()} of {len(found)} frames, at "
            f"least {MIN_FACES} are needed; use a clip in which nothing covers the face"
        )
    if error[track.valid].mean() > POOR_FIT * size / REFERENCE_SIZE:
        log.warning(
            "%s: the face is tracked poorly (%.1f px); worst frame %d. Is one face in the picture "
            "throughout?",
            path,
            error[track.valid].mean(),
            np.nanargmax(error),
        )


def draw(video: str, model: FaceModel, track: Track, size: int) -> np.ndarray:
    """The check picture (H,W,3) uint8 of a clip."""
    chosen = choose_frames(track.reprojection_error, track.valid)
    stop = int(chosen[-1]) + 1
    frames = [frame for i, frame in enumerate(iter_frames(video, 0, stop)) if i in chosen]
    if len(frames) < len(chosen):
        raise InputError(
            f"{video}: has fewer than {stop} frames, but the landmarks have "
            f"{len(track.valid)}; make the landmarks of this clip again"
        )
    faces = tracked_faces(model, track, chosen)
    points = project(faces, track.R[chosen], track.t[chosen], track.focal) + size / 2
    captions = [caption(i, track) for i in chosen]
    return check_picture(frames, points, captions, track.valid[chosen])


def caption(frame: int, track: Track) -> str:
    """What the check picture says of a frame."""
    error = track.reprojection_error[frame]
    text = f"frame {frame}: no face" if np.isnan(error) else f"frame {frame}: {error:.2f} px"
    return text if track.valid[frame] or np.isnan(error) else f"{text}, excluded"


if __name__ == "__main__":
    run(main)

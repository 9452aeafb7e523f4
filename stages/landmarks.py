"""Find the 478 points of the MediaPipe face mesh in every frame of a clip."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from d3talker import cli
from d3talker.artifacts import save_arrays
from d3talker.face import landmarks
from d3talker.face.mediapipe_models import MESH_POINTS, FaceMesh
from d3talker.video import io


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", required=True, help="clip made by ingest, or a rendered one")
    parser.add_argument("--out", required=True, help=".npz: points, valid, openness of eyes, mouth")
    parser.add_argument(
        "--max-missing",
        type=float,
        default=0.5,
        help="share of frames that may lack a face; 1 accepts a clip without any (all zeros)",
    )
    parser.add_argument(
        "--any-rate", action="store_true", help="the video may have another rate than 25 fps"
    )
    args = parser.parse_args()
    info = io.probe(args.video)
    source = io.iter_frames(args.video, fps=io.FPS if args.any_rate else None)
    frames = cli.progress(source, round(info.duration * io.FPS), "landmarks")
    points, valid = landmarks.track_faces(frames, FaceMesh(), MESH_POINTS)
    missing = int((~valid).sum())
    if missing > args.max_missing * len(valid):
        raise cli.InputError(
            f"{args.video}: no face in {missing} of {len(valid)} frames (first: frame "
            f"{int((~valid).argmax())}); give a video in which the face stays visible"
        )
    if missing:
        cli.log.warning("%s: %d frames without a face are interpolated", args.video, missing)
    save_arrays(
        args.out,
        {"size": info.width, "unit": "px", "model": "MediaPipe FaceMesh, refined, 478 points"},
        points=points,
        valid=valid,
        eye_openness=landmarks.eye_openness(points),
        mouth_openness=landmarks.mouth_openness(points),
    )


if __name__ == "__main__":
    cli.run(main)

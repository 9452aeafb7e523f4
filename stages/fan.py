"""Find FAN's 68 points in every frame of a video, or in the test frames of a clip."""

import argparse
import contextlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from d3talker import artifacts, cli
from d3talker.metrics.truth import encoded_truth
from d3talker.video import iter_frames, probe
from d3talker.video.io import FPS


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", required=True, help="a render, or the person's clip")
    parser.add_argument("--ingest", help="ingest.json of the clip; without it all frames are seen")
    parser.add_argument("--fan", required=True, help="weights of FAN (models.fan)")
    parser.add_argument("--s3fd", required=True, help="weights of S3FD (models.s3fd)")
    parser.add_argument(
        "--face",
        choices=["first", "last"],
        default="last",
        help="which of several faces counts: the last (LMD, spec 7.5) or the first (1.7)",
    )
    parser.add_argument("--out", required=True, help=".npz: points (T,68,2) px, valid (T,)")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    from d3talker.metrics.detectors import Fan, fan_points

    fan, start, video = Fan(args.fan, args.s3fd), 0, contextlib.nullcontext(args.video)
    if args.ingest:
        start, stop = artifacts.load_json(args.ingest)["test"]
        video = encoded_truth(args.video, start, stop)
    with video as path:
        info = probe(path)
        frames = cli.progress(iter_frames(path), round(info.duration * FPS), "fan")
        points, valid = fan_points(fan, frames, first=args.face == "first")
    if not valid.all():
        cli.log.warning("%s: no face in %d frames", args.video, (~valid).sum())
    artifacts.save_arrays(
        args.out,
        {"first_frame": start, "size": info.width, "unit": "px", "model": "FAN, 68 points"},
        points=points,
        valid=valid,
    )


if __name__ == "__main__":
    cli.run(main)

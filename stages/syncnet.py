"""Measure with SyncNet whether the lips of a render and the speech that drives it agree."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from d3talker import artifacts, cli
from d3talker.metrics import face_tracks
from d3talker.metrics.scores import Undefined
from d3talker.video import iter_frames, read_wav
from d3talker.video.io import SAMPLE_RATE


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--render", required=True, help="rendered video")
    parser.add_argument("--render-json", required=True, help="what was rendered")
    parser.add_argument("--audio", required=True, help="the whole driving audio (.wav)")
    parser.add_argument("--syncnet", required=True, help="weights of SyncNet (models.syncnet)")
    parser.add_argument("--s3fd", required=True, help="weights of S3FD (models.s3fd)")
    parser.add_argument("--out", required=True, help=".json: sync_c, sync_d, offset, or missing")
    return parser.parse_args()


def driving_sound(path: str, rendered: dict) -> np.ndarray:
    """The part of the driving audio that the render speaks, (640 T,) float32."""
    from d3talker.metrics.syncnet import SAMPLES_PER_FRAME

    samples, rate = read_wav(path)
    if rate != SAMPLE_RATE:
        raise cli.InputError(f"{path}: has {rate} Hz, not {SAMPLE_RATE}; make it again")
    start = rendered["first_frame"] if rendered["drive"] == "self" else 0
    stop = start + rendered["frames"]
    return samples[start * SAMPLES_PER_FRAME : stop * SAMPLES_PER_FRAME]


def measure(args: argparse.Namespace) -> dict:
    """Means over the tracks of the render; a reason under `missing` where there is none."""
    from d3talker.metrics import detectors, syncnet

    rendered = artifacts.load_json(args.render_json)
    network, detector = syncnet.load_syncnet(args.syncnet), detectors.load_s3fd(args.s3fd)
    sound, count = driving_sound(args.audio, rendered), rendered["frames"]
    frames = cli.progress(iter_frames(args.render), count, "faces")
    tracks = face_tracks.follow([detectors.syncnet_boxes(detector, frame) for frame in frames])
    agreements = []
    try:
        for track in tracks:
            stop = track.first + len(track.boxes)
            seen = iter_frames(args.render, track.first, stop)
            faces = list(face_tracks.crops(cli.progress(seen, stop - track.first, "crop"), track))
            part = slice(*(syncnet.SAMPLES_PER_FRAME * n for n in (track.first, stop)))
            agreements.append(syncnet.measure(network, faces, sound[part]))
        return syncnet.mean_agreement(agreements) | {"tracks": len(tracks)}
    except Undefined as reason:
        return {"missing": str(reason), "tracks": len(tracks)}


def main() -> None:
    args = parse_arguments()
    artifacts.save_json(args.out, measure(args))


if __name__ == "__main__":
    cli.run(main)

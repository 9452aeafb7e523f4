"""Depth and normals of a person's training frames by Sapiens: the geometry prior."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from d3talker import artifacts, cli
from d3talker.face.parsing import BACKGROUND
from d3talker.face.sapiens import FRAMES, depth_of, load_sapiens, normals_of
from d3talker.split import test_part
from d3talker.video import iter_frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", required=True, help="prepared video.mp4")
    parser.add_argument("--labels", required=True, help="parsing.zip")
    parser.add_argument("--background", required=True, help="background.png")
    parser.add_argument("--ingest", required=True, help="ingest.json")
    for kind in ("depth", "normal"):
        parser.add_argument(f"--sapiens-{kind}", required=True, help="TorchScript of Sapiens")
        parser.add_argument(f"--sha256-{kind}", required=True, help="of that file")
    parser.add_argument("--out", required=True, help="depth, normals and frames (.npz)")
    args = parser.parse_args()

    depth_network = load_sapiens("sapiens_depth", args.sapiens_depth, args.sha256_depth)
    normal_network = load_sapiens("sapiens_normal", args.sapiens_normal, args.sha256_normal)
    ingest = artifacts.load_json(args.ingest)
    count, size = min(FRAMES, test_part(ingest)[0]), ingest["size"]
    backdrop = artifacts.load_image(args.background)
    depth = np.empty((count, size, size), np.float16)
    normals = np.empty((count, size, size, 3), np.float16)
    frames = cli.progress(iter_frames(args.video, 0, count), count, "geometry")
    for number, frame in enumerate(frames):
        label = artifacts.load_images(args.labels, [number])[0]
        seen = np.where((label == BACKGROUND)[..., None], backdrop, frame)
        depth[number] = depth_of(depth_network, seen)
        normals[number] = normals_of(normal_network, seen)
    meta = {"source": "sapiens", "sha256": [args.sha256_depth, args.sha256_normal]}
    shown = np.arange(count)
    artifacts.save_arrays(args.out, meta, depth=depth, normals=normals, frames=shown)


if __name__ == "__main__":
    cli.run(main)

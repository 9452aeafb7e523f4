"""Label every pixel of a clip with BiSeNet, and teeth with EasyPortrait if its weights are given.

The stage parse takes these labels in place of its own (--labels).
"""

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from d3talker import artifacts, cli
from d3talker.video import iter_frames, probe
from d3talker.video.io import FPS

BATCH = 4  # frames at once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", required=True, help="clip made by ingest")
    parser.add_argument("--bisenet", required=True, help="weights of BiSeNet (models.bisenet)")
    parser.add_argument("--easyportrait", help="weights of EasyPortrait (models.easyportrait)")
    parser.add_argument("--out", required=True, help=".zip of label PNGs, one per frame")
    args = parser.parse_args()
    total = round(probe(args.video).duration * FPS)
    artifacts.save_images(args.out, cli.progress(label_frames(args), total, "bisenet"))


def label_frames(args: argparse.Namespace) -> Iterator[np.ndarray]:
    """Yield the labels (H,W) uint8 of every frame."""
    from d3talker.face import bisenet, easyportrait

    parts = bisenet.load_bisenet(args.bisenet)
    portrait = easyportrait.load_easyportrait(args.easyportrait) if args.easyportrait else None
    frames = iter_frames(args.video)
    while batch := list(itertools.islice(frames, BATCH)):
        pictures = np.stack(batch)
        labels = bisenet.label(parts, pictures)
        if portrait is not None:
            bisenet.add_teeth(labels, easyportrait.teeth(portrait, pictures))
        yield from labels


if __name__ == "__main__":
    cli.run(main)

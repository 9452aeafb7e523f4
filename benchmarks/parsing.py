"""Measure what `parse` made of a clip: how well it composes, and how steady its labels are.

    .envs/media/bin/python -m benchmarks.parsing --video results/ID/video.mp4 \\
        --labels results/ID/parsing.zip --background results/ID/background.png \\
        --torso results/ID/torso.zip

Composition: the head's own pixels over the torso over the background are compared with the frame,
outside the head: mean and 99th percentile of the difference in grey levels (largest of R, G, B).
Flicker: the labels of each frame are carried to the next one by dense optical flow. Of the pixels
within EDGE px of an edge between labels, it is the share whose label is not found within 1 px of
where the flow comes from; so motion up to the flow's and a pixel's accuracy does not count.
"""

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from d3talker.artifacts import load_image, load_images
from d3talker.face.parsing import BACKGROUND, NAMES, head_mask
from d3talker.video import io

EDGE = 5  # px on either side of an edge between labels
CHUNK = 25  # images read at a time
LEVELS = 256


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("video", "labels", "background", "torso"):
        parser.add_argument(f"--{name}", required=True, type=Path)
    args = parser.parse_args()
    plate = load_image(args.background)
    outside, bare = (np.zeros(LEVELS, np.int64) for _ in range(2))
    changed, edge = (np.zeros(len(NAMES), np.int64) for _ in range(2))
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    before, seen = None, 0
    for frame, labels, torso in read(args):
        seen += 1
        error = composition_error(frame, labels, torso, plate)
        outside += np.bincount(error[~head_mask(labels)], minlength=LEVELS)
        bare += np.bincount(error[labels == BACKGROUND], minlength=LEVELS)
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        if before is not None:
            near, wrong = unexplained(*before, grey, labels, flow)
            edge += np.bincount(labels[near], minlength=len(NAMES))
            changed += np.bincount(labels[near & wrong], minlength=len(NAMES))
        before = grey, labels
    print(f"{args.video}: {seen} frames")
    print(f"composition error outside the head: {levels(outside)}")
    print(f"composition error where labelled background: {levels(bare)}")
    print(f"flicker: {percent(changed.sum(), edge.sum())} of all pixels within {EDGE} px of edges")
    for name, part, whole in zip(NAMES, changed, edge, strict=True):
        print(f"flicker: {percent(part, whole)} of those labelled {name}")


def read(args: argparse.Namespace) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield frame (H,W,3), labels (H,W) and torso (H,W,4), all uint8, of every frame."""
    frames = io.iter_frames(args.video)
    for start in itertools.count(step=CHUNK):
        chunk = list(itertools.islice(frames, CHUNK))
        if not chunk:
            return
        numbers = range(start, start + len(chunk))
        yield from zip(
            chunk, load_images(args.labels, numbers), load_images(args.torso, numbers), strict=True
        )


def composition_error(
    frame: np.ndarray, labels: np.ndarray, torso: np.ndarray, plate: np.ndarray
) -> np.ndarray:
    """Largest channel's |composite - frame|, (H,W) uint8, of uint8 images."""
    composite = cv2.copyTo(torso[..., :3], torso[..., 3], plate.copy())
    composite = cv2.copyTo(frame, head_mask(labels).astype(np.uint8), composite)
    return cv2.absdiff(composite, frame).max(axis=2)


def unexplained(
    old_grey: np.ndarray,
    old_labels: np.ndarray,
    grey: np.ndarray,
    labels: np.ndarray,
    flow: cv2.DISOpticalFlow,
) -> tuple[np.ndarray, np.ndarray]:
    """Masks (H,W) bool of the pixels near label edges, and of labels that motion cannot explain.

    All images (H,W) uint8; `old` is the frame before.
    """
    height, width = labels.shape
    back = flow.calc(grey, old_grey, None)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    carried = cv2.remap(
        old_labels, x + back[..., 0], y + back[..., 1], cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    near = np.zeros(labels.shape, bool)
    found = np.zeros(labels.shape, bool)
    side = np.ones((2 * EDGE + 1, 2 * EDGE + 1), np.uint8)
    pixel = np.ones((3, 3), np.uint8)
    for label in range(len(NAMES)):
        own = (labels == label).astype(np.uint8)
        near |= (cv2.dilate(own, side) > 0) & (own == 0)
        found |= (cv2.dilate((carried == label).astype(np.uint8), pixel) > 0) & (own > 0)
    return near, ~found


def levels(histogram: np.ndarray) -> str:
    """Mean and 99th percentile of counts of the values 0 to 255."""
    share = np.cumsum(histogram) / max(1, histogram.sum())
    mean = histogram @ np.arange(LEVELS) / max(1, histogram.sum())
    return f"mean {mean:.2f}, 99th percentile {np.searchsorted(share, 0.99)} grey levels"


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "none"


if __name__ == "__main__":
    main()

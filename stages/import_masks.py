"""Take labels, clean plate and torso of a clip from the dataset folder that it was imported from.

Where the folder has no masks of teeth, as those of ER-NeRF and GaussianTalker, its parsing does not
tell the inner mouth from the skin either: both are then found by the face mesh and their colour.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from d3talker import artifacts, cli
from d3talker.face import inner_mouth, segment
from d3talker.imported import layout
from d3talker.imported.dataset import Dataset, load_frame, open_dataset
from d3talker.imported.masks import load_labels, load_torso

SAMPLES = 60  # frames from which the colours of skin and lips are taken


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", required=True, help="the folder")
    parser.add_argument("--landmarks", required=True, help="landmarks of the imported clip (.npz)")
    parser.add_argument("--out-labels", required=True, help=".zip of label PNGs, one per frame")
    parser.add_argument("--out-background", required=True, help="PNG, the clean plate")
    parser.add_argument("--out-torso", required=True, help=".zip of RGBA PNGs, one per frame")
    args = parser.parse_args()
    dataset = open_dataset(args.dataset)
    points = artifacts.load_arrays(args.landmarks)[0]["points"]
    if len(points) != dataset.frames:
        raise artifacts.ArtifactError(
            f"{args.landmarks}: has {len(points)} frames, but {args.dataset} has {dataset.frames};"
            " import the folder again"
        )
    labelled = label_frames(dataset, points)
    labelled = cli.progress(labelled, dataset.frames, "masks")
    with (
        artifacts.image_writer(args.out_labels) as add_labels,
        artifacts.image_writer(args.out_torso) as add_torso,
    ):
        for number, labels in enumerate(labelled):
            add_labels(labels)
            add_torso(load_torso(dataset, number))
    plate = artifacts.load_image(dataset.folder / layout.PLATE)
    artifacts.save_image(args.out_background, plate)


def label_frames(dataset: Dataset, points: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the labels (S,S) uint8 of every frame. points (T,478,3) px of the face mesh."""
    labels = (load_labels(dataset, number) for number in range(dataset.frames))
    if dataset.teeth:
        yield from labels
        return
    sampled = np.unique(np.linspace(0, dataset.frames - 1, SAMPLES).astype(int))
    skin = segment.skin_model((load_frame(dataset, number) for number in sampled), points[sampled])
    frames = (load_frame(dataset, number) for number in range(dataset.frames))
    mouths = inner_mouth.mouths(frames, points, skin, inner_mouth.MouthSettings())
    for image, mesh, mouth in zip(labels, points, mouths, strict=True):
        inner_mouth.mark_mouth(image, mesh, *mouth)
        yield image


if __name__ == "__main__":
    cli.run(main)

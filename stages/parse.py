"""Label every pixel of a clip, and recover the background and the torso behind the head.

Given labels of a network (stages/bisenet.py), it takes those.
"""

import argparse
import sys
from collections.abc import Iterator
from itertools import tee
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from d3talker import cli
from d3talker.artifacts import (
    ArtifactError,
    image_writer,
    iter_images,
    load_arrays,
    load_images,
    save_image,
)
from d3talker.face import inner_mouth, segment
from d3talker.face.mediapipe_models import PersonSegmenter
from d3talker.face.parsing import BACKGROUND
from d3talker.video import io
from d3talker.video.background import CleanPlate, clean_plate
from d3talker.video.torso import torso_layer

SAMPLES = 60  # frames from which background and skin colour are taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", required=True, help="clip made by ingest")
    parser.add_argument("--landmarks", required=True, help=".npz made by landmarks")
    parser.add_argument("--labels", help="labels of the clip by a network, in place of our own")
    parser.add_argument("--out-labels", required=True, help=".zip of label PNGs, one per frame")
    parser.add_argument("--out-background", required=True, help="PNG, the clean plate")
    parser.add_argument("--out-torso", required=True, help=".zip of RGBA PNGs, one per frame")
    args = parser.parse_args()
    points = load_arrays(args.landmarks)[0]["points"]
    wanted, frames = sample_frames(args.video, args.landmarks, len(points))
    if args.labels:
        persons = load_images(args.labels, wanted) != BACKGROUND
        plate = clean_plate(frames, persons.astype(np.float32))
        labelled = zip(
            io.iter_frames(args.video), iter_images(args.labels, range(len(points))), strict=True
        )
    else:
        find_person = PersonSegmenter()
        plate = clean_plate(frames, [find_person(frame) for frame in frames])
        skin = segment.skin_model(frames, points[wanted])
        labelled = label_frames(args.video, points, plate, skin, segment.ParseSettings())
    with image_writer(args.out_labels) as add_labels, image_writer(args.out_torso) as add_torso:
        for frame, labels in cli.progress(labelled, len(points), "labels and torso"):
            add_labels(labels)
            add_torso(torso_layer(frame, labels, plate.image))
    save_image(args.out_background, plate.image)


def sample_frames(video: str, landmarks: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (n,) and pictures (n,H,W,3) uint8 of frames spread over a clip of `count` frames."""
    wanted = np.unique(np.linspace(0, count - 1, SAMPLES).astype(int))
    frames, found, sampled = [], 0, set(wanted.tolist())
    for found, frame in enumerate(io.iter_frames(video), start=1):
        if found - 1 in sampled:
            frames.append(frame)
    if found != count:
        raise ArtifactError(
            f"{landmarks}: has {count} frames, but {video} has {found}; make the landmarks again"
        )
    return wanted, np.stack(frames)


def label_frames(
    video: str,
    points: np.ndarray,
    plate: CleanPlate,
    skin: segment.SkinModel,
    settings: segment.ParseSettings,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield every frame (H,W,3) of `video` and its label image (H,W), both uint8."""
    find_person = PersonSegmenter()
    frames, ahead, further = tee(io.iter_frames(video), 3)
    probabilities = inner_mouth.smooth_in_time(find_person(frame) for frame in ahead)
    mouths = inner_mouth.mouths(further, points, skin, inner_mouth.MouthSettings())
    for frame, probability, mesh, mouth in zip(frames, probabilities, points, mouths, strict=True):
        person = segment.refine_person(frame, probability, plate, settings)
        labels = segment.label_frame(frame, person, mesh, skin, settings)
        inner_mouth.mark_mouth(labels, mesh, *mouth)
        yield frame, labels


if __name__ == "__main__":
    cli.run(main)

"""Label every pixel of a clip, and recover the background and the torso behind the head."""

import argparse
import sys
from collections.abc import Iterator
from itertools import tee
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from d3talker import cli
from d3talker.artifacts import ArtifactError, image_writer, load_arrays, save_image
from d3talker.face import inner_mouth, segment
from d3talker.face.mediapipe_models import PersonSegmenter
from d3talker.video import io
from d3talker.video.background import CleanPlate, clean_plate
from d3talker.video.torso import torso_layer

SAMPLES = 60  # frames from which background and skin colour are taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", required=True, help="clip made by ingest")
    parser.add_argument("--landmarks", required=True, help=".npz made by landmarks")
    parser.add_argument("--out-labels", required=True, help=".zip of label PNGs, one per frame")
    parser.add_argument("--out-background", required=True, help="PNG, the clean plate")
    parser.add_argument("--out-torso", required=True, help=".zip of RGBA PNGs, one per frame")
    args = parser.parse_args()
    settings = segment.ParseSettings()
    points = load_arrays(args.landmarks)[0]["points"]
    plate, skin = look_at_samples(args.video, args.landmarks, points)
    labelled = label_frames(args.video, points, plate, skin, settings)
    with image_writer(args.out_labels) as add_labels, image_writer(args.out_torso) as add_torso:
        for frame, labels in cli.progress(labelled, len(points), "labels and torso"):
            add_labels(labels)
            add_torso(torso_layer(frame, labels, plate.image))
    save_image(args.out_background, plate.image)


def look_at_samples(
    video: str, landmarks: str, points: np.ndarray
) -> tuple[CleanPlate, segment.SkinModel]:
    """Background and skin colour from frames spread over the clip."""
    wanted = np.unique(np.linspace(0, len(points) - 1, SAMPLES).astype(int))
    frames, count, sampled = [], 0, set(wanted.tolist())
    for count, frame in enumerate(io.iter_frames(video), start=1):
        if count - 1 in sampled:
            frames.append(frame)
    if count != len(points):
        raise ArtifactError(
            f"{landmarks}: has {len(points)} frames, but {video} has {count}; "
            "make the landmarks again"
        )
    find_person = PersonSegmenter()
    plate = clean_plate(np.stack(frames), [find_person(frame) for frame in frames])
    return plate, segment.skin_model(frames, points[wanted])


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

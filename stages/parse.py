"""Label every pixel of a clip, and recover the background and the torso behind the head."""

import argparse
import sys
from collections.abc import Iterator
from itertools import tee
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from d3talker import cli
from d3talker.artifacts import ArtifactError, load_arrays, load_images, save_image, save_images
from d3talker.face import inner_mouth, segment
from d3talker.face.mediapipe_models import PersonSegmenter
from d3talker.video import io
from d3talker.video.background import CleanPlate, clean_plate
from d3talker.video.torso import torso_layer

SAMPLES = 60  # frames from which background and skin colour are taken
CHUNK = 100  # label images read at a time


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
    save_image(args.out_background, plate.image)
    labels = label_frames(args.video, points, plate, skin, settings)
    save_images(args.out_labels, cli.progress(labels, len(points), "labels"))
    torsos = torso_frames(args.video, args.out_labels, len(points), plate)
    save_images(args.out_torso, cli.progress(torsos, len(points), "torso"))


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
) -> Iterator[np.ndarray]:
    """Yield the label image (H,W) uint8 of every frame of `video`."""
    find_person = PersonSegmenter()
    frames, ahead, further = tee(io.iter_frames(video), 3)
    probabilities = inner_mouth.smooth_in_time(find_person(frame) for frame in ahead)
    mouths = inner_mouth.mouths(further, points, skin, inner_mouth.MouthSettings())
    for frame, probability, mesh, mouth in zip(frames, probabilities, points, mouths, strict=True):
        person = segment.refine_person(frame, probability, plate, settings)
        labels = segment.label_frame(frame, person, mesh, skin, settings)
        inner_mouth.mark_mouth(labels, mesh, *mouth)
        yield labels


def torso_frames(
    video: str, labels_path: str, count: int, plate: CleanPlate
) -> Iterator[np.ndarray]:
    """Yield the torso layer (H,W,4) uint8 of every frame of `video`."""
    frames = io.iter_frames(video)
    for start in range(0, count, CHUNK):
        for labels in load_images(labels_path, range(start, min(start + CHUNK, count))):
            yield torso_layer(next(frames), labels, plate.image)


if __name__ == "__main__":
    cli.run(main)

"""Write one person as the dataset folder that InsTaG, TalkingGaussian, ER-NeRF and GaussianTalker
read: images, masks, landmarks, action units, speech features and cameras (docs/export.md)."""

import argparse
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from d3talker import artifacts, cli
from d3talker.export import dataset
from d3talker.split import FPS, test_part
from d3talker.video import iter_frames

FOLDERS = ("ori_imgs", "gt_imgs", "parsing", "torso_imgs", "teeth_mask")
CHUNK = 50  # frames whose labels and torsos are in memory at a time
GEOMETRY_FRAMES = 500  # the first 20 s, as many as the programs ask for


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--video", required=True, help="the person's clip")
    parser.add_argument("--audio", required=True, help="its sound, 16 kHz (.wav)")
    parser.add_argument("--ingest", required=True, help="ingest.json of the clip")
    parser.add_argument("--landmarks", required=True, help="landmarks.npz of the clip")
    parser.add_argument("--fan-landmarks", help="FAN's points of the clip, to be written instead")
    parser.add_argument("--labels", required=True, help="parsing of the clip (.zip)")
    parser.add_argument("--background", required=True, help="clean plate (.png)")
    parser.add_argument("--torso", required=True, help="torso of the clip (.zip)")
    parser.add_argument("--track", required=True, help="track.npz of the clip")
    parser.add_argument("--speech", required=True, help="speech features of the sound (.npz)")
    parser.add_argument("--poses", help="refined poses (.npz); the tracker's without")
    parser.add_argument("--geometry", help="depth and normals of the clip (.npz)")
    parser.add_argument("--out", required=True, type=Path, help="folder to write, named <person>")
    return parser.parse_args()


def write_frames(args: argparse.Namespace, folder: Path, frames: int) -> None:
    """All files that there is one of for every frame, but the landmarks."""
    background = artifacts.load_image(args.background)
    dataset.write(folder / "bc.jpg", background)
    images = cli.progress(iter_frames(args.video), frames, "export")
    for number, image in enumerate(images):
        place = number % CHUNK
        if place == 0:
            chunk = range(number, min(number + CHUNK, frames))
            labels = artifacts.load_images(args.labels, chunk)
            torsos = artifacts.load_images(args.torso, chunk)
        frame = dataset.Frame(image, labels[place], torsos[place])
        dataset.write_images(folder, number, frame, background)


def write_cameras(args: argparse.Namespace, folder: Path, track: dict, ingest: dict) -> None:
    """transforms_train.json and transforms_val.json."""
    pose = artifacts.load_arrays(args.poses)[0] if args.poses else track
    matrices = dataset.camera_to_world(pose["R"], pose["t"])
    start, stop = test_part(ingest)
    # The loaders drop the last entry of the test part (spec 1.11), so one more is listed: a frame
    # that is not tested, or else the last one twice.
    parts = {"train": range(start), "val": [*range(start, stop), min(stop, len(matrices) - 1)]}
    for part, frames in parts.items():
        content = dataset.transforms(matrices, frames, float(track["focal"]), ingest["size"])
        artifacts.save_json(folder / f"transforms_{part}.json", content)


def write_dataset(args: argparse.Namespace, folder: Path) -> None:
    """Everything into the empty `folder`."""
    ingest = artifacts.load_json(args.ingest)
    track, of_track = artifacts.load_arrays(args.track)
    landmarks, _ = artifacts.load_arrays(args.landmarks)
    speech, of_speech = artifacts.load_arrays(args.speech)
    for name in FOLDERS:
        (folder / name).mkdir()
    shutil.copyfile(args.video, folder / f"{args.out.name}.mp4")
    shutil.copyfile(args.audio, folder / "aud.wav")
    write_frames(args, folder, ingest["frames"])
    fan = artifacts.load_arrays(args.fan_landmarks)[0] if args.fan_landmarks else landmarks
    dataset.write_landmarks(folder, fan["points"])
    opening = np.where(landmarks["valid"], landmarks["mouth_openness"], np.nan)
    (folder / "au.csv").write_text(dataset.action_unit_table(track["au"], opening))
    dataset.write_speech(folder, speech["features"], of_speech["extractor"])
    write_cameras(args, folder, track, ingest)
    if args.geometry:
        prior, _ = artifacts.load_arrays(args.geometry)
        first = slice(GEOMETRY_FRAMES)
        dataset.write_geometry(folder, prior["depth"][first], prior["normals"][first])
    about = {
        "identity": ingest["identity"],
        "frames": ingest["frames"],
        "fps": FPS,
        "speech_features": of_speech["extractor"],
        "landmarks": "68 points of FAN"
        if args.fan_landmarks
        else "68 points of MediaPipe's face mesh, at the places of iBUG's",
        "action_units": f"from {of_track.get('action_units_from', 'the face mesh')}, in OpenFace's"
        " ranges; AU25 is the mouth's opening",
        "cameras": "refined on the pictures" if args.poses else "of the tracker",
        "unit": "m",
        "not_there": ["track_params.pt"] + ([] if args.geometry else ["sapiens"]),
    }
    artifacts.save_json(folder / "d3talker.json", about)


def main() -> None:
    args = parse_arguments()
    with artifacts.atomic_folder(args.out) as part:
        write_dataset(args, part)


if __name__ == "__main__":
    cli.run(main)

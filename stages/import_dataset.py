"""Make a clip of a dataset folder of InsTaG, TalkingGaussian, ER-NeRF or GaussianTalker.

Its frames become the video, its sound the clip's sound, and its cameras and action units are kept
for the tracker. Everything in the folder is looked through first (docs/export.md).
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from d3talker import cli
from d3talker.artifacts import save_arrays, save_json
from d3talker.face.action_units import NAMES
from d3talker.imported import sound
from d3talker.imported.cameras import chosen_test
from d3talker.imported.dataset import Dataset, load_frame, open_dataset
from d3talker.ingest.scenes import discontinuities
from d3talker.ingest.settings import IngestSettings
from d3talker.ingest.survey import THUMBNAIL
from d3talker.video import io


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", required=True, help="the folder")
    parser.add_argument("--identity", required=True, help="name of the person in the results")
    parser.add_argument(
        "--test-frames", type=int, help="length of the test part at the end; default: the folder's"
    )
    parser.add_argument("--out-video", required=True, help="H.264 MP4 without sound")
    parser.add_argument("--out-audio", required=True, help="wav, 16 kHz mono")
    parser.add_argument("--out-cameras", required=True, help="cameras and action units (.npz)")
    parser.add_argument("--out-json", required=True, help="what was found")
    args = parser.parse_args()

    dataset = open_dataset(args.dataset)
    test = dataset.cameras.test
    if args.test_frames is not None:
        test = chosen_test(args.dataset, dataset.frames, args.test_frames)
    source, blocks = sound.clip_sound(dataset.folder, dataset.frames)
    thumbnails: list[np.ndarray] = []
    io.write_video(args.out_video, frames_of(dataset, thumbnails), crf=10)  # as ingest does
    io.write_wav(args.out_audio, blocks())
    cameras = dataset.cameras
    au = {} if dataset.au is None else {"au": dataset.au}
    save_arrays(
        args.out_cameras,
        {"size": dataset.size, "units": {"focal": "px", "t": "m"}, "action_units": NAMES},
        **{"focal": np.float64(cameras.focal), "R": cameras.R, "t": cameras.t, **au},
    )
    measured, warnings = sound.quality(blocks())
    jumps = discontinuities(np.stack(thumbnails), IngestSettings())
    save_json(
        args.out_json,
        {
            "identity": args.identity,
            "source": f"{dataset.folder.resolve().name}/",
            "frames": dataset.frames,
            "fps": io.FPS,
            "size": dataset.size,
            "seconds": dataset.frames / io.FPS,
            "test": list(test),
            "note": note(dataset, source),
            "jump_cuts": sorted(jumps),
            "quality": {key: round(value, 3) for key, value in asdict(measured).items()},
            "warnings": warnings,
        },
    )
    for warning in warnings:
        print(f"warning: {cli.one_line(args.dataset)}: {warning}", file=sys.stderr)


def frames_of(dataset: Dataset, thumbnails: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield every frame (S,S,3) uint8; add a grey picture of it to `thumbnails`."""
    for number in cli.progress(range(dataset.frames), dataset.frames, "import"):
        frame = load_frame(dataset, number)
        small = cv2.resize(frame, THUMBNAIL, interpolation=cv2.INTER_AREA)
        thumbnails.append(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
        yield frame


def note(dataset: Dataset, sound_file: Path) -> str:
    """What comes from the folder, and what is measured here, in words."""
    kept = ["frames", "cameras", "masks", "background", "torso", "split"]
    measured = ["speech features", "expression"]
    (measured if dataset.au is None else kept).append("action units")
    (kept if dataset.teeth else measured).append("inner mouth and teeth")
    return (
        f"Imported from a dataset folder: {', '.join(kept)} and sound ({sound_file.name}) are its"
        f" own; {', '.join(measured)} are measured here."
    )


if __name__ == "__main__":
    cli.run(main)

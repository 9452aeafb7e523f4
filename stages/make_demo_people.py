"""Make small synthetic talking-head videos with known ground truth, from nothing but packages.

The first person is the target (OUT/<name>.mp4), the others are for pre-training
(OUT/pretrain/<name>.mp4); OUT/audio/<name>.wav is one more utterance of the last person, without a
picture, for cross-driving; OUT/truth/<name>.npz is what is known of each video.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from d3talker import cli
from d3talker.artifacts import save_arrays
from d3talker.demo import people
from d3talker.demo.head import EXPRESSIONS
from d3talker.demo.voice import RATE, mouth_targets
from d3talker.video import io

CRF = 14  # the videos stand in for camera footage of good quality


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, type=Path, help="folder to write to")
    parser.add_argument("--size", type=int, default=512, help="side of the square frames, px, even")
    parser.add_argument("--seconds", type=float, default=12.0, help="length of each video")
    parser.add_argument("--people", type=int, default=3, help="how many, the target included")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    check(args)

    cast = people.choose_people(args.people, args.seed)
    for number, person in enumerate(cast):
        rng = np.random.default_rng([args.seed, number])
        video = args.out / ("" if number == 0 else "pretrain") / f"{person.name}.mp4"
        record(person, args.size, args.seconds, rng, video, args.out / "truth")

    speaker = cast[-1]
    rng = np.random.default_rng([args.seed, len(cast)])
    labels, sound = people.speak(speaker.voice, round(args.seconds * io.FPS) / io.FPS, rng)
    io.write_wav(args.out / "audio" / f"{speaker.name}_extra.wav", sound)
    truth = args.out / "truth" / f"{speaker.name}_extra.npz"
    meta = {"mouth": EXPRESSIONS[:2], "phones_per_second": 100}
    save_arrays(truth, meta, mouth=mouth_targets(labels).astype(np.float32), phones=labels)


def check(args: argparse.Namespace) -> None:
    if args.size < 64 or args.size % 2:
        raise cli.InputError(f"--size {args.size}: give an even number of at least 64 pixels")
    if args.seconds < 1 or args.people < 1:
        raise cli.InputError("--seconds and --people must be at least 1")


def record(
    person: people.Person,
    size: int,
    seconds: float,
    rng: np.random.Generator,
    video: Path,
    truth: Path,
) -> None:
    """Film one person; write the video and its ground truth."""
    scene = people.build_person(person, size, rng)
    performance = people.perform(person.voice, seconds, rng)
    frames = people.film(scene, performance)
    frames = cli.progress(frames, len(performance.expression), person.name)
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "sound.wav"
        io.write_wav(sound, performance.sound, RATE)
        io.write_video(video, frames, audio=sound, crf=CRF)
    meta = {
        "expression": EXPRESSIONS,
        "phones_per_second": 100,
        "size": size,
        "units": {"t": "m", "faces": "m", "mouth_opening": "m", "focal": "px"},
    }
    save_arrays(truth / f"{person.name}.npz", meta, **people.ground_truth(scene, performance))


if __name__ == "__main__":
    cli.run(main)

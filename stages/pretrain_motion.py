"""Learn how sound moves the lower face, from the tracked expressions of several people."""

import argparse
import sys
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from d3talker import settings
from d3talker.cli import InputError, run
from d3talker.face.model import FaceModel
from d3talker.motion.clips import lip_gap, load_clip
from d3talker.motion.model import MotionModel, save_model
from d3talker.motion.training import MotionSettings, train_motion


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", required=True, nargs="+", help="audio.wav of each person")
    parser.add_argument("--track", required=True, nargs="+", help="track.npz, same order")
    parser.add_argument("--name", required=True, nargs="+", help="names, same order")
    parser.add_argument("--face-model", required=True, help="face_model.npz")
    parser.add_argument("--out", required=True, help="model to write (.safetensors)")
    parser.add_argument("--settings", help="JSON overrides of MotionSettings")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    options = settings.parse(MotionSettings, args.settings)
    if not len(args.audio) == len(args.track) == len(args.name):
        raise InputError("--audio, --track and --name need one item for each person")

    model = FaceModel.load(args.face_model)
    gap = lip_gap(model.expression[: model.lower])
    people = zip(args.name, args.audio, args.track, strict=True)
    clips = [load_clip(name, audio, track, gap) for name, audio, track in people]
    start = time.monotonic()
    networks, lags, losses = train_motion(clips, options, args.seed)
    meta = {
        "settings": asdict(options),
        "seed": args.seed,
        "people": args.name,
        "picture_after_sound_ms": [10 * lag for lag in lags],
        "losses": losses,
        "train_seconds": round(time.monotonic() - start, 1),
    }
    save_model(args.out, MotionModel(networks, torch.from_numpy(gap)), meta)


if __name__ == "__main__":
    run(main)

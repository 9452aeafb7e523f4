"""Tune the audio-to-motion model to the target's training seconds, and calibrate it."""

import argparse
import logging
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from d3talker import settings
from d3talker.artifacts import load_json
from d3talker.cli import run
from d3talker.motion.clips import load_clip
from d3talker.motion.model import load_model, save_model
from d3talker.motion.tuning import TuneMotionSettings, tune_motion
from d3talker.split import train_range

log = logging.getLogger("d3talker")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="model of pretrain_motion (.safetensors)")
    parser.add_argument("--audio", required=True, help="audio.wav of the target")
    parser.add_argument("--track", required=True, help="track.npz of the target")
    parser.add_argument("--ingest", required=True, help="ingest.json of the target")
    parser.add_argument("--secs", required=True, type=int, help="training seconds")
    parser.add_argument("--out", required=True, help="tuned model to write (.safetensors)")
    parser.add_argument("--settings", help="JSON overrides of TuneMotionSettings")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    options = settings.parse(TuneMotionSettings, args.settings)

    model, pretraining = load_model(args.model)
    ingest = load_json(args.ingest)
    frames = train_range(ingest, args.secs)[1]
    clip = load_clip(ingest["identity"], args.audio, args.track, model.gap.numpy(), frames)
    tuned, measured = tune_motion(model, clip, options, args.seed)
    log.info("%s: %s", clip.name, measured)
    meta = {
        "settings": asdict(options),
        "seed": args.seed,
        "identity": clip.name,
        "frames": [0, frames],
        "measured": measured,
        "pretraining": pretraining,
    }
    save_model(args.out, tuned, meta)


if __name__ == "__main__":
    run(main)

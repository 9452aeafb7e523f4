"""Find out whether sound and picture of a clip are in step, and move the sound where they are not.

Listens to all frames but the test part, with a model that never met the person; one that has
learned from a person of the same name is not asked. The sound keeps its length; where it is moved,
silence fills the end that is left.
"""

import argparse
import logging
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from d3talker import settings
from d3talker.artifacts import load_json, save_json
from d3talker.cli import InputError, run
from d3talker.motion.clips import load_clip
from d3talker.motion.model import load_model
from d3talker.motion.network import ROW_MS
from d3talker.motion.sync import REACH_MS, SyncSettings, measure_lag, verdict
from d3talker.motion.training import openings_by_lag
from d3talker.speech.logmel import RATE, read_wav
from d3talker.split import test_part
from d3talker.video.io import write_wav

log = logging.getLogger("d3talker")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="model of pretrain_motion (.safetensors)")
    parser.add_argument("--audio", required=True, help="audio.wav of the person")
    parser.add_argument("--track", required=True, help="track.npz of the person")
    parser.add_argument("--ingest", required=True, help="ingest.json of the person")
    parser.add_argument("--out-audio", required=True, help="sound in step (.wav)")
    parser.add_argument("--out-json", required=True, help="what was found")
    parser.add_argument("--settings", help="JSON overrides of SyncSettings")
    args = parser.parse_args()
    options = settings.parse(SyncSettings, args.settings)

    model, meta = load_model(args.model)
    if "people" not in meta:
        raise InputError(
            f"{args.model}: tuned to one person, whose lag it cannot judge; give --model the file "
            "of pretrain_motion (pretrained/audio_to_motion.safetensors) or of a base "
            "(base_motion.safetensors)"
        )
    ingest = load_json(args.ingest)
    identity, frames = ingest["identity"], test_part(ingest)[0]
    reach = REACH_MS // ROW_MS
    lags = range(-reach, reach + 1)
    lags_ms = [ROW_MS * rows for rows in lags]
    if identity in meta["people"]:
        lag, moved, text = None, False, f"left as it is: {args.model} has learned from {identity}"
    else:
        clip = load_clip(identity, args.audio, args.track, model.gap.numpy(), frames)
        heard = openings_by_lag(model.networks, clip, lags).double().numpy()
        seen = (clip.motion @ clip.opening).double().numpy()
        lag = measure_lag(heard, seen, clip.valid.numpy() > 0, lags_ms)
        moved, text = verdict(lag, options)
    log.log(logging.WARNING if moved else logging.INFO, "%s: %s", identity, text)

    samples = read_wav(args.audio)
    sound_moved_ms = lag.best_ms if moved else 0
    write_wav(args.out_audio, delayed(samples, sound_moved_ms))
    found = {
        "identity": identity,
        "frames": [0, frames],
        "verdict": text,
        "sound_moved_ms": sound_moved_ms,
        "picture_after_sound": lag and asdict(lag),
        "lags_ms": lags_ms,
        "settings": asdict(options),
    }
    save_json(args.out_json, found)


def delayed(samples: np.ndarray, ms: int) -> np.ndarray:
    """Samples (n,) that sound `ms` later (negative: earlier), with silence where none are left."""
    shift = ms * RATE // 1000
    silence = np.zeros(min(abs(shift), len(samples)), samples.dtype)
    if shift >= 0:
        return np.concatenate([silence, samples])[: len(samples)]
    return np.concatenate([samples, silence])[-len(samples) :]


if __name__ == "__main__":
    run(main)

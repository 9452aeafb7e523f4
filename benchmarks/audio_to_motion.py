"""How well sound tells the facial motion of people that the networks never met.

    .envs/torch/bin/python -m benchmarks.audio_to_motion --results results

Everybody found in the folder is left out once: the people are dealt into folds, and those of each
fold are predicted by networks that learned from all the others. For every coefficient and for the
mouth opening the table gives Pearson's correlation of prediction and tracked motion, and the error:
root mean square in standard deviations of the person's own motion, after each prediction is scaled
to fit best (1 where nothing is predicted). Means over people, each at the lag where the opening
fits best, which is printed as well.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks import machine
from d3talker import settings
from d3talker.face.model import FaceModel
from d3talker.motion.clips import Clip, delay_sound, lip_gap, load_clip
from d3talker.motion.model import mean_prediction
from d3talker.motion.network import ROW_MS
from d3talker.motion.training import (
    EDGE,
    LAGS,
    MotionSettings,
    correlation,
    openings_by_lag,
    train_motion,
)
from d3talker.split import FPS

FACE_MODEL = Path(__file__).parents[1] / "resources" / "face_model.npz"


def correlations(predicted: Tensor, clip: Clip) -> list[float]:
    """Of each coefficient (C) and then of the mouth opening; predicted (T,C) standardised."""
    seen = clip.valid > 0
    pairs = [(predicted[seen, c], clip.motion[seen, c]) for c in range(clip.motion.shape[1])]
    pairs.append((predicted[seen] @ clip.opening, clip.motion[seen] @ clip.opening))
    return [correlation(a, b) for a, b in pairs]


def best_lag(networks: list, clip: Clip) -> int:
    """Rows of 10 ms by which the clip's sound has to be delayed to fit its picture best."""
    seen = (clip.motion @ clip.opening)[EDGE:-EDGE]
    heard = openings_by_lag(networks, clip, LAGS)[:, EDGE:-EDGE]
    return LAGS[int(np.argmax([correlation(row, seen) for row in heard]))]


@torch.no_grad()
def left_out(clips: list[Clip], folds: int, options: MotionSettings, seed: int) -> dict:
    """Name -> (lag in rows, correlations (C+1)) of everybody, by networks that never met them."""
    found = {}
    for fold in range(folds):
        unseen = clips[fold::folds]
        known = [clip for i, clip in enumerate(clips) if i % folds != fold]
        with torch.enable_grad():
            networks, *_ = train_motion(known, options, seed)
        for clip in unseen:
            lag = best_lag(networks, clip)
            aligned = delay_sound(clip, lag)
            found[clip.name] = lag, correlations(mean_prediction(networks, aligned.mel), aligned)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", required=True, type=Path, help="of a run, or of prepare")
    parser.add_argument("--people", nargs="+", help="of them; default: everybody")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--settings", help="JSON overrides of MotionSettings")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    options = settings.parse(MotionSettings, args.settings)
    model = FaceModel.load(FACE_MODEL)
    gap = lip_gap(model.expression[: model.lower])
    names = args.people or sorted(path.parent.name for path in args.results.glob("*/track.npz"))
    folders = [args.results / name for name in names]
    clips = [load_clip(path.name, path / "audio.wav", path / "track.npz", gap) for path in folders]
    seconds = sum(len(clip.motion) for clip in clips) / FPS
    found = left_out(clips, args.folds, options, args.seed)

    print(f"{machine.name()}: {len(clips)} people, {seconds:.0f} s, {args.folds} folds\n")
    print("person               lag, ms  correlation of the opening")
    for name, (lag, of_each) in found.items():
        print(f"{name:20} {lag * ROW_MS:7d} {of_each[-1]:10.3f}")
    table = np.array([of_each for _, of_each in found.values()])
    error = np.sqrt(1 - np.maximum(table, 0) ** 2)
    print("\ncoefficient  correlation  error  opens the lips, mm a standard deviation")
    opens = 1e3 * np.mean([np.abs(gap * clip.std.numpy()) for clip in clips], axis=0)
    for c, width in enumerate(opens):
        print(f"{c + 1:11d} {table[:, c].mean():12.3f} {error[:, c].mean():6.3f} {width:8.2f}")
    print(f"{'opening':>11} {table[:, -1].mean():12.3f} {error[:, -1].mean():6.3f}")


if __name__ == "__main__":
    main()

"""How far the lips of a demo person part at each phone, in the clip and in a render of it.

    .envs/torch/bin/python -m benchmarks.lip_closure --truth demo/videos/truth/ada.npz \\
        --clip demo/results/ada/landmarks.npz --run demo/results/ada/d3talker/10s/self

The demo people's phones are known. An opening is that of the face mesh, in percent of the clip's
95th percentile in the same frames. Of each phone it is taken once for every time it is spoken: the
least one of the frames that show it for closed lips (m, b, p), their mean otherwise. A closure
counts as closed where it is under CLOSED.
"""

import argparse
from pathlib import Path

import numpy as np

from d3talker.artifacts import load_arrays, load_json
from d3talker.demo.voice import PHONES
from d3talker.split import FPS

CLOSED = 25  # percent


def spoken(phones: np.ndarray, per_second: int, start: int, stop: int) -> list[tuple[str, slice]]:
    """Phones (S,), `per_second` of them, as (name, frames of the clip), whole in [start, stop)."""
    edges = np.flatnonzero(phones[1:] != phones[:-1]) + 1
    found = []
    for first, after in zip([0, *edges], [*edges, len(phones)], strict=True):
        # Frames whose middle lies in the phone.
        frames = np.ceil(np.array([first, after]) * FPS / per_second - 0.5).astype(int)
        if start <= frames[0] < frames[1] <= stop:
            found.append((str(phones[first]), slice(*frames.tolist())))
    return found


def opening_at(name: str, opening: np.ndarray) -> float:
    """Of the frames (T,) that show one phone; NaN where no face was found."""
    if np.isnan(opening).all():
        return float("nan")
    return float(np.nanmin(opening) if PHONES[name].closed else np.nanmean(opening))


def percent_open(path: Path, start: int, frames: int) -> np.ndarray:
    """Mouth opening (frames,) of a landmarks artifact from frame `start` on, NaN without a face."""
    arrays, _ = load_arrays(path)
    opening = np.where(arrays["valid"], arrays["mouth_openness"], np.nan)
    return opening[start : start + frames]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--truth", required=True, type=Path, help="truth/<name>.npz of the demo")
    parser.add_argument("--clip", required=True, type=Path, help="landmarks.npz of the clip")
    parser.add_argument("--run", required=True, type=Path, help="folder of a self-driven render")
    args = parser.parse_args()
    arrays, meta = load_arrays(args.truth)
    rendered = load_json(args.run / "render.json")
    start, frames = rendered["first_frame"], rendered["frames"]
    true = percent_open(args.clip, start, frames)
    render = percent_open(args.run / "landmarks.npz", 0, frames)
    wide = np.nanpercentile(true, 95) / 100

    table: dict[str, list[tuple[float, float]]] = {}
    for name, at in spoken(arrays["phones"], meta["phones_per_second"], start, start + frames):
        here = slice(at.start - start, at.stop - start)
        both = opening_at(name, true[here] / wide), opening_at(name, render[here] / wide)
        table.setdefault(name, []).append(both)
    print("phone  times  opening of the clip, of the render, %")
    for name in sorted(table, key=lambda name: PHONES[name].opening):
        clip, ours = np.nanmean(table[name], axis=0)
        print(f"{name:5} {len(table[name]):6d} {clip:12.0f} {ours:12.0f}")
    closures = np.array([pair for name in table if PHONES[name].closed for pair in table[name]])
    clip, ours = (closures < CLOSED).mean(axis=0) * 100
    print(f"\n{len(closures)} closures; under {CLOSED} %: clip {clip:.0f} %, render {ours:.0f} %")


if __name__ == "__main__":
    main()

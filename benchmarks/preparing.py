"""Table of what `make run TARGET=prepare` made of every clip, in Markdown.

    .envs/workflow/bin/python -m benchmarks.preparing --results results

Face: height of the detected face in the source. Error: mean distance of the tracked points from the
landmarks in valid frames, px of a 512 px frame. Valid: share of frames with a face whose landmarks
can be trusted. Seconds and memory are those that Snakemake measured of each stage: wall time,
and the largest resident set of its processes together.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from d3talker.artifacts import load_arrays, load_json

STAGES = ("ingest", "landmarks", "parse", "track")
REFERENCE_SIZE = 512
HEADS = ("clip", "s", "face, px", "focal, px", "error, px", "valid", "warnings")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", required=True, type=Path)
    args = parser.parse_args()
    rows = [describe(path.parent) for path in sorted(args.results.glob("*/track.npz"))]
    heads = [*HEADS, *(f"{stage}, s" for stage in STAGES), "memory, MiB"]
    for cells in (heads, ["---"] * len(heads), *rows):
        print(f"| {' | '.join(cells)} |")


def describe(clip: Path) -> list[str]:
    """Cells of the row of a clip, given its folder of results."""
    ingest = load_json(clip / "ingest.json")
    track, _ = load_arrays(clip / "track.npz")
    valid, scale = track["valid"], REFERENCE_SIZE / ingest["size"]
    error = scale * np.mean(track["reprojection_error"][valid])
    cells = [clip.name, f"{ingest['seconds']:.1f}", f"{ingest['quality']['face_height']:.0f}"]
    cells += [f"{scale * track['focal']:.0f}", f"{error:.2f}", f"{valid.mean():.1%}"]
    cells += [str(len(ingest["warnings"]))]
    spent = [measured(clip.parent / "benchmarks" / clip.name / f"{s}.tsv") for s in STAGES]
    cells += ["" if one is None else f"{one['s']:.0f}" for one in spent]
    memory = [one["max_rss"] for one in spent if one is not None]
    return [*cells, f"{max(memory):.0f}" if memory else ""]


def measured(path: Path) -> pd.Series | None:
    """What Snakemake measured of a job; None if it was not run there."""
    return pd.read_csv(path, sep="\t").iloc[-1] if path.exists() else None


if __name__ == "__main__":
    main()

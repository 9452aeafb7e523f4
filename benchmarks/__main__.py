"""Print how fast this machine is with the kernels, in training and in rendering; `make bench`.

Figures are made as docs/benchmarks.md says. With other work on the machine they are wrong.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks import iterations, kernels, machine, table
from d3talker import __version__


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    seconds: float = 2.0  # for each comparison
    threads: tuple[int, ...] = (1, 2)  # as far as there are cores
    gaussians: int = 20_000  # of a person
    size: int = 512  # px, of a frame
    points: tuple[int, ...] = (20_000, 50_000)  # that are encoded
    sizes: tuple[int, ...] = (256, 512)  # px, of images whose loss is computed
    scaling_gaussians: tuple[int, ...] = (5_000, 20_000, 50_000, 200_000)
    scaling_sizes: tuple[int, ...] = (256, 512, 1024)  # px
    rounds: int = 4  # of training runs and of clips
    frames: int = 20  # of a clip
    loops: int = machine.LOOPS  # of multiply-adds, to find the peak
    array_bytes: int | None = None  # to find the bandwidth; None: larger than the caches


def sections(plan: Plan) -> Iterator[tuple[str, list[table.Row]]]:
    """Title and rows of every table."""
    numbers = tuple(count for count in plan.threads if count <= machine.cores())
    seconds = plan.seconds
    rows = machine.peak_rows(numbers, seconds / 2, plan.loops, plan.array_bytes)
    yield "Peak of this machine", rows
    peaks = {row.threads: 1e12 / row.ms for row in rows if row.fraction_of_peak}
    rows = kernels.rasterizer_rows(plan.gaussians, plan.size, peaks, 2 * seconds)
    rows += kernels.encoding_rows(plan.points, numbers, seconds)
    rows += kernels.loss_rows(plan.sizes, numbers, seconds)
    yield "Kernels beside plain torch, forward and backward", rows
    rows = kernels.scaling_rows(plan.scaling_gaussians, plan.scaling_sizes, peaks, seconds / 4)
    yield "How the rasterizer's time grows, forward and backward", rows
    rows = iterations.training_rows(plan.gaussians, plan.size, numbers, plan.rounds)
    yield "Training, one iteration", rows
    rows = iterations.refiner_rows(plan.size, numbers, seconds / 2)
    rows += iterations.frame_rows(plan.gaussians, plan.size, numbers, plan.frames, plan.rounds)
    yield "Rendering", rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/bench.json"))
    parser.add_argument(
        "--seconds", type=float, default=Plan.seconds, help="for each comparison (default 2)"
    )
    args = parser.parse_args()
    torch.manual_seed(0)
    warning = machine.disturbance()
    print(f"{machine.name()}; D3-Talker Workflow {__version__}, torch {torch.__version__}")
    print(*([warning] if warning else []), "", sep="\n", flush=True)
    start = time.monotonic()
    rows = []
    for title, section in sections(Plan(args.seconds)):
        print(table.text(title, section), flush=True)
        rows += section
    table.write(rows, args.out)
    print(f"{args.out}: {len(rows)} rows, in {time.monotonic() - start:.0f} s")
    if warning:
        print(warning)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""How long Snakemake takes to plan a run for many people: benchmarks/dag.py [PEOPLE].

Runs in the environment `workflow`. The people are empty files, four variants each.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VARIANTS = "variants=[d3talker,oracle,static,wo_c2f]"


def make_people(folder: Path, count: int) -> None:
    """Empty videos, and clips of 22 to 120 s that were cut from them."""
    draw = random.Random(0)
    (folder / "videos").mkdir()
    for number in range(count):
        name = f"person{number:04d}"
        (folder / "videos" / f"{name}.mp4").touch()
        clip = folder / "results" / name / "ingest.json"
        clip.parent.mkdir(parents=True)
        clip.write_text(json.dumps({"seconds": draw.uniform(22, 120)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("people", type=int, nargs="?", default=1000)
    parser.add_argument("--print", action="store_true", help="as a dry run does: every job")
    args = parser.parse_args()
    people = args.people
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_people(folder, people)
        command = [sys.executable, "-m", "snakemake", "-n", *([] if args.print else ["-q"])]
        command += ["--cores", "2", "--config"]
        command += [f"videos={folder}/videos", f"results={folder}/results", VARIANTS]
        start = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - start
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    if args.print:
        print(next(line for line in done.stdout.splitlines() if line.startswith("dry run: ")))
    print(
        f"{people} people: {seconds:.0f} s, of which {used.ru_utime + used.ru_stime:.0f} s on a"
        f" core; {used.ru_maxrss / 1024:.0f} MB"
    )


if __name__ == "__main__":
    main()

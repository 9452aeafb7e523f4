#!/usr/bin/env python3
"""What a cluster adds to the time of its jobs: benchmarks/slurm.py [PEOPLE].

Runs in the environment `workflow`, as root on a Debian 12 machine, where it starts a SLURM of one
node (tests/cluster/slurm.sh). Static heads of demo people of 5 s, sent as the profile slurm says:
as jobs go, the shortest of a real run. Ideal is a node whose cores work from the start to the end.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TRAINING = {"fit_static": {"iterations": 300, "initial_face": 1500, "initial_mouth": 200}}
# A small SLURM answers at once how its jobs are.
POLLING = "--slurm-init-seconds-before-status-checks 3 --seconds-between-status-checks 2"


def make_people(folder: Path, count: int) -> None:
    """Videos of `count` demo people: one is made, for jobs do not depend on who is shown."""
    media = ROOT / ".envs" / "media" / "bin" / "python"
    command = [media, ROOT / "stages" / "make_demo_people.py", "--out", folder / "made"]
    subprocess.run([*command, "--size", "192", "--seconds", "5", "--people", "1"], check=True)
    (video,) = (folder / "made").glob("*.mp4")
    (folder / "videos").mkdir()
    for number in range(count):
        (folder / "videos" / f"person{number}.mp4").symlink_to(video)


def run(folder: Path, people: int) -> float:
    """Seconds of a run on SLURM."""
    settings = {
        "size": 128,
        "secs": [3],
        "variants": ["static"],
        "results": str(folder / "results"),
    }
    settings |= {"train": TRAINING}
    (folder / "config.json").write_text(json.dumps(settings))
    command = [sys.executable, "workflow/run.py", "--profile", "slurm"]
    command += ["--videos", folder / "videos", "--configfile", folder / "config.json"]
    heads = [f"{folder}/results/person{n}/static/3s.safetensors" for n in range(people)]
    command += ["--target", " ".join(heads), f"--args={POLLING}"]
    start = time.monotonic()
    subprocess.run(command, cwd=ROOT, check=True)
    return time.monotonic() - start


def ended(folder: Path) -> list[tuple[float, int]]:
    """Seconds and cores of the jobs that SLURM has ended."""
    found = []
    for line in (folder / "slurm" / "log" / "jobs.txt").read_text().splitlines():
        fields = dict(re.findall(r"(\w+)=(\S*)", line))
        start, end = (datetime.fromisoformat(fields[key]) for key in ("StartTime", "EndTime"))
        found.append(((end - start).total_seconds(), int(fields["ProcCnt"])))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("people", type=int, nargs="?", default=8)
    people = parser.parse_args().people
    slurm = ROOT / "tests" / "cluster" / "slurm.sh"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_people(folder, people)
        subprocess.run([slurm, "start", folder / "slurm"], check=True)
        try:
            seconds = run(folder, people)
            jobs = ended(folder)
        finally:
            subprocess.run([slurm, "stop", folder / "slurm"], check=True)
    cores = len(os.sched_getaffinity(0))
    work = sum(length * count for length, count in jobs)
    print(
        f"{people} people, {len(jobs)} jobs of {work / len(jobs):.0f} core seconds each on average"
    )
    print(f"{seconds:.0f} s, {seconds * cores / work:.2f} times the ideal on {cores} cores")


if __name__ == "__main__":
    main()

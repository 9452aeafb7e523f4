"""Write the HTML report of all runs. It links the videos, so it belongs into the results folder.

What it shows of a run lies beside the run's metrics.json (render.json, render.mp4, landmarks.npz
and, self-driven, compare.mp4) and one folder up (*curves.csv, where there are any); the landmarks,
the check picture and sync.json of a clip lie beside its ingest.json.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import yaml

from d3talker import artifacts, cli
from d3talker.report import costs, page


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--ingest", required=True, nargs="+", help="ingest.json, or refused.json, of every video"
    )
    parser.add_argument("--metrics", required=True, nargs="*", help="metrics.json of every run")
    parser.add_argument("--paper", required=True, help="config/paper_tables.yaml")
    parser.add_argument("--benchmarks", help="folder of Snakemake's records of time and memory")
    parser.add_argument(
        "--weights", nargs="*", default=[], help="files whose SHA-256 the page tells"
    )
    parser.add_argument(
        "--changed", type=json.loads, default={}, help="settings that are not the default (JSON)"
    )
    parser.add_argument(
        "--meanings", type=json.loads, default={}, help="what each variant is, by name (JSON)"
    )
    parser.add_argument(
        "--remarks", nargs="*", default=[], help="what a reader of the scores has to know"
    )
    parser.add_argument("--about", default="{}", help="JSON for report.tables: why a row lacks")
    parser.add_argument("--out", required=True, help="the page (.html)")
    return parser.parse_args()


def mouth_opening(path: Path) -> np.ndarray:
    """Mouth opening (T,) of a landmarks artifact, NaN without a face."""
    arrays, _ = artifacts.load_arrays(path)
    return np.where(arrays["valid"], arrays["mouth_openness"], np.nan)


def address(path: Path, folder: Path) -> str:
    """Relative address of a file, for a page in `folder`."""
    return quote(Path(os.path.relpath(path, folder)).as_posix())


def read_run(path: Path, folder: Path) -> page.Run:
    """The run of a metrics.json, with its video's address seen from `folder`."""
    metrics = artifacts.load_json(path)
    video = path.parent / ("compare.mp4" if metrics["drive"] == "self" else "render.mp4")
    curves = sorted(path.parent.parent.glob("*curves.csv"))
    return page.Run(
        metrics=metrics,
        rendered=artifacts.load_json(path.parent / "render.json"),
        video=address(video, folder),
        opening=mouth_opening(path.parent / "landmarks.npz"),
        curves=[row for file in curves for row in page.read_curves(file.read_text())],
        megabytes=video.stat().st_size / 1e6 if video.exists() else 0.0,
    )


def read_person(path: Path, runs: list[page.Run], args: argparse.Namespace) -> page.Person:
    """The person of an ingest.json, with those of `runs` that show it."""
    ingest, beside = artifacts.load_json(path), path.parent
    name = ingest["identity"]
    return page.Person(
        ingest=ingest,
        opening=mouth_opening(beside / "landmarks.npz"),
        tracking=address(beside / "track.png", Path(args.out).parent),
        sync=artifacts.load_json(beside / "sync.json"),
        runs=[run for run in runs if run.metrics["identity"] == name],
        costs=costs.of_person(Path(args.benchmarks), name) if args.benchmarks else [],
    )


def read_origin(args: argparse.Namespace) -> page.Origin:
    """Where the numbers come from."""
    software = {"git commit": commit()}
    if args.metrics:
        newest = max(os.path.getmtime(path) for path in args.metrics)
        time = datetime.fromtimestamp(newest, UTC)
        software["last measurement"] = f"{time:%Y-%m-%d %H:%M} UTC"
    return page.Origin(
        software=software,
        changed=args.changed,
        meanings=args.meanings,
        remarks=args.remarks,
        weights={Path(path).name: checksum(path) for path in args.weights},
        costs=costs.of_all(Path(args.benchmarks)) if args.benchmarks else [],
    )


def checksum(path: str) -> str:
    """SHA-256 of a file, hexadecimal. Raises ArtifactError where there is none."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise artifacts.ArtifactError(f"{path}: cannot be read ({error.strerror})") from error


def commit() -> str:
    """The project's git commit, or that there is none."""
    root = Path(__file__).resolve().parents[1]
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout"


def main() -> None:
    args = parse_arguments()
    folder = Path(args.out).parent
    runs = [read_run(Path(path), folder) for path in args.metrics]
    people, refused = [], []
    for path in args.ingest:
        ingest = artifacts.load_json(path)
        if "refused" in ingest:
            refused.append(ingest["refused"])
        else:
            people.append(read_person(Path(path), runs, args))
    config = yaml.safe_load(Path(args.paper).read_text(encoding="utf-8"))
    config["about"] = json.loads(args.about)
    origin = read_origin(args)
    with artifacts.atomic(args.out) as part:
        part.write_text(page.render(people, refused, config, origin), encoding="utf-8")


if __name__ == "__main__":
    cli.run(main)

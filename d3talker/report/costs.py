"""What the steps of a run cost: time and memory as Snakemake recorded them (`benchmark:`)."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from d3talker.artifacts import ArtifactError

SHARED = {  # folders of records that belong to nobody alone -> what their steps are called
    "audio": "ingest of other sounds",
    "speech": "speech features",
    "pretrained": "pre-training",
    "tables": "tables",
}


@dataclass(frozen=True)
class Cost:
    """All jobs of one step."""

    step: str
    jobs: int
    seconds: float  # wall clock, of all jobs together
    longest: float  # s
    memory: float | None  # MB, the most that any job held at once; None if it was too quick to see


def of_person(folder: Path, identity: str) -> list[Cost]:
    """Costs of the steps for one person, the dearest first. folder: that of all records."""
    return gather((step_of(path), path) for path in (folder / identity).rglob("*.tsv"))


def of_all(folder: Path) -> list[Cost]:
    """Costs of the steps that are for everybody."""
    return gather((name, path) for top, name in SHARED.items() for path in folder.glob(f"{top}/*"))


def step_of(path: Path) -> str:
    """The step that left a record: fit_static of fit_static.10s.tsv."""
    return path.name.split(".")[0]


def gather(records: Iterable[tuple[str, Path]]) -> list[Cost]:
    """Sum up records, each with the name of its step, by steps."""
    steps: dict[str, list[tuple[float, float | None]]] = {}
    for step, path in sorted(records):
        steps.setdefault(step, []).append(read(path))
    costs = []
    for step, jobs in steps.items():
        seconds = [job[0] for job in jobs]
        memory = [job[1] for job in jobs if job[1] is not None]
        costs.append(Cost(step, len(jobs), sum(seconds), max(seconds), max(memory, default=None)))
    return sorted(costs, key=lambda cost: -cost.seconds)


def read(path: Path) -> tuple[float, float | None]:
    """(seconds, MB or None) of one job's record. Raises ArtifactError if it is not one."""
    with path.open(encoding="utf-8", newline="") as file:
        row = next(csv.DictReader(file, delimiter="\t"), {})
    try:
        return float(row["s"]), number(row["max_rss"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{path}: not a record of Snakemake's benchmarks ({error!r})"
        ) from error


def number(text: str) -> float | None:
    """A number of a record; None for what Snakemake writes where it could not measure."""
    return None if text in ("-", "NA") else float(text)

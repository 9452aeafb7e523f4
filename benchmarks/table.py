"""Rows of results: as tables for people and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from d3talker.artifacts import save_json


@dataclass(frozen=True)
class Row:
    """One measurement; None where something does not apply."""

    name: str  # what is measured
    backend: str  # by what it is done
    gaussians: int | None = None  # or points
    size: int | None = None  # px, the side of the image
    threads: int | None = None
    ms: float | None = None  # median
    ratio_to_torch: float | None = None  # plain torch's time divided by this one
    fraction_of_peak: float | None = None  # operations per second, of the machine's measured peak
    least: float | None = None  # ms; only printed
    remark: str = ""  # only printed


PRINTED_ONLY = ("least", "remark")
# (field, heading, format)
COLUMNS = (
    ("name", "", "{}"),
    ("backend", "backend", "{}"),
    ("gaussians", "Gaussians", "{}"),
    ("size", "px", "{}"),
    ("threads", "threads", "{}"),
    ("ms", "ms", "{:.2f}"),
    ("least", "least", "{:.2f}"),
    ("ratio_to_torch", "x torch", "{:.1f}"),
    ("fraction_of_peak", "of peak", "{:.1%}"),
    ("remark", "", "{}"),
)


def as_json(rows: Sequence[Row]) -> list[dict]:
    """The rows as they stand in bench.json."""
    return [
        {name: value for name, value in asdict(row).items() if name not in PRINTED_ONLY}
        for row in rows
    ]


def write(rows: Sequence[Row], path: Path) -> None:
    """Write bench.json."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_json(path, as_json(rows))


def text(title: str, rows: Sequence[Row]) -> str:
    """A table without the columns in which nothing stands."""
    columns = []
    for name, heading, pattern in COLUMNS:
        values = [getattr(row, name) for row in rows]
        if any(value not in (None, "") for value in values):
            cells = ["-" if value is None else pattern.format(value) for value in values]
            columns.append(aligned([heading, *cells], left=isinstance(values[0], str)))
    lines = ["  ".join(line).rstrip() for line in zip(*columns, strict=True)]
    return "\n".join([title, "-" * len(title), *lines, ""])


def aligned(cells: list[str], left: bool) -> list[str]:
    """The cells of a column at one width."""
    width = max(map(len, cells))
    return [cell.ljust(width) if left else cell.rjust(width) for cell in cells]

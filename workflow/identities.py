"""identities.tsv: what is particular to single people of the folder of videos.

A table with tabs between its columns and a header: `identity`, the name of a video without its
ending, and any of `seconds` (training length, instead of `secs`), `split` (frames at the end of the
clip that are its test part) and `person` (who of several people, as `person` in the configuration).
A cell that is empty leaves the default; lines that are empty or begin with # are not read.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from workflow.names import NameProblem, safe_name

FILE = "identities.tsv"
NAME = "identity"
PERSON = r"auto|largest|left|right|[1-9][0-9]*"
# Column -> (what a cell must match, what it must be in words).
COLUMNS = {
    "seconds": (r"[1-9][0-9]*", "a whole number of seconds"),
    "split": (r"[1-9][0-9]*", "a whole number of frames"),
    "person": (PERSON, "left, right, largest, auto or a number counted from the left"),
}


@dataclass(frozen=True)
class Row:
    """What the file says of one person; None: nothing."""

    line: int  # of the file, counted from 1
    seconds: int | None = None
    split: int | None = None
    person: str | None = None


def file(config: Mapping) -> Path | None:
    """The table that `config` names, or the one in the folder of videos; None without one."""
    if config.get("identities"):
        path = Path(config["identities"])
        if not path.is_file():
            raise NameProblem(f"identities: there is no file {path}")
        return path
    path = Path(config["videos"]) / FILE
    return path if path.is_file() else None


def load(config: Mapping) -> dict[str, Row]:
    """What the table says of each person, by safe name; empty without a table.

    Raises NameProblem, which names file, line and column, where it cannot be understood.
    """
    path = file(config)
    if path is None:
        return {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise NameProblem(f"{path}: is not UTF-8 text ({error}); save it as such") from error
    numbered = [
        (number, [cell.strip() for cell in next(csv.reader([text], delimiter="\t"))])
        for number, text in enumerate(lines, 1)
        if text.strip() and not text.startswith("#")
    ]
    if not numbered:
        return {}
    (first, header), *cells = numbered
    _check_header(path, first, header)
    rows: dict[str, Row] = {}
    for number, line in cells:
        name, row = _row(path, number, header, line)
        if name in rows:
            raise NameProblem(
                f"{path}, line {number}, column {NAME}: '{name}' stands in line {rows[name].line}"
                " already"
            )
        rows[name] = row
    return rows


def require_known(config: Mapping, targets: Iterable[str], others: Iterable[str]) -> None:
    """Raise NameProblem if the table names somebody of whom there is no video, says of one of the
    `others`, of whom no avatar is made, how to train it, or contradicts `person` of `config`."""
    targets, others = list(targets), list(others)
    asked = {safe_name(key): str(value) for key, value in config.get("person", {}).items()}
    for name, row in load(config).items():
        where = f"{file(config)}, line {row.line}"
        if name not in targets and name not in others:
            known = ", ".join([*targets, *others]) or "none"
            raise NameProblem(f"{where}, column {NAME}: no video of '{name}'; there are {known}")
        for column in ("seconds", "split"):
            if name not in targets and getattr(row, column) is not None:
                raise NameProblem(
                    f"{where}, column {column}: no avatar is made of '{name}', from whom others"
                    " learn; leave the cell empty"
                )
        if row.person and asked.get(name, row.person) != row.person:
            raise NameProblem(
                f"{where}, column person: '{row.person}', but the configuration says person:"
                f" {{{name}: {asked[name]}}}; take one of them away"
            )


def _check_header(path: Path, number: int, header: list[str]) -> None:
    known = [NAME, *COLUMNS]
    for place, name in enumerate(header, 1):
        if name not in known:
            raise NameProblem(
                f"{path}, line {number}, column {place}: '{name}' is none of {', '.join(known)};"
                " columns are divided by tabs"
            )
        if header.count(name) > 1:
            raise NameProblem(f"{path}, line {number}: there are two columns '{name}'")
    if NAME not in header:
        raise NameProblem(f"{path}, line {number}: there is no column '{NAME}'")


def _row(path: Path, number: int, header: list[str], cells: list[str]) -> tuple[str, Row]:
    """Safe name and content of a line."""
    if len(cells) > len(header):
        raise NameProblem(
            f"{path}, line {number}: {len(cells)} cells, but there are {len(header)} columns"
        )
    given = {column: cell for column, cell in zip(header, cells, strict=False) if cell}
    if NAME not in given:
        raise NameProblem(f"{path}, line {number}, column {NAME}: is empty")
    name = safe_name(given.pop(NAME))
    for column, cell in given.items():
        pattern, words = COLUMNS[column]
        if not re.fullmatch(pattern, cell):
            raise NameProblem(f"{path}, line {number}, column {column}: '{cell}' is not {words}")
    numbers = {key: int(given[key]) for key in ("seconds", "split") if key in given}
    return name, Row(number, person=given.get("person"), **numbers)

"""One table of our runs beside the paper's rows: choose, average, mark the best, format.

A run is the content of one metrics.json. A spec is one entry of `tables` in
config/paper_tables.yaml; `metrics` there says how each metric is shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from d3talker.cli import InputError

SOURCES = ("paper", "ours", "ours, one video")
NOT_MEASURED = "–"
KEY_LABELS = {"secs": "Train s", "drive": "Audio"}


@dataclass(frozen=True)
class Table:
    """A table with numbers. `rows` has the columns source, method, identity, keys, metrics."""

    title: str
    keys: list[str]  # columns that tell rows apart besides the method, e.g. secs
    metrics: dict[str, Mapping]  # name -> label, unit, best, digits, meaning [, scale]
    rows: pd.DataFrame
    best: pd.DataFrame  # bool, the metrics' columns of `rows`
    footnotes: list[str]


def build(name: str, config: Mapping, runs: Sequence[Mapping]) -> Table:
    """The table `name` of `config` (content of paper_tables.yaml) with those of `runs` it shows."""
    if name not in config["tables"]:
        raise InputError(f"no table '{name}'; there are {', '.join(config['tables'])}")
    spec, references = config["tables"][name], config["references"]
    chosen = choose(runs, spec)
    metrics = {column: config["metrics"][column] for column in spec["columns"]}
    single = single_rows(chosen, spec)
    means = mean_rows(single, spec, metrics)
    rows = pd.concat([paper_rows(spec), means, single], ignore_index=True)
    used = [f"{name}: {references[name]}." for name in references if name in set(rows["method"])]
    return Table(
        title=spec["title"],
        keys=spec["keys"],
        metrics=metrics,
        rows=rows,
        best=best_cells(rows, spec["keys"], metrics, references),
        footnotes=[comparability(chosen), *used, *missing_notes(chosen, metrics)],
    )


def choose(runs: Sequence[Mapping], spec: Mapping) -> list[Mapping]:
    """The runs of a table: of its kind of drive and, if there are any, its training lengths."""
    driven = [run for run in runs if (run["drive"] == "self") == (spec["drive"] == "self")]
    return [run for run in driven if run["secs"] in spec["secs"]] or driven


def paper_rows(spec: Mapping) -> pd.DataFrame:
    """The published rows."""
    return frame(({"source": SOURCES[0], "preset": "", **row} for row in spec["paper"]), spec)


def single_rows(runs: Sequence[Mapping], spec: Mapping) -> pd.DataFrame:
    """One row per run."""
    return frame(({**run, "source": SOURCES[2], "method": run["variant"]} for run in runs), spec)


def frame(rows: Iterable[Mapping], spec: Mapping) -> pd.DataFrame:
    """Rows as a frame with exactly the table's columns, metrics as floats."""
    labels = ["source", "method", "identity", "preset", *spec["keys"]]
    columns = [*labels, *spec["columns"]]
    records = [{column: row.get(column) for column in columns} for row in rows]
    made = pd.DataFrame(records, columns=columns, dtype=object)
    return made.astype(dict.fromkeys(spec["columns"], float))


def mean_rows(single: pd.DataFrame, spec: Mapping, metrics: Mapping) -> pd.DataFrame:
    """Means over identities. No mean where a metric is missing for one of them."""
    groups = single.groupby(["method", "preset", *spec["keys"]], sort=False)
    rows = []
    for _, group in groups:
        row = group.iloc[0].to_dict()
        row |= {"source": SOURCES[1], "identity": ", ".join(sorted(group["identity"]))}
        for name, metric in metrics.items():
            values = group[name].abs() if metric["best"] == "zero" else group[name]
            row[name] = values.mean(skipna=False)
        rows.append(row)
    return frame(rows, spec)


def best_cells(
    rows: pd.DataFrame, keys: Sequence[str], metrics: Mapping, references: Mapping
) -> pd.DataFrame:
    """Which of our means are the best: only among variants on the same videos and preset."""
    best = pd.DataFrame(False, index=rows.index, columns=list(metrics))
    rivals = rows[(rows["source"] == SOURCES[1]) & ~rows["method"].isin(list(references))]
    for _, group in rivals.groupby(["identity", "preset", *keys]):
        for name, metric in metrics.items():
            values = group[name].dropna()
            if len(values) > 1:
                best_value = values.max() if metric["best"] == "high" else values.min()
                best.loc[values.index[values == best_value], name] = True
    return best


def comparability(runs: Sequence[Mapping]) -> str:
    """What the rows may be compared with."""
    if not runs:
        return "No run of ours belongs here: these are the paper's numbers alone."
    machines = sorted({run["versions"].get("hardware", "an unnamed machine") for run in runs})
    return (
        "The paper's rows are means over its own test videos, timed on its GPU; ours are means "
        f"over our videos, timed on {' / '.join(machines)}. Bold is the best among ours, where "
        "variants share videos, preset and training length."
    )


def missing_notes(runs: Sequence[Mapping], metrics: Mapping) -> list[str]:
    """A line for every metric and reason why it is missing; names the runs unless it is all."""
    notes = []
    for name, metric in metrics.items():
        where: dict[str, list[str]] = {}
        for run in runs:
            if name in run["missing"]:
                run_name = f"{run['identity']} {run['variant']} {run['secs']} s {run['drive']}"
                where.setdefault(run["missing"][name], []).append(run_name)
        for reason, names in where.items():
            which = "" if len(names) == len(runs) else f" of {', '.join(names)}"
            notes.append(f"{metric['label']}{which}: {reason}.")
    return notes


def heading(metric: Mapping) -> str:
    """Label with unit and an arrow to the better side."""
    unit = f", {metric['unit']}" if metric["unit"] else ""
    arrow = {"high": " ↑", "low": " ↓", "zero": ""}[metric["best"]]
    return f"{metric['label']}{unit}{arrow}"


def shown(value: float | None, metric: Mapping) -> str:
    """A value as people read it."""
    if value is None or pd.isna(value):
        return NOT_MEASURED
    return f"{value / metric.get('scale', 1):.{metric['digits']}f}"


def markdown(table: Table) -> str:
    """The table as a Markdown document."""
    heads = [*label_heads(table), *map(heading, table.metrics.values())]
    align = ["---"] * len(label_heads(table)) + ["---:"] * len(table.metrics)
    lines = [heads, align]
    for index, row in table.rows.iterrows():
        cells = labels(table, row)
        for name, metric in table.metrics.items():
            text = shown(row[name], metric)
            cells.append(f"**{text}**" if table.best.at[index, name] else text)
        lines.append(cells)
    body = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    notes = "\n".join(f"- {note}" for note in table.footnotes)
    return f"# {table.title}\n\n{body}\n\n{notes}\n"


def label_heads(table: Table) -> list[str]:
    """Headings of the columns before the metrics."""
    return ["Method", *[KEY_LABELS[key] for key in table.keys], "Videos"]


def labels(table: Table, row: Mapping) -> list[str]:
    """What stands before the metrics in a row."""
    keys = ["" if pd.isna(row[key]) else str(row[key]) for key in table.keys]
    return [row["method"], *keys, videos(row)]


def videos(row: Mapping) -> str:
    """Whose videos a row was measured on, and by which preset."""
    if row["source"] == SOURCES[0]:
        return "the paper's"
    if row["source"] == SOURCES[1]:
        return f"mean of {len(row['identity'].split(', '))}, {row['preset']}"
    return f"{row['identity']}, {row['preset']}"

"""One table: the paper's rows and our runs beside them; means, the best, and what to know of it.

A run is the content of one metrics.json. A spec is one entry of `tables` in
config/paper_tables.yaml; `metrics` there says how each metric is shown. `about`, added to it by the
stages, is what workflow/plan.py knows of the runs and metrics.json does not.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from d3talker.cli import InputError
from d3talker.report.notes import NOT_RUN, SOURCES, footnotes, made_with

OURS, OTHERS = "this project", "another program"  # who made a measured video
NOT_MEASURED = "–"
KEY_LABELS = {"secs": "Train s", "drive": "Audio"}
ABOUT_ROW = ["program", "stands_for", "status", "reason", "backends", "hardware", "made_with"]
FILES = ["metrics_file", "render_file"]  # of which a row was made; several are divided by ;


@dataclass(frozen=True)
class Table:
    """A table with numbers.

    `rows` has the columns source, method, identity, preset, keys, metrics, ABOUT_ROW and FILES. A
    paper's row whose method was not measured has NOT_RUN as `status`, and the `reason`.
    """

    title: str
    keys: list[str]  # columns that tell rows apart besides the method, e.g. secs
    metrics: dict[str, Mapping]  # name -> label, unit, best, digits, meaning [, scale]
    rows: pd.DataFrame
    best: pd.DataFrame  # bool, the metrics' columns of `rows`
    footnotes: list[str]


def build(name: str, config: Mapping, runs: Sequence[Mapping]) -> Table:
    """The table `name` of `config` (content of paper_tables.yaml) with those of `runs` it shows.

    A run may have `metrics_file` and `render_file`, the paths of what it comes from.
    """
    if name not in config["tables"]:
        raise InputError(f"no table '{name}'; there are {', '.join(config['tables'])}")
    spec, about = config["tables"][name], config.get("about", {})
    chosen = choose(runs, spec)
    metrics = {column: config["metrics"][column] for column in spec["columns"]}
    single = single_rows(chosen, spec)
    rows = beside_the_papers(spec, mean_rows(single, spec, metrics), single, about)
    differs = about.get("differs", [])
    return Table(
        title=spec["title"],
        keys=spec["keys"],
        metrics=metrics,
        rows=rows,
        best=best_cells(rows, spec["keys"], metrics, config["references"], differs),
        footnotes=footnotes(name, config, chosen, rows),
    )


def choose(runs: Sequence[Mapping], spec: Mapping) -> list[Mapping]:
    """The runs of a table: of its kind of drive and, for each person, its training lengths; all
    lengths of a person who has none of them."""
    driven = [run for run in runs if (run["drive"] == "self") == (spec["drive"] == "self")]
    fits = {run["identity"] for run in driven if run["secs"] in spec["secs"]}
    return [run for run in driven if run["secs"] in spec["secs"] or run["identity"] not in fits]


def single_rows(runs: Sequence[Mapping], spec: Mapping) -> pd.DataFrame:
    """One row per run."""
    rows, conditions = [], made_with(runs)
    for run in runs:
        backends = run.get("backends", {})
        external = backends.get("external")
        row = {**run, "source": SOURCES[2], "method": external or run["variant"]}
        row |= {"program": OTHERS if external else OURS, "status": ""}
        row["backends"] = "" if external else ", ".join(" ".join(b) for b in backends.items())
        row["hardware"] = "" if external else run["versions"].get("hardware")
        row["made_with"] = "" if external else 1 + conditions.index(made_with([run])[0])
        rows.append(row)
    return frame(rows, spec)


def frame(rows: Iterable[Mapping], spec: Mapping) -> pd.DataFrame:
    """Rows as a frame with exactly the table's columns, metrics as floats."""
    columns = ["source", "method", "identity", "preset", *spec["keys"], *spec["columns"]]
    columns += [*ABOUT_ROW, *FILES]
    records = [{column: row.get(column) for column in columns} for row in rows]
    made = pd.DataFrame(records, columns=columns, dtype=object)
    return made.astype(dict.fromkeys(spec["columns"], float))


def mean_rows(single: pd.DataFrame, spec: Mapping, metrics: Mapping) -> pd.DataFrame:
    """Means over identities. No mean where a metric is missing for one of them."""
    groups = single.groupby(["method", "program", "preset", *spec["keys"]], sort=False)
    rows = []
    for _, group in groups:
        row = group.iloc[0].to_dict()
        row |= {"source": SOURCES[1], "identity": ", ".join(sorted(group["identity"]))}
        row |= {column: "; ".join(group[column].dropna()) for column in FILES}
        for name, metric in metrics.items():
            values = group[name].abs() if metric["best"] == "zero" else group[name]
            row[name] = values.mean(skipna=False)
        rows.append(row)
    return frame(rows, spec)


def beside_the_papers(
    spec: Mapping, means: pd.DataFrame, single: pd.DataFrame, about: Mapping
) -> pd.DataFrame:
    """The paper's rows, each followed by ours of that method, means first; then our other rows."""
    rows, placed = [], set()
    same = ["method", "program", "preset", *spec["keys"]]
    measured = []
    for mean in means.to_dict("records"):
        of_mean = (single[same] == pd.Series(mean)[same]).all(axis=1)
        measured += [mean, *single[of_mean].to_dict("records")]
    for place, published in enumerate(spec["paper"]):
        own = [row for row in measured if place in places(row, spec)]
        run = any(place in rivals(row, spec) for row in measured)
        status = "" if run or not published.get("secs") else NOT_RUN
        rows.append(
            {"source": SOURCES[0], "preset": "", "status": status, **published}
            | {"reason": why_not_run(published, about) if status else ""}
        )
        rows += [{**row, "stands_for": published["method"]} for row in own]
        placed |= {id(row) for row in own}
    return frame([*rows, *(row for row in measured if id(row) not in placed)], spec)


def rivals(row: Mapping, spec: Mapping) -> list[int]:
    """Positions of the paper's rows for whose method and training length a row of ours stands.

    Where the paper has the method, but not at this length, all its rows of one length, or none.
    """
    of_method = [n for n, published in enumerate(spec["paper"]) if same_method(row, published)]
    of_length = [n for n in of_method if spec["paper"][n].get("secs") == row["secs"]]
    return of_length or (of_method if len(spec["secs"]) == 1 else [])


def places(row: Mapping, spec: Mapping) -> list[int]:
    """Positions of the paper's rows below which a row of ours is shown: its rivals, the last one
    of them if the paper's differ by their audio; after the method's last row if it has none."""
    found = rivals(row, spec)
    if "drive" in spec["keys"]:
        return found[-1:]
    of_method = [n for n, published in enumerate(spec["paper"]) if same_method(row, published)]
    return found or of_method[-1:]


def same_method(row: Mapping, published: Mapping) -> bool:
    """Whether a row of ours was made by the method of a published one."""
    if row["program"] == OURS:
        return row["method"] == published.get("variant")
    plain = [re.sub(r"[^a-z0-9]", "", text["method"].lower()) for text in (row, published)]
    return plain[0] == plain[1]


def why_not_run(published: Mapping, about: Mapping) -> str:
    """Why a method of the paper has no row of ours."""
    variant = published.get("variant")
    if variant is None:
        return "not part of this project"
    return about.get("not_run", {}).get(variant, "not asked for")


def best_cells(
    rows: pd.DataFrame,
    keys: Sequence[str],
    metrics: Mapping,
    references: Mapping,
    differs: Sequence[str] = (),
) -> pd.DataFrame:
    """Which of our means are the best: only among methods on the same videos and preset, and with
    the same pre-training, which is another one for the methods in `differs`."""
    best = pd.DataFrame(False, index=rows.index, columns=list(metrics))
    found = rows[(rows["source"] == SOURCES[1]) & ~rows["method"].isin(list(references))]
    for _, group in found.groupby(
        [found["method"].isin(list(differs)), "identity", "preset", *keys]
    ):
        for name, metric in metrics.items():
            values = group[name].dropna()
            if group.loc[values.index, "method"].nunique() > 1:
                best_value = values.max() if metric["best"] == "high" else values.min()
                best.loc[values.index[values == best_value], name] = True
    return best


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


def label_heads(table: Table) -> list[str]:
    """Headings of the columns before the metrics."""
    return ["Method", *[KEY_LABELS[key] for key in table.keys], "Videos"]


def labels(table: Table, row: Mapping) -> list[str]:
    """What stands before the metrics in a row."""
    keys = ["" if pd.isna(row[key]) else str(row[key]) for key in table.keys]
    return [row["method"], *keys, videos(row)]


def videos(row: Mapping) -> str:
    """Whose videos a row was measured on, by which preset, and which footnote tells the rest."""
    if row["source"] == SOURCES[0]:
        return f"the paper's, {NOT_RUN}" if row["status"] == NOT_RUN else "the paper's"
    mean = row["source"] == SOURCES[1]
    whose = f"mean of {len(row['identity'].split(', '))}" if mean else row["identity"]
    if row["program"] == OTHERS:
        return f"{whose}, {OTHERS}"
    return f"{whose}, {row['preset']} [{row['made_with']}]"


def row_class(row: Mapping) -> str:
    """What a row is, for a page that styles it: `ours`, `notrun`, or a row of the paper."""
    if row["source"] != SOURCES[0]:
        return "ours"
    return "notrun" if row["status"] == NOT_RUN else ""

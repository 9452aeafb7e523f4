"""The HTML report: one self-contained page that shows videos lying beside it."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from d3talker.report import svg, tables
from d3talker.split import FPS

SHOWN_TABLES = ("table1", "table3")
WIDE = 1000  # px, a chart as wide as the page
CURVES = {
    "loss": "Training loss",
    "psnr": "PSNR of the training frames, dB",
    "gaussians": "Number of Gaussians",
}


@dataclass(frozen=True)
class Run:
    """One rendered video and everything measured on it."""

    metrics: Mapping  # metrics.json
    rendered: Mapping  # render.json
    video: str  # address of the video to show, relative to the page
    opening: np.ndarray  # (T,) mouth opening of the render, NaN without a face
    curves: list[dict] = field(default_factory=list)  # rows of the training's curves


@dataclass(frozen=True)
class Person:
    """One identity: its clip and its runs."""

    ingest: Mapping  # ingest.json
    opening: np.ndarray  # (T,) mouth opening in the clip, NaN without a face
    tracking: str  # address of the tracker's check picture, relative to the page
    sync: Mapping  # sync.json
    runs: list[Run]

    def self_driven(self) -> list[Run]:
        return [run for run in self.runs if run.metrics["drive"] == "self"]

    def cross_driven(self) -> list[Run]:
        return [run for run in self.runs if run.metrics["drive"] != "self"]


def render(
    people: Sequence[Person],
    refused: Sequence[str],
    config: Mapping,
    provenance: Mapping[str, str],
) -> str:
    """The page as text.

    refused: one reason per video that was left out. config: content of paper_tables.yaml.
    provenance: facts about the software and the files, by name.
    """
    runs = [run.metrics for person in people for run in person.runs]
    environment = Environment(
        loader=PackageLoader("d3talker.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["run_name"] = run_name
    return environment.get_template("report.html.j2").render(
        people=people,
        refused=refused,
        tables=[
            summary(name, config, runs) for name in SHOWN_TABLES if has_runs(name, config, runs)
        ],
        metrics=config["metrics"],
        provenance=dict(provenance) | conditions(runs),
        scores=scores,
        mouth_chart=mouth_chart,
        sync_chart=sync_chart,
        training_charts=training_charts,
        milliseconds=milliseconds,
        training_minutes=training_minutes,
    )


def run_name(metrics: Mapping, with_drive: bool = False) -> str:
    """What a run is called within its person."""
    name = f"{metrics['variant']} {metrics['secs']} s"
    return f"{name}, {metrics['drive']}" if with_drive else name


def has_runs(name: str, config: Mapping, runs: Sequence[Mapping]) -> bool:
    """Whether a table has a row of ours."""
    return bool(tables.choose(runs, config["tables"][name]))


def summary(name: str, config: Mapping, runs: Sequence[Mapping]) -> dict:
    """A table's published and mean rows, as the template wants them."""
    table = tables.build(name, config, runs)
    rows = []
    for index, row in table.rows[table.rows["source"] != tables.SOURCES[2]].iterrows():
        cells = [
            (tables.shown(row[metric], spec), bool(table.best.at[index, metric]))
            for metric, spec in table.metrics.items()
        ]
        ours = row["source"] != tables.SOURCES[0]
        rows.append({"ours": ours, "labels": tables.labels(table, row), "cells": cells})
    return {
        "title": table.title,
        "labels": tables.label_heads(table),
        "metrics": [(tables.heading(spec), spec["meaning"]) for spec in table.metrics.values()],
        "rows": rows,
        "footnotes": table.footnotes,
    }


def scores(runs: Sequence[Run], specs: Mapping) -> list[tuple[str, str, list[str]]]:
    """(heading, meaning, one text per run) of every metric that at least one run has."""
    rows = []
    for name, spec in specs.items():
        if any(run.metrics[name] is not None for run in runs):
            texts = [score(run.metrics, name, spec) for run in runs]
            rows.append((tables.heading(spec), spec["meaning"], texts))
    return rows


def score(metrics: Mapping, name: str, spec: Mapping) -> str:
    """One value, with its 95 % interval where there is one."""
    text = tables.shown(metrics[name], spec)
    interval = metrics.get(f"{name}_ci")
    if not interval:
        return text
    low, high = (tables.shown(bound, spec) for bound in interval)
    return f"{text} ({low} to {high})"


def mouth_chart(person: Person, run: Run) -> Markup:
    """How open the mouth is in the true and in the rendered test frames."""
    start, frames = run.rendered["first_frame"], run.rendered["frames"]
    seconds = (start + np.arange(frames)) / FPS
    lines = [
        svg.Line("truth", seconds, person.opening[start : start + frames]),
        svg.Line("render", seconds, run.opening),
    ]
    title = "Mouth opening / distance of the eyes"
    return Markup(svg.chart(title, "s of the clip", lines, width=WIDE))


def sync_chart(person: Person) -> Markup | None:
    """How well the sound tells the seen mouth opening, by how much it is delayed."""
    lag = person.sync["picture_after_sound"]
    if lag is None:
        return None
    ms = np.array(person.sync["lags_ms"])
    line = svg.Line("agreement", ms, np.array(lag["agreement_by_lag"]))
    return Markup(svg.chart("Correlation of heard and seen mouth", "sound delayed, ms", [line]))


def training_charts(run: Run) -> list[Markup]:
    """Charts of the curves over the iterations of all training stages, one after the other."""
    x, parts = timeline(run.curves)
    charts = []
    for column, title in CURVES.items():
        y = np.array([float(row[column] or "nan") for row in run.curves])
        if np.isfinite(y).any():
            charts.append(Markup(svg.chart(title, "iteration", [svg.Line(title, x, y)], parts)))
    return charts


def timeline(curves: Sequence[Mapping]) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Iteration of every row, counted on from stage to stage, and (first, name) of the stages."""
    iterations: list[float] = []
    parts: list[tuple[float, str]] = []
    for row in curves:
        if not parts or parts[-1][1] != row["stage"]:
            parts.append((iterations[-1] if iterations else 0.0, row["stage"]))
        iterations.append(parts[-1][0] + float(row["iteration"]))
    return np.array(iterations), parts


def read_curves(text: str) -> list[dict]:
    """Rows of a curves file by column name; values are text, empty where not logged."""
    return list(csv.DictReader(StringIO(text)))


def milliseconds(run: Run) -> str:
    """Time of each part of a frame."""
    return ", ".join(f"{part} {ms:.1f}" for part, ms in run.rendered["milliseconds"].items())


def training_minutes(run: Run) -> str:
    """Time of each stage of training on this person."""
    stages = run.metrics["train_seconds_by_stage"]
    return ", ".join(f"{stage} {seconds / 60:.1f}" for stage, seconds in stages.items())


def conditions(runs: Sequence[Mapping]) -> dict[str, str]:
    """Presets, backends and versions of the runs; several values where runs differ."""
    found: dict[str, list[str]] = {}
    for run in runs:
        facts = {"preset": run["preset"]}
        facts |= {f"backend: {name}": value for name, value in run["backends"].items()}
        facts |= run["versions"]
        for name, value in facts.items():
            if str(value) not in found.setdefault(name, []):
                found[name].append(str(value))
    return {name: " / ".join(values) for name, values in found.items()}

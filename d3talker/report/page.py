"""The HTML report: one self-contained page that shows videos lying beside it."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO

import matplotlib
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from d3talker.report import charts, tables, words
from d3talker.report.costs import Cost
from d3talker.report.error_map import COLOUR_MAP, FULL_SCALE
from d3talker.split import FPS

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
    megabytes: float = 0.0  # size of the video


@dataclass(frozen=True)
class Person:
    """One identity: its clip and its runs."""

    ingest: Mapping  # ingest.json
    opening: np.ndarray  # (T,) mouth opening in the clip, NaN without a face
    tracking: str  # address of the tracker's check picture, relative to the page
    sync: Mapping  # sync.json
    runs: list[Run]
    costs: list[Cost] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.ingest["identity"]

    def self_driven(self) -> list[Run]:
        return [run for run in self.runs if run.metrics["drive"] == "self"]

    def cross_driven(self) -> dict[str, list[Run]]:
        """Runs by the sound that drives them."""
        drives: dict[str, list[Run]] = {}
        for run in self.runs:
            if run.metrics["drive"] != "self":
                drives.setdefault(run.metrics["drive"], []).append(run)
        return drives


@dataclass(frozen=True)
class Origin:
    """Where the numbers come from."""

    software: Mapping[str, str]  # facts about the software and the files, by name
    changed: Mapping[str, object] = field(default_factory=dict)  # settings that are not the default
    meanings: Mapping[str, str] = field(default_factory=dict)  # what a variant is
    remarks: Sequence[str] = ()  # what a reader of the scores has to know
    weights: Mapping[str, str] = field(default_factory=dict)  # file -> sha256
    costs: Sequence[Cost] = ()  # of steps that are for everybody


def render(
    people: Sequence[Person], refused: Sequence[str], config: Mapping, origin: Origin
) -> str:
    """The page as text.

    refused: one reason per video that was left out. config: content of paper_tables.yaml.
    """
    runs = [run.metrics for person in people for run in person.runs]
    environment = Environment(
        loader=PackageLoader("d3talker.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    functions = (self_player, cross_player, mouth_figure, sync_figure, training_figures)
    functions += (milliseconds, training_minutes, names, warnings)
    return environment.get_template("report.html.j2").render(
        people=people,
        refused=refused,
        config=config,
        tables=[table for name in config["tables"] if (table := summary(name, config, runs))],
        origin=origin,
        conditions=conditions(runs),
        headline=lambda person: headline(person, config),
        scores=lambda chosen: scores(chosen, config["metrics"]),
        scale=colour_scale(),
        full_scale=FULL_SCALE,
        **{function.__name__: function for function in functions},
    )


def names(runs: Sequence[Run]) -> list[str]:
    """What runs of one drive are called among each other; the training length where it differs."""
    lengths = {run.metrics["secs"] for run in runs}
    told = ["variant"] if len(lengths) < 2 else ["variant", "secs"]
    return [
        " ".join(f"{run.metrics[key]}" for key in told) + " s" * (len(told) - 1) for run in runs
    ]


def warnings(people: Sequence[Person], origin: Origin) -> list[str]:
    """Everything that a reader has to be told before the scores."""
    said = list(origin.remarks)
    for person in people:
        said += [f"{person.name}: {warning}" for warning in person.ingest["warnings"]]
        if person.sync["sound_moved_ms"]:
            said.append(f"{person.name}: sound and picture: {person.sync['verdict']}")
    return said


def headline(person: Person, config: Mapping) -> list[str]:
    """Sentences about the first self-driven run that is no reference; none without one."""
    own = [run.metrics for run in person.self_driven()]
    main = next((run for run in own if run["variant"] not in config["references"]), None)
    if main is None:
        return []
    bounds = [run for name in config["references"] for run in own if run["variant"] == name]
    return words.headline(main, [run for run in bounds if run["secs"] == main["secs"]], config)


# ---- tables


def summary(name: str, config: Mapping, runs: Sequence[Mapping]) -> dict | None:
    """A table's published and mean rows, as the template wants them; None without one of ours."""
    table = tables.build(name, config, runs)
    if not (table.rows["source"] != tables.SOURCES[0]).any():
        return None
    rows = []
    for index, row in table.rows[table.rows["source"] != tables.SOURCES[2]].iterrows():
        cells = [
            (tables.shown(row[metric], spec), bool(table.best.at[index, metric]))
            for metric, spec in table.metrics.items()
        ]
        labels = tables.labels(table, row)
        rows.append({"kind": tables.row_class(row), "labels": labels, "cells": cells})
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


# ---- players


def self_player(person: Person) -> dict:
    """What the player of a person's self-driven runs is told: films of truth, render and error."""
    return player(person.self_driven(), truth=True)


def cross_player(runs: Sequence[Run]) -> dict:
    """What the player of the runs that one sound drives is told: films of the render alone."""
    return player(runs, truth=False)


def player(runs: Sequence[Run], truth: bool) -> dict:
    """Content of a player's JSON; player.js reads it."""
    films = []
    for run, name in zip(runs, names(runs), strict=True):
        cell = words.cell(run.metrics)
        alt = f"{name}: the rendered frame" + (f"; over the whole video {cell}" if cell else "")
        films.append(
            {"key": name, "label": name, "src": run.video, "alt": alt, "megabytes": run.megabytes}
        )
    first = {run.rendered["first_frame"] for run in runs} if truth else {0}
    return {
        "fps": FPS,
        "frames": min(run.rendered["frames"] for run in runs),
        "start_frame": min(first),
        "truth": truth,
        "runs": films,
    }


def colour_scale() -> str:
    """The colours of the error map, from no error to FULL_SCALE, as a CSS gradient."""
    colours = matplotlib.colormaps[COLOUR_MAP](np.linspace(0, 1, 9))
    stops = ", ".join(matplotlib.colors.to_hex(colour) for colour in colours)
    return f"linear-gradient(to right, {stops})"


# ---- figures


def mouth_figure(person: Person) -> dict:
    """How open the mouth is in the true and in the rendered test frames, of all runs."""
    runs = person.self_driven()
    start, frames = runs[0].rendered["first_frame"], runs[0].rendered["frames"]
    truth = person.opening[start : start + frames]
    seconds = (start + np.arange(frames)) / FPS
    lines = [charts.Line("truth", seconds, truth, 0)]
    for number, (run, name) in enumerate(zip(runs, names(runs), strict=True), 1):
        shown = run.rendered["first_frame"] + np.arange(run.rendered["frames"])
        lines.append(charts.Line(name, shown / FPS, run.opening, number))
    said = words.mouth(
        truth, [(n, r.metrics, r.opening) for n, r in zip(names(runs), runs, strict=True)]
    )
    title, x_label = "Mouth opening / distance of the eyes", "s of the clip"
    drawn = [
        charts.chart(
            f"{person.name} mouth {style}", title, x_label, lines, said, width=width, style=style
        )
        for style, width in charts.SIZES.items()
    ]
    legend = [(line.name, charts.line_colour(line.colour)) for line in lines]
    return {"svg": Markup("\n".join(drawn)), "said": said, "legend": legend}


def sync_figure(person: Person) -> dict | None:
    """How well the sound tells the seen mouth opening, by how much it is delayed."""
    lag = person.sync["picture_after_sound"]
    if lag is None:
        return None
    ms, said = np.array(person.sync["lags_ms"]), words.sync(lag)
    line = charts.Line("agreement", ms, np.array(lag["agreement_by_lag"]))
    title = "Correlation of heard and seen mouth"
    svg = charts.chart(f"{person.name} sync", title, "sound delayed, ms", [line], said)
    return {"svg": Markup(svg), "said": said}


def training_figures(person: Person, run: Run) -> list[dict]:
    """Charts of the curves over the iterations of all training stages, one after the other."""
    x, parts = timeline(run.curves)
    key = f"{person.name} {run.metrics['variant']} {run.metrics['secs']}"
    figures = []
    for column, title in CURVES.items():
        y = np.array([float(row[column] or "nan") for row in run.curves])
        if np.isfinite(y).any():
            said = words.training(title, x, y)
            line = charts.Line(title, x, y)
            svg = charts.chart(f"{key} {column}", title, "iteration", [line], said, parts)
            figures.append({"svg": Markup(svg), "said": said})
    return figures


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


# ---- facts


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

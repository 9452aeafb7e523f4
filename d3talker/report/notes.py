"""What stands below a table: what may be compared with what, and why a number is missing."""

from collections.abc import Mapping, Sequence

import pandas as pd

from d3talker.report.agreement import kendall_tau

SOURCES = ("paper", "measured", "measured, one video")  # of a table's rows
NOT_RUN = "not run"  # status of a paper's row


def footnotes(name: str, config: Mapping, runs: Sequence[Mapping], rows: pd.DataFrame) -> list[str]:
    """All notes of the table `name`; `runs` are those it shows, `rows` its rows."""
    spec, references, about = config["tables"][name], config["references"], config.get("about", {})
    metrics = {column: config["metrics"][column] for column in spec["columns"]}
    used = [f"{key}: {references[key]}." for key in references if key in set(rows["method"])]
    return [
        comparability(runs),
        *[f"[{n}] {text}." for n, text in enumerate(made_with(runs), 1)],
        *pretraining_notes(runs, about),
        *used,
        *order_note(spec, metrics, rows),
        *about.get("notes", {}).get(name, []),
        *about.get("left_out", []),
        *not_run_notes(rows),
        *missing_notes(runs, metrics),
    ]


def comparability(runs: Sequence[Mapping]) -> str:
    """What the rows may be compared with."""
    if not runs:
        return "No run of ours belongs here: these are the paper's numbers alone."
    ours = [run for run in runs if "external" not in run.get("backends", {})]
    machines = sorted({run["versions"].get("hardware", "an unnamed machine") for run in ours})
    timed = f", timed on {' / '.join(machines)}" if machines else ""
    return (
        "The paper's rows are means over its own test videos, timed on its GPU; ours are means "
        f"over our videos{timed}. Bold is the best among ours, where methods share videos, preset, "
        "training length and pre-training."
    )


def made_with(runs: Sequence[Mapping]) -> list[str]:
    """Preset, backends and hardware of our runs, each combination once, in their order."""
    found = []
    for run in runs:
        backends = run.get("backends", {})
        if "external" not in backends:
            parts = ", ".join(f"{key} {name}" for key, name in backends.items())
            machine = run["versions"].get("hardware", "an unnamed machine")
            found.append("; ".join(filter(None, [f"preset {run['preset']}", parts, machine])))
    return list(dict.fromkeys(found))


def pretraining_notes(runs: Sequence[Mapping], about: Mapping) -> list[str]:
    """What each variant starts from, and a warning where that is not the same for all."""
    origins = about.get("pretraining", {})
    shown = [v for v in dict.fromkeys(run["variant"] for run in runs) if v in origins]
    by_origin: dict[str, list[str]] = {}
    for variant in shown:
        by_origin.setdefault(origins[variant], []).append(variant)
    notes = [f"Starts from {origin}: {', '.join(names)}." for origin, names in by_origin.items()]
    differs = [name for name in shown if name in about.get("differs", [])]
    if differs and len(differs) < len(shown):
        notes.append(
            f"{', '.join(differs)}: pre-trained on other people and for another time than the rows"
            " that start from the base, so they are not ranked with those. For a fair comparison"
            " set pretrain.base: null, with another folder as results; then all are pre-trained on"
            " the same people."
        )
    return notes


def order_note(spec: Mapping, metrics: Mapping, rows: pd.DataFrame) -> list[str]:
    """Whether our order of the methods is the paper's, by metric; over those that both have."""
    sweep = len(spec["secs"]) > 1
    ours = rows[(rows["source"] == SOURCES[1]) & rows["stands_for"].notna()]
    if ours.empty:
        return []
    # Only means over the same people: those whom most methods have.
    people = ours.groupby("identity")["method"].nunique().idxmax()
    ours = ours[ours["identity"] == people].drop_duplicates(["method", "program", *spec["keys"]])
    theirs = rows[rows["source"] == SOURCES[0]]
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in metrics}
    items = []
    for key, group in ours.groupby(["stands_for", *(["secs"] if sweep else [])], sort=False):
        same = theirs[theirs["method"] == key[0]]
        same = same[same["secs"] == key[1]] if sweep else same
        if same.empty:
            continue
        items.append(" at ".join(map(str, key)) + (" s" if sweep else ""))
        for name in metrics:
            means = (frame[name].mean(skipna=False) for frame in (group, same))
            pairs[name].append(tuple(map(float, means)))
    found = []
    for name, metric in metrics.items():
        both = [pair for pair in pairs[name] if not any(map(pd.isna, pair))]
        tau = kendall_tau(*zip(*both, strict=True)) if both else None
        if tau is not None:
            count = f" ({len(both)} of them)" if len(both) < len(items) else ""
            found.append(f"{metric['label']} {tau:.2f}{count}")
    if not found:
        return []
    return [
        f"Order of {', '.join(items)} here against the paper's, Kendall's tau-b (1 the same, -1"
        f" reversed): {', '.join(found)}."
    ]


def not_run_notes(rows: pd.DataFrame) -> list[str]:
    """A line for every reason why methods of the paper have no row of ours."""
    without = rows[rows["status"] == NOT_RUN]
    return [
        f"Not run: {', '.join(dict.fromkeys(group['method']))}: {reason}."
        for reason, group in without.groupby("reason", sort=False)
    ]


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

"""Which runs there are: what `variants` and `secs` ask for, and what each table of the paper needs.

A table is made in full where it is asked for: by its name as a target, or in `tables` of the
configuration. Runs that several of them need are the same files, so they are made once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from d3talker.artifacts import load_json
from d3talker.split import FPS, test_part
from workflow import base, configuration
from workflow.configuration import ConfigProblem
from workflow.people import Cast

SELF = "self"


@dataclass(frozen=True)
class Run:
    """One rendered video: results/<identity>/<variant>/<secs>s/<drive>/."""

    identity: str
    variant: str
    secs: int
    drive: str

    @property
    def folder(self) -> str:
        """Its folder under results/."""
        return f"{self.identity}/{self.variant}/{self.secs}s/{self.drive}"


def runs(config: Mapping, cast: Cast) -> list[Run]:
    """All runs: the chosen ones, and those of the tables that are asked for."""
    found = _chosen(config, cast)
    for table in configuration.asked_tables(config):
        found += of_table(config, cast, table)
    return list(dict.fromkeys(found))


def shown(config: Mapping, cast: Cast, table: str) -> list[Run]:
    """The runs that a table shows: its own if it is asked for, else the chosen ones that fit."""
    if table in configuration.asked_tables(config):
        return of_table(config, cast, table)
    self_driven = configuration.tables()[table]["drive"] == SELF
    return [run for run in _chosen(config, cast) if (run.drive == SELF) == self_driven]


def of_table(config: Mapping, cast: Cast, table: str) -> list[Run]:
    """What a table of the paper needs, made in full."""
    spec = configuration.tables()[table]
    impossible = base.unteachable(config, cast)
    variants = [v for v in configuration.table_variants(table) if v not in impossible]
    found = [
        Run(identity, variant, secs, drive)
        for identity in cast.targets
        for variant in variants
        for secs in _table_lengths(config, cast, table, identity)
        for drive in drives(config, cast, variant)
        if (drive == SELF) == (spec["drive"] == SELF)
    ]
    return found + (_external(config, cast, spec["secs"]) if spec.get("external") else [])


def filled(config: Mapping) -> list[str]:
    """Tables that the configuration yields numbers for, and those asked for."""
    ablation = set(configuration.table_variants("table4"))
    ablation -= set(configuration.table_variants("table1"))
    fits = {
        "table1": True,
        "table2": len(config["secs"]) > 1,
        "table3": bool(config["audios"]),
        "table4": bool(ablation & set(config["variants"])),
    }
    asked = configuration.asked_tables(config)
    return [name for name in configuration.tables() if name in asked or fits.get(name)]


def check(config: Mapping) -> None:
    """Raise ConfigProblem if a table that is asked for cannot have any number."""
    for name in configuration.asked_tables(config):
        if configuration.tables()[name]["drive"] != SELF and not config["audios"]:
            raise ConfigProblem(
                f"{name}: shows avatars that speak other sounds, and there are none; give a folder"
                " of them: `make run AUDIOS=folder`, or audios in the configuration"
            )


def drives(config: Mapping, cast: Cast, variant: str) -> list[str]:
    """What drives a variant: only predicted motion can follow a foreign audio."""
    motion = config["variant_definitions"][variant].get("motion", "predicted")
    return [SELF, *cast.audios] if motion == "predicted" else [SELF]


def about(config: Mapping, cast: Cast, *tables: str) -> dict:
    """What a reader of the tables has to know and their runs do not tell.

    `pretraining`: by variant, what it starts from, in words; `differs`: the variants that do not
    start from the base while others do; `not_run`: by variant, why; `left_out`: sentences on
    people; `notes`: sentences by table.
    """
    variants = list(dict.fromkeys([*configuration.variants(config), *config["variants"]]))
    impossible = base.unteachable(config, cast)
    made = [name for name in variants if name not in impossible]
    differs = [name for name in base.pretrained_otherwise(config) if name not in impossible]
    out = [*cast.refused.values(), *cast.failed.values()]
    reason = "cannot start from the base, and there is nobody to learn from: put videos of other"
    return {
        "pretraining": {name: base.origin(config, cast, name) for name in made},
        "differs": differs if base.folder(config) else [],
        "not_run": {name: f"{reason} people into {cast.pretrain_folder}" for name in impossible},
        "left_out": [f"Left out: {record['refused']}." for record in out],
        "notes": {table: _lengths_notes(config, cast, table) for table in tables},
    }


def _chosen(config: Mapping, cast: Cast) -> list[Run]:
    """The runs that `variants` and `secs` ask for, and results of other programs."""
    found = [
        Run(identity, variant, secs, drive)
        for identity in cast.targets
        for variant in config["variants"]
        for secs in ([cast.seconds[identity]] if identity in cast.seconds else config["secs"])
        for drive in drives(config, cast, variant)
    ]
    usual = configuration.tables()["table1"]["secs"]
    secs = [secs for secs in config["secs"] if secs in usual] or config["secs"]
    return found + _external(config, cast, secs)


def _external(config: Mapping, cast: Cast, secs: list[int]) -> list[Run]:
    """Results of other programs: how long these trained nobody knows; they stand beside ours."""
    return [
        Run(identity, variant, cast.seconds.get(identity, secs[0]), SELF)
        for variant, videos in cast.external.items()
        for identity in videos
    ]


def _table_lengths(config: Mapping, cast: Cast, table: str, identity: str) -> list[int]:
    """Training lengths of a person in a table.

    A table of one length takes what a shorter clip has. A sweep leaves out the lengths that the
    clip does not have, which would only repeat each other.
    """
    lengths = configuration.tables()[table]["secs"]
    if len(lengths) == 1:
        return [cast.seconds.get(identity, lengths[0])]
    has = seconds_to_train(config, identity)
    return [secs for secs in lengths if has is None or secs <= has]


def seconds_to_train(config: Mapping, identity: str) -> float | None:
    """Seconds of a clip before its test part; None while it has not been read."""
    path = Path(config["results"], identity, "ingest.json")
    return test_part(load_json(path))[0] / FPS if path.is_file() else None


def _lengths_notes(config: Mapping, cast: Cast, table: str) -> list[str]:
    """Where clips are too short for the lengths of a table."""
    if table not in configuration.asked_tables(config):
        return []
    lengths, notes = configuration.tables()[table]["secs"], []
    for identity in cast.targets:
        has = seconds_to_train(config, identity)
        if len(lengths) > 1:
            short = [str(secs) for secs in lengths if has is not None and secs > has]
            text = f"not at {', '.join(short)} s: its clip has {has} s" if short else ""
        else:
            wanted = cast.seconds.get(identity, lengths[0])
            text = f"trained on {has} s, all that its clip has" if (has or wanted) < wanted else ""
        notes += [f"{identity}: {text} before the test part."] if text else []
    return notes

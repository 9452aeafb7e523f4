"""Reading the configuration: its check, presets, variants and the settings of each stage."""

import dataclasses
import difflib
import functools
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from d3talker import settings as stage_settings
from d3talker.backends import BACKENDS, TRAINING, Backend, default
from d3talker.cli import InputError
from d3talker.fields import architecture as architectures
from d3talker.ingest.settings import IngestSettings
from d3talker.metrics.weights import catalogue
from d3talker.motion.settings import Real3dPortraitSettings
from d3talker.motion.sync import SyncSettings
from d3talker.train.settings import (
    AdaptSettings,
    PoseSettings,
    PretrainSettings,
    RefinerSettings,
    StaticSettings,
)
from workflow import together

HERE = Path(__file__).resolve().parent
SCHEMA = yaml.safe_load((HERE / "schemas" / "config.schema.yaml").read_text(encoding="utf-8"))
TEXT = {"type": ["string", "null"]}
SCHEMA["properties"]["backends"]["properties"] = dict.fromkeys(BACKENDS, TEXT)
SCHEMA["properties"]["models"]["properties"] |= dict.fromkeys(catalogue(), TEXT)
PROGRAMS = [key for key, entry in catalogue().items() if entry.kind == "program"]
SUM = TEXT | {"pattern": "^[0-9A-Fa-f]{64}$"}
SCHEMA["properties"]["sha256"]["properties"] = dict.fromkeys(PROGRAMS, SUM)
# What the training stages accept, so that a wrong setting is found before any job starts.
STAGE_SETTINGS = {
    "real3dportrait": Real3dPortraitSettings,
    "fit_static": StaticSettings,
    "refine_pose": PoseSettings,
    "pretrain": PretrainSettings,
    "pretrain_c2f": RefinerSettings,
    "adapt": AdaptSettings,
    "finetune_c2f": RefinerSettings,
}
PERCEPTUAL = ("pretrain_c2f", "adapt", "finetune_c2f")  # stages with a loss on AlexNet's features
DEFAULT_CONFIG = HERE.parent / "config" / "config.yaml"
PAPER_TABLES = HERE.parent / "config" / "paper_tables.yaml"
TABLES = "D3TALKER_TABLES"  # environment variable: tables among the targets of a run


class ConfigProblem(ValueError):
    """The configuration cannot be used. The message names the key and what it may be."""


def check(config: dict) -> None:
    """Raise ConfigProblem naming every wrong key and value of `config`.

    Numbers inside a list that was given on the command line arrive as text; those of `secs` are
    turned into numbers in place.
    """
    if isinstance(config.get("secs"), list):
        config["secs"] = [int(s) if str(s).isdigit() else s for s in config["secs"]]
    errors = sorted(Draft202012Validator(SCHEMA).iter_errors(config), key=lambda e: list(e.path))
    problems = [_explain(error) for error in errors]
    if not errors:
        problems += _wrong_choices(config) or _wrong_settings(config)
    if problems:
        raise ConfigProblem("the configuration is wrong:\n" + "\n".join(f"  {p}" for p in problems))


@functools.cache
def tables() -> dict[str, dict]:
    """The paper's tables, by name."""
    return yaml.safe_load(PAPER_TABLES.read_text(encoding="utf-8"))["tables"]


def table_targets(arguments: list[str] | None) -> set[str]:
    """Tables among the targets of a run with these command line arguments; None: of this job's run.

    A job, which has a file as its target, hears of them by the environment, which it inherits; one
    that does not takes all tables.
    """
    if arguments is not None:
        os.environ[TABLES] = " ".join(set(arguments) & set(tables()))
    return set(os.environ.get(TABLES, " ".join(tables())).split())


def table_variants(table: str) -> list[str]:
    """The variants of a table made in full: those that stand for its rows, and a few more."""
    rows = [row["variant"] for row in tables()[table]["paper"] if "variant" in row]
    return list(dict.fromkeys([*rows, *tables()[table].get("also", [])]))


def asked_tables(config: Mapping) -> list[str]:
    """The tables that are made in full."""
    return [name for name in tables() if name in config.get("tables", [])]


def variants(config: Mapping) -> list[str]:
    """The chosen variants and those of the tables that are made in full."""
    of_tables = [name for table in asked_tables(config) for name in table_variants(table)]
    return list(dict.fromkeys([*config["variants"], *of_tables]))


def backends(config: dict) -> dict[str, str]:
    """The chosen backend of every key of `backends`."""
    return {key: config["backends"].get(key) or default(key) for key in BACKENDS}


def backend(config: dict, key: str) -> Backend:
    """What the chosen backend of `key` is and needs, and in which environment its stages run."""
    return BACKENDS[key][backends(config)[key]]


def training_environment(config: dict) -> str:
    """The environment of the stages that train and render: gpu if a backend needs its packages."""
    return "gpu" if any(backend(config, key).environment == "gpu" for key in TRAINING) else "torch"


def backend_options(config: dict) -> str:
    """The chosen backends as options of the stages that train and render."""
    return " ".join(f"--{key} {backends(config)[key]}" for key in TRAINING)


def _wrong_choices(config: dict) -> list[str]:
    """Names in `config` that refer to something it does not define."""
    chosen = backends(config)
    problems = [
        f"backends.{key}: there is no backend '{name}'; known: {', '.join(BACKENDS[key])}"
        for key, name in chosen.items()
        if name not in BACKENDS[key]
    ]
    problems += [] if problems else together.problems(config, chosen, variants(config))
    if config["preset"] not in config["presets"]:
        known = ", ".join(config["presets"])
        problems.append(f"preset: there is no preset '{config['preset']}'; known: {known}")
    known_variants = config["variant_definitions"]
    for name in config["tables"]:
        if name not in tables():
            problems.append(f"tables: there is no table '{name}'; known: {', '.join(tables())}")
    for name in variants(config):
        if name not in known_variants:
            known = ", ".join(known_variants)
            problems.append(f"variants: there is no variant '{name}'; known: {known}")
            continue
        avatar = known_variants[name].get("avatar", name)
        if avatar not in known_variants or "avatar" in known_variants[avatar]:
            problems.append(
                f"variant_definitions.{name}.avatar: '{avatar}' is no variant with an own avatar"
            )
    for name in known_variants:
        problems += _wrong_definition(name, known_variants[name])
    return problems


def _wrong_definition(name: str, definition: dict) -> list[str]:
    """What of a variant's definition cannot be had together."""
    key, problems = f"variant_definitions.{name}", []
    if "avatar" in definition:
        reason = f"a variant that renders the avatar of '{definition['avatar']}' trains nothing"
        of_training = sorted({"architecture", "pretrained", "train"} & set(definition))
        return [f"{key}.{word}: {reason}" for word in of_training]
    if not definition.get("pretrained", True) and definition.get("c2f", True):
        problems.append(
            f"{key}: the refiner is pre-trained with the fields; without them say c2f: false"
        )
    try:
        architectures.parse(json.dumps(definition.get("architecture", {})))
    except InputError as error:
        problems.append(f"{key}.architecture: {error}")
    return problems


def _wrong_settings(config: dict) -> list[str]:
    """Settings that their stage does not know or of the wrong type."""
    problems = []
    for key, accepted in {"ingest": IngestSettings, "sync": SyncSettings}.items():
        try:
            stage_settings.parse(accepted, json.dumps(config[key]))
        except InputError as error:
            problems.append(f"{key}: {error}")
    for stage, accepted in STAGE_SETTINGS.items():
        for variant in variants(config):
            try:
                stage_settings.parse(accepted, settings(config, stage, variant))
            except InputError as error:
                problems.append(f"train.{stage}: {error}")
    return sorted(set(problems))


def missing_folders(config: dict) -> list[str]:
    """Folders of the user's that are not there."""
    if config["openface"] is None or Path(config["openface"]).is_dir():
        return []
    return [f"openface: there is no folder {config['openface']}"]


def needs_alexnet(config: dict, stage: str, variant: str) -> bool:
    """Whether a perceptual loss of `stage` has a weight above zero."""
    given = stage_settings.parse(STAGE_SETTINGS[stage], settings(config, stage, variant))
    return any(getattr(given, name, 0) > 0 for name in ("perceptual", "fuse_perceptual"))


def check_geometry(config: dict, targets: Iterable[str]) -> None:
    """Raise ConfigProblem naming the geometry priors of `targets` that are not there."""
    if config["geometry"] is None:
        return
    files = [geometry_file(config, name) for name in targets]
    if missing := [str(path) for path in files if not path.is_file()]:
        raise ConfigProblem(
            f"geometry: there is no {', '.join(missing)}; docs/architecture.md says what it holds"
        )


def check_openface(config: dict, names: Iterable[str]) -> None:
    """Raise ConfigProblem naming people of whom action units are wanted and not given."""
    if backends(config)["aus"] != "openface":
        return
    files = [openface_file(config, name) for name in names]
    if missing := [str(path) for path in files if not path.is_file()]:
        raise ConfigProblem(
            f"openface: there is no {', '.join(missing)}, which backends.aus: openface needs; make"
            " it by OpenFace 2's FeatureExtraction on results/<name>/video.mp4, from"
            " https://github.com/TadasBaltrusaitis/OpenFace (its own licence: research only);"
            " `make run TARGET=prepare` with backends.aus: null makes the clips"
        )


def openface_file(config: dict, name: str) -> Path:
    """Where OpenFace's file of a person's clip lies, if `openface` names a folder."""
    return Path(config["openface"], f"{name}.csv")


def geometry_file(config: dict, name: str) -> Path:
    """Where the geometry prior of the target `name` lies, if `geometry` names a folder."""
    return Path(config["geometry"], f"{name}.npz")


def _explain(error) -> str:
    """One line for a person about a jsonschema error."""
    key = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        known = sorted(error.schema["properties"])
        unknown = sorted(set(error.instance) - set(known))
        lines = []
        for name in unknown:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}"
            lines.append(f"unknown key '{key + '.' if key else ''}{name}'; {hint}")
        return "\n  ".join(lines)
    if error.validator == "type":
        expected = error.validator_value
        expected = expected if isinstance(expected, str) else " or ".join(expected)
        return f"{key}: must be {expected}, not {json.dumps(error.instance, ensure_ascii=False)}"
    return f"{key or 'config'}: {error.message}"


def terms(stage: str) -> set[str]:
    """Names of the settings of a stage, among which those in `loss` are weights of its loss."""
    accepted = STAGE_SETTINGS.get(stage)
    return {field.name for field in dataclasses.fields(accepted)} if accepted else set()


def settings(config: dict, stage: str, variant: str | None = None) -> str:
    """The settings of `stage` as JSON: the preset's, then `train.<stage>`, then the variant's.

    Weights in `loss` go to every stage that has a term of that name.
    """
    merged = {name: weight for name, weight in config["loss"].items() if name in terms(stage)}
    sources = [config["presets"][config["preset"]].get("train", {}), config["train"]]
    if variant is not None:
        sources.append(config["variant_definitions"][variant].get("train", {}))
    for source in sources:
        _override(merged, source.get(stage) or {})
    return json.dumps(merged, sort_keys=True)


def avatar_of(config: dict, variant: str) -> str:
    """The variant whose avatar `variant` renders."""
    return config["variant_definitions"][variant].get("avatar", variant)


def refined(config: dict, variant: str) -> bool:
    """Whether the frames of a variant are refined: not if those of its avatar are not."""
    definitions = config["variant_definitions"]
    both = definitions[variant], definitions[avatar_of(config, variant)]
    return all(definition.get("c2f", True) for definition in both)


def architecture(config: dict, variant: str) -> str:
    """The architecture of a variant's avatar as JSON: what differs from the default."""
    definition = config["variant_definitions"][avatar_of(config, variant)]
    return json.dumps(definition.get("architecture", {}), sort_keys=True)


def pretraining(config: dict, variant: str) -> tuple | None:
    """All that pre-training of a variant's avatar depends on; None if it starts from scratch."""
    name = avatar_of(config, variant)
    if not config["variant_definitions"][name].get("pretrained", True):
        return None
    needed = architectures.parse(architecture(config, name)).of_pretraining()
    return needed, *(settings(config, stage, name) for stage in ("pretrain", "pretrain_c2f"))


def pretrainings(config: dict) -> dict[str, list[str]]:
    """Variants with an avatar of their own that share a pre-training, by the first one's name."""
    shared: dict[tuple, list[str]] = {}
    for name, definition in config["variant_definitions"].items():
        if "avatar" not in definition and (needed := pretraining(config, name)) is not None:
            shared.setdefault(needed, []).append(name)
    return {names[0]: names for names in shared.values()}


def _override(settings: dict, others: Mapping) -> None:
    """Put `others` over `settings`; groups of settings name by name."""
    for name, value in others.items():
        if isinstance(value, Mapping):
            settings[name] = dict(settings.get(name) or {})
            _override(settings[name], value)
        else:
            settings[name] = value


def changed(config: dict) -> dict[str, object]:
    """Settings of `config` that are not the default, by dotted key; and the preset in any case.

    Where files are is left out, and so is the number of threads: they change no result.
    """
    default = yaml.safe_load(DEFAULT_CONFIG.read_text(encoding="utf-8"))
    elsewhere = {"videos", "audios", "results", "threads", "models", "sha256"}
    return {"preset": config["preset"]} | {
        key: value
        for key, value in _differences(config, default).items()
        if key.split(".")[0] not in elsewhere
    }


def _differences(config: Mapping, default: Mapping, above: str = "") -> dict[str, object]:
    """Values of `config` that `default` has not, by dotted key."""
    found: dict[str, object] = {}
    for name, value in config.items():
        key, other = f"{above}{name}", default.get(name)
        if isinstance(value, Mapping) and value:
            found |= _differences(value, other if isinstance(other, Mapping) else {}, f"{key}.")
        elif value != other:
            found[key] = value
    return found


def meanings(config: dict) -> dict[str, str]:
    """What each of the chosen variants is."""
    definitions = config["variant_definitions"]
    return {name: definitions[name]["meaning"] for name in variants(config)}


def complete(config: dict) -> None:
    """Give `config` in place every key of the default configuration that it lacks.

    A workflow that has this one as a module brings a configuration of its own.
    """
    from snakemake.utils import update_config

    whole = yaml.safe_load(DEFAULT_CONFIG.read_text(encoding="utf-8"))
    update_config(whole, config)
    config.update(whole)


def load(files: list[str | Path], overrides: Mapping) -> dict:
    """The default configuration updated by `files` and then by `overrides`, as Snakemake does."""
    from snakemake.utils import update_config

    config: dict = {}
    for path in [DEFAULT_CONFIG, *files]:
        update_config(config, yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {})
    update_config(config, dict(overrides))
    return config

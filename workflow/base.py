"""The base: pre-trained networks that a run takes instead of training its own (`pretrain.base`)."""

import hashlib
from collections.abc import Collection
from pathlib import Path

from d3talker.artifacts import ArtifactError, load_meta
from d3talker.backends import default
from workflow import configuration
from workflow.configuration import ConfigProblem

ROOT = Path(__file__).resolve().parents[1]
FACE_MODEL = ROOT / "resources" / "face_model.npz"
# What `make base` writes, by the name of its part.
FILES = {part: f"base_{part}.safetensors" for part in ("motion", "general", "c2f")}
VARIANT = "d3talker"  # whose pre-training the base is
STAGES = ("pretrain_motion", "pretrain", "pretrain_c2f")  # that it replaces
RECORDED = ("people", "size", "face_model")  # by stages/make_base.py, in every file


def folder(config: dict) -> Path | None:
    """Where the base of `config` is; None if the run pre-trains on people of its own."""
    name = config["pretrain"].get("base")
    return ROOT / name if name else None


def file(config: dict, part: str) -> Path:
    """The base's `motion`, `general` or `c2f`."""
    return folder(config) / FILES[part]


def serves(config: dict, variant: str) -> bool:
    """Whether the avatar of `variant` starts from the base: it is pre-trained as VARIANT is."""
    own = configuration.pretraining(config, VARIANT)
    return folder(config) is not None and configuration.pretraining(config, variant) == own


def pretrained_otherwise(config: dict) -> list[str]:
    """Variants among the chosen ones whose avatars are pre-trained, but not as the base was."""
    return [
        name
        for name in configuration.variants(config)
        if configuration.pretraining(config, name) is not None and not serves(config, name)
    ]


def check(config: dict) -> None:
    """Raise ConfigProblem if `config` names a base that does not fit it or is not there."""
    where = config["pretrain"].get("base")
    if not where:
        return
    if ignored := _replaced(config):
        raise ConfigProblem(
            f"{', '.join(ignored)}: pre-training, which reads this, is replaced by the base"
            f" (pretrain.base: {where}); to pre-train on people of your own set pretrain.base: null"
            + (", or give weights to single stages, as train.adapt" if config["loss"] else "")
        )
    metas = _metas(config)
    for key in ("speech", "audio_to_motion"):
        chosen = configuration.backends(config)[key]
        learned = metas["general"].get(key, default(key))
        if chosen != learned:
            raise ConfigProblem(
                f"backends.{key}: {chosen}: the base (pretrain.base: {where}) has learned with"
                f" {learned}; take that, or pre-train on people of your own: pretrain.base: null"
            )
    width = metas["c2f"].get("refiner")
    if width != config["refiner"]:
        raise ConfigProblem(
            f"refiner: {config['refiner']}: {file(config, 'c2f')} holds the refiner '{width}'; take"
            f" that, or pre-train on people of your own with pretrain.base: null"
        )
    face_model = hashlib.sha256(FACE_MODEL.read_bytes()).hexdigest()
    for part, meta in metas.items():
        if meta["face_model"] != face_model:
            raise ConfigProblem(
                f"{file(config, part)}: was trained with another resources/face_model.npz; make a"
                " new base with `make base`, or set pretrain.base: null"
            )


def require_people(config: dict, cast) -> None:
    """Raise a problem if the run has to learn from people (of people.Cast) and there are none."""
    if folder(config) is None:
        cast.require(cast.motion_teachers)
    elif names := [name for name in unteachable(config, cast) if name in config["variants"]]:
        raise ConfigProblem(
            f"variants: {', '.join(names)} cannot start from the base, and there is nobody to learn"
            f" from: put videos of other people into {cast.pretrain_folder}, or name a folder of"
            " them as pretrain.videos in the configuration"
        )


def unteachable(config: dict, cast) -> list[str]:
    """Variants that cannot start from the base and have nobody (of people.Cast) to learn from."""
    if folder(config) is None or cast.field_teachers:
        return []
    return pretrained_otherwise(config)


def origin(config: dict, cast, variant: str) -> str:
    """What the fields of a variant's avatar start from, in words."""
    if configuration.pretraining(config, variant) is None:
        return "nothing: its fields start from scratch"
    if serves(config, variant):
        people = load_meta(file(config, "general"))["people"]
        return f"the base in {config['pretrain']['base']} ({len(people)} people)"
    return f"this run's pre-training on {', '.join(cast.field_teachers)}"


def remarks(config: dict, targets: list[str], impossible: Collection[str] = ()) -> list[str]:
    """What a reader of the scores has to know about the base of `config`.

    impossible: variants that are not run, as `unteachable` finds them.
    """
    if folder(config) is None:
        return []
    metas = _metas(config)
    known = {name for meta in metas.values() for name in meta["people"]}
    said = [
        f"{name}: the base has learned from a person of this name; scores are not those of an"
        " unseen person"
        for name in targets
        if name in known
    ]
    if metas["c2f"]["size"] != config["size"]:
        said.append(
            f"size: the refiner of the base has learned at {metas['c2f']['size']} px, not at"
            f" {config['size']}"
        )
    if impossible:
        said.append(
            f"variants: {', '.join(impossible)} are not run: they cannot start from the base, and"
            " there is nobody to learn from"
        )
    if names := [name for name in pretrained_otherwise(config) if name not in impossible]:
        said.append(
            f"variants: {', '.join(names)} are pre-trained in this run, not as long as the base nor"
            " on its people; compare them with others of pretrain.base: null"
        )
    return said


def _replaced(config: dict) -> list[str]:
    """Keys that the user has set for pre-training, which the base replaces."""
    people = ("identities", "motion_identities")
    keys = [f"pretrain.{key}" for key in people if config["pretrain"].get(key)]
    of_variant = config["variant_definitions"][VARIANT].get("train", {})
    trains = {"train": config["train"], f"variant_definitions.{VARIANT}.train": of_variant}
    for name, train in trains.items():
        keys += [f"{name}.{stage}" for stage in STAGES if train.get(stage)]
    terms = configuration.terms("pretrain") | configuration.terms("pretrain_c2f")
    return keys + [f"loss.{name}" for name in config["loss"] if name in terms]


def _metas(config: dict) -> dict[str, dict]:
    """Meta of the base's files by part. Raises ConfigProblem if one is missing or says little."""
    try:
        metas = {part: load_meta(file(config, part)) for part in FILES}
    except ArtifactError as error:
        raise ConfigProblem(
            f"pretrain.base: {error}; a base has {', '.join(FILES.values())}, which `make base`"
            " makes; to pre-train on people of your own set it to null"
        ) from error
    for part, meta in metas.items():
        if missing := [key for key in RECORDED if key not in meta]:
            raise ConfigProblem(
                f"{file(config, part)}: does not tell its {', '.join(missing)}; make it with"
                " stages/make_base.py"
            )
    return metas

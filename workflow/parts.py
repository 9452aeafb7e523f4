"""The chosen parts of d3talker/parts.py: what they need, and what of it is not there."""

import hashlib
from pathlib import Path

from d3talker.metrics.weights import SOURCES
from d3talker.parts import FOLDER_WEIGHTS, FOLDERS, PARTS, PROGRAMS, default


def chosen(config: dict, key: str) -> str:
    """The chosen implementation of the part `key`."""
    return config["backends"].get(key) or default(key)


def in_speech_environment(config: dict) -> list[str]:
    """Chosen parts that run in the environment `speech`, as key: name."""
    return [
        f"{key}: {name}"
        for key in PARTS
        if PARTS[key][name := chosen(config, key)].environment == "speech"
    ]


def missing_environment(config: dict, python: Path) -> str | None:
    """Why the chosen parts cannot run if `python`, that of the environment, is not there."""
    needing = in_speech_environment(config)
    if not needing or python.is_file():
        return None
    return (
        f"backends ({', '.join(needing)}): the environment speech is not there ({python}); make it"
        " with `make speech`"
    )


def weights_of(path: str | None) -> Path | None:
    """The file of an entry of `models`: of a folder the one in it that holds the weights."""
    if path is None or not Path(path).is_dir():
        return None if path is None else Path(path)
    found = (Path(path, name) for name in FOLDER_WEIGHTS)
    return next((file for file in found if file.is_file()), Path(path, FOLDER_WEIGHTS[0]))


def wrong_choices(config: dict, variants: list[str]) -> list[str]:
    """Choices that do not exist or cannot be had together."""
    problems = []
    for key in PARTS:
        if (name := chosen(config, key)) not in PARTS[key]:
            known = ", ".join(PARTS[key])
            problems.append(f"backends.{key}: there is no backend '{name}'; known: {known}")
    if chosen(config, "geometry") != default("geometry") and config["geometry"] is not None:
        problems.append("geometry: backends.geometry makes the priors; set one of the two to null")
    if chosen(config, "audio_to_motion") == "real3dportrait":
        definitions = config["variant_definitions"]
        problems += [
            f"variants: {name} shows the tracked expression, which is of another face model than"
            " the motion of backends.audio_to_motion: real3dportrait; leave it out of `variants`"
            " and `tables`"
            for name in variants
            if definitions.get(name, {}).get("motion") == "tracked"
        ]
    return problems


def missing_weights(config: dict) -> list[str]:
    """Weights of `models` that a chosen part needs, or that are given, and are not there."""
    models, problems = config["models"], []
    for key in PARTS:
        problems += [
            f"models.{model}: it is null, but backends.{key}: {chosen(config, key)} needs it; give"
            f" {SOURCES[model]}"
            for model in PARTS[key][chosen(config, key)].models
            if models.get(model) is None
        ]
    for key, path in models.items():
        if path is None:
            continue
        file = weights_of(path)
        if not file.is_file():
            problems.append(f"models.{key}: there is no file {file}; expected {SOURCES[key]}")
        elif Path(path).is_dir() != (key in FOLDERS):
            kind = "no folder" if key in FOLDERS else "a folder"
            problems.append(f"models.{key}: {path} is {kind}; expected {SOURCES[key]}")
    return problems + unknown_programs(config)


def unknown_programs(config: dict) -> list[str]:
    """Given files that would run when they are opened, and are not the ones that `sha256` names."""
    problems = []
    for key in PROGRAMS:
        path, wanted = config["models"].get(key), config["sha256"].get(key)
        if path is None or not Path(path).is_file():
            continue
        with Path(path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if wanted is None:
            problems.append(
                f"sha256.{key}: it is null; {path} is a program that runs when it is opened. If it"
                f" is the file that you mean to trust, write its digest there: {digest}"
            )
        elif digest != wanted.lower():
            problems.append(
                f"models.{key}: the sha256 of {path} is {digest}, not that of sha256.{key}: it was"
                f" cut off or is another file; expected {SOURCES[key]}"
            )
    return problems

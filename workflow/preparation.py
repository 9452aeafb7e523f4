"""Backends of preparation: which there are, what each needs, and what cannot go together."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from d3talker.metrics.weights import SOURCES

# By key of `backends`, the default first: the keys of `models` that each needs.
BACKENDS: dict[str, dict[str, tuple[str, ...]]] = {
    "parsing": {"mediapipe": (), "bisenet": ("bisenet",)},
    "teeth": {"brightness": (), "easyportrait": ("easyportrait",)},
    "aus": {"landmarks": (), "openface": ()},
    "landmarks": {"facemesh": (), "fan": ("fan", "s3fd")},
    "face_model": {"landmarks": (), "bfm": ("bfm",)},
}
# What one backend needs of another, and why.
TOGETHER = {
    ("landmarks", "fan"): (
        "face_model",
        "bfm",
        "the embedded face model has the 478 points of the face mesh, not FAN's 68",
    ),
    ("face_model", "bfm"): ("landmarks", "fan", "its landmarks are FAN's 68"),
    ("teeth", "easyportrait"): (
        "parsing",
        "bisenet",
        "it adds teeth to the labels of that network",
    ),
}
OPENFACE_SOURCE = (
    "OpenFace 2's FeatureExtraction on results/<name>/video.mp4, from"
    " https://github.com/TadasBaltrusaitis/OpenFace (its own licence: research only)"
)


def chosen(config: Mapping, key: str) -> str:
    """The backend of `key` that a configuration asks for."""
    return config["backends"].get(key) or next(iter(BACKENDS[key]))


def wrong_choices(config: Mapping) -> list[str]:
    """Backends that there are not, or that lack another one."""
    problems = []
    for key, known in BACKENDS.items():
        name = chosen(config, key)
        if name not in known:
            problems.append(
                f"backends.{key}: there is no backend '{name}'; known: {', '.join(known)}"
            )
        if (key, name) in TOGETHER:
            other, wanted, reason = TOGETHER[key, name]
            if chosen(config, other) != wanted:
                problems.append(
                    f"backends.{key}: '{name}' needs backends.{other}: {wanted}; {reason}"
                )
    return problems


def missing(config: Mapping) -> list[str]:
    """What the chosen backends need and is not given: files of weights, a folder."""
    problems = [
        f"models.{model}: it is null, but backends.{key}: {chosen(config, key)} needs it; expected"
        f" {SOURCES[model]}"
        for key, known in BACKENDS.items()
        for model in known[chosen(config, key)]
        if config["models"].get(model) is None
    ]
    if chosen(config, "aus") == "openface" and config["openface"] is None:
        problems.append(
            "openface: it is null, but backends.aus: openface needs a folder with <name>.csv of"
            f" everybody; make them by {OPENFACE_SOURCE}"
        )
    return problems


def missing_openface(config: Mapping, names: Iterable[str]) -> str | None:
    """Whose action units are not in the folder of OpenFace's results; None if nobody's lack."""
    if chosen(config, "aus") != "openface":
        return None
    files = [openface_file(config, name) for name in names]
    if lacking := [str(path) for path in files if not path.is_file()]:
        return (
            f"openface: there is no {', '.join(lacking)}, which backends.aus: openface needs; make"
            f" it by {OPENFACE_SOURCE}; `make run TARGET=prepare` with backends.aus: null makes the"
            " clips"
        )
    return None


def openface_file(config: Mapping, name: str) -> Path:
    """Where OpenFace's file of a person's clip lies."""
    return Path(config["openface"], f"{name}.csv")

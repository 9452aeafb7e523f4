"""Results of other programs: `<external>/<method>/<identity>.mp4`, to be scored as ours are."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from workflow.names import NameProblem, safe_name

FOLDER = "external"  # of the folder of videos, where `external` names no other
PREFIX = "external_"  # of their variants, so that none is taken for one of ours
SUFFIX = ".mp4"


def folder(config: Mapping) -> Path | None:
    """The folder that `config` names, or external/ among the videos; None without one."""
    if config.get("external"):
        path = Path(config["external"])
        if not path.is_dir():
            raise NameProblem(f"{path}: no such folder of results of other programs (external)")
        return path
    path = Path(config["videos"]) / FOLDER
    return path if path.is_dir() else None


def find(config: Mapping, targets: Iterable[str]) -> dict[str, dict[str, Path]]:
    """Videos by variant (PREFIX and the method's name) and identity.

    Raises NameProblem for two methods of one name, and for a video of nobody among `targets`.
    """
    top, found = folder(config), {}
    known = list(targets)
    for method in sorted(path for path in top.iterdir() if path.is_dir()) if top else []:
        if method.name.startswith("."):
            continue
        variant = PREFIX + safe_name(method.name)
        if variant in found:
            raise NameProblem(f"{method}: another folder would have the same name; rename one")
        found[variant] = {}
        for path in sorted(method.iterdir()):
            if path.suffix.lower() != SUFFIX or path.name.startswith("."):
                continue
            name = safe_name(path.stem)
            if name not in known:
                raise NameProblem(
                    f"{path}: an avatar is made of nobody of this name; there are"
                    f" {', '.join(known) or 'none'}"
                )
            found[variant][name] = path
    return found


def method(variant: str, videos: Mapping[str, Path]) -> str:
    """The name of the method of a variant, as its folder is called."""
    return next((path.parent.name for path in videos.values()), variant.removeprefix(PREFIX))

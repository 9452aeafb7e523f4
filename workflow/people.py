"""Which videos and audios there are, what they are called, and which videos were refused."""

import dataclasses
import hashlib
import json
import re
import shlex
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from workflow import base
from workflow.refusals import refusal

# fmt: off
VIDEO_SUFFIXES = {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg",
                  ".mts", ".ogv", ".ts", ".webm", ".wmv"}
AUDIO_SUFFIXES = {".aac", ".aiff", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav", ".wma"}
# fmt: on

# Names that the workflow uses itself under results/ or for a drive.
RESERVED = {
    "audio",
    "benchmarks",
    "export",
    "logs",
    "pretrained",
    "self",
    "speech",
    "tables",
    "tracked",
}

LONGEST_NAME = 64  # characters; file systems allow 255 bytes and paths are built from names


class NameProblem(ValueError):
    """Two files would get the same name, or a file's name cannot be used."""


def safe_name(stem: str) -> str:
    """A name for `stem` made of ASCII letters, digits, '_' and '-', the same on every machine.

    Accents are dropped. Where letters of another script are lost or the name is very long, a short
    hash of the stem keeps different names different.
    """
    text = unicodedata.normalize("NFKD", stem)
    plain = text.encode("ascii", "ignore").decode()
    lost = any(c.isalnum() for c in text if not c.isascii() and not unicodedata.combining(c))
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", plain).strip("_-")
    if name and not lost and len(name) <= LONGEST_NAME:
        return name
    normal = unicodedata.normalize("NFC", stem).encode(errors="surrogateescape")
    digest = hashlib.sha256(normal).hexdigest()[:8]
    return f"{name[: LONGEST_NAME - 9].strip('_-') or 'person'}_{digest}"


def find(folder: str | Path, suffixes: set[str]) -> dict[str, Path]:
    """Files of `folder` with one of `suffixes`, by safe name, in the order of names."""
    found: dict[str, Path] = {}
    for path in _files(folder):
        if path.suffix.lower() not in suffixes:
            continue
        name = safe_name(path.stem)
        if name in RESERVED:
            raise NameProblem(
                f"{path}: the workflow uses the name '{name}' itself; rename the file"
            )
        if name in found:
            raise NameProblem(
                f"{found[name]} and {path} would both be called '{name}'; rename one of them"
            )
        found[name] = path
    return dict(sorted(found.items()))


def _files(folder: str | Path) -> list[Path]:
    """Files of `folder` that are not hidden, in the order of names."""
    paths = sorted(Path(folder).iterdir())
    return [path for path in paths if not path.name.startswith(".") and not path.is_dir()]


def require_distinct(*groups: dict[str, Path]) -> None:
    """Raise NameProblem if a name occurs in two of `groups`."""
    seen: dict[str, Path] = {}
    for group in groups:
        for name, path in group.items():
            if name in seen:
                raise NameProblem(
                    f"{seen[name]} and {path} would both be called '{name}'; rename one of them"
                )
            seen[name] = path


def choose(found: list[str], wanted: list[str] | None, refused: set[str]) -> list[str]:
    """Those of the people `found` that are `wanted` (None: all) and not `refused`.

    Raises NameProblem if somebody wanted is not there.
    """
    names = found if wanted is None else [safe_name(name) for name in wanted]
    missing = [name for name in names if name not in found]
    if missing:
        raise NameProblem(
            f"pretrain: no video of {', '.join(missing)}; there are {', '.join(found) or 'none'}"
        )
    return [name for name in names if name not in refused]


def preferred_first(found: list[str], preferred: list[str]) -> list[str]:
    """As many people as `preferred` lists: those of them that are `found`, then others."""
    order = [name for name in preferred if name in found]
    order += [name for name in found if name not in order]
    return order[: len(preferred)]


def ingest_options(config: dict, name: str) -> str:
    """Options of the stage ingest that `config` gives for the video called `name`."""
    wanted = {safe_name(key): value for key, value in config["person"].items()}
    settings = json.dumps(config["ingest"], sort_keys=True)
    return shlex.join(["--person", str(wanted.get(name, "auto")), "--settings", settings])


@dataclasses.dataclass(frozen=True)
class Cast:
    """Everybody who takes part in a run, by name."""

    targets: dict[str, Path]  # videos of which avatars are made
    others: dict[str, Path]  # videos of the folder of people to pre-train on
    audios: dict[str, Path]
    field_teachers: list[str]  # of `others`: the fields and the refiner are pre-trained on them
    motion_teachers: list[str]  # of `others`: the audio-to-motion network learns from them
    refused: dict[str, dict]  # refusals of `targets` and `others`, which hold none of these
    left_alone: list[Path]  # files whose names do not say that they are videos or sounds
    pretrain_folder: str

    @property
    def everybody(self) -> list[str]:
        """Targets and teachers."""
        return [*self.targets, *sorted({*self.field_teachers, *self.motion_teachers})]

    def video(self, name: str) -> Path:
        """The video of a target or teacher. Raises NameProblem if there is no such person."""
        if video := self.targets.get(name) or self.others.get(name):
            return video
        raise NameProblem(f"there is nobody called {name} whose video can be used")

    def require(self, teachers: list[str]) -> None:
        """Raise NameProblem, which says where to put their videos, if there are no `teachers`."""
        if not teachers:
            raise NameProblem(
                f"nobody to learn from: put videos of other people into {self.pretrain_folder}, or "
                "name a folder of them as pretrain.videos in the configuration"
            )


def gather(config: dict) -> Cast:
    """Look into the folders that `config` names and choose who takes part.

    With a base only those teach from whom a chosen variant has to learn. Raises NameProblem when a
    folder is missing, there is no video at all, or a name cannot be used.
    """
    videos, pretrain = config["videos"], config["pretrain"]
    preferred = config["presets"][config["preset"]]["pretrain_people"]
    targets = find(_folder(videos, "videos"), VIDEO_SUFFIXES)
    folders = {videos: VIDEO_SUFFIXES}
    pretrain_folder = pretrain.get("videos") or f"{videos}/pretrain"
    others, sounds = {}, {}
    if pretrain.get("videos") or Path(pretrain_folder).is_dir():
        folder = _folder(pretrain_folder, "videos of people to pre-train on (pretrain.videos)")
        others, folders[pretrain_folder] = find(folder, VIDEO_SUFFIXES), VIDEO_SUFFIXES
    if config["audios"]:
        sounds = find(_folder(config["audios"], "audios"), AUDIO_SUFFIXES)
        folders[config["audios"]] = AUDIO_SUFFIXES
    if not others:
        require_target(config)
    require_distinct(targets, others, sounds)
    _require_known(config["person"], [*targets, *others])
    from_base = base.folder(config) is not None
    if from_base and not base.pretrained_otherwise(config):
        others = {}  # nobody learns from them

    everybody = targets | others
    records = {
        name: refusal(config["results"], name, video, ingest_options(config, name))
        for name, video in everybody.items()
    }
    refused = {name: record for name, record in records.items() if record}
    wanted = pretrain.get("identities")
    if wanted is None:
        wanted = preferred_first(choose(list(others), None, set(refused)), preferred)
    elif wanted == "all":
        wanted = list(others)
    hearing = [] if from_base else pretrain.get("motion_identities")
    return Cast(
        targets=_without(targets, refused),
        others=_without(others, refused),
        audios=sounds,
        field_teachers=choose(list(others), wanted, set(refused)),
        motion_teachers=choose(list(others), hearing, set(refused)),
        refused=refused,
        left_alone=[
            path
            for folder, suffixes in folders.items()
            for path in _files(folder)
            if path.suffix.lower() not in suffixes
        ],
        pretrain_folder=pretrain_folder,
    )


def require_target(config: dict) -> None:
    """Raise NameProblem if there is no video of which an avatar could be made."""
    if not find(config["videos"], VIDEO_SUFFIXES):
        raise NameProblem(f"{config['videos']}: no video ({_list(VIDEO_SUFFIXES)}) in this folder")


def _require_known(names: Iterable[str], found: list[str]) -> None:
    missing = [name for name in names if safe_name(name) not in found]
    if missing:
        raise NameProblem(f"person: no video of {', '.join(missing)}; there are {', '.join(found)}")


def _folder(path: str, what: str) -> Path:
    if not Path(path).is_dir():
        raise NameProblem(f"{path}: no such folder of {what}")
    return Path(path)


def _list(suffixes: set[str]) -> str:
    return ", ".join(sorted(suffixes))


def _without(group: dict[str, Path], names: dict) -> dict[str, Path]:
    return {name: path for name, path in group.items() if name not in names}

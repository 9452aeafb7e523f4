"""Which videos and audios there are, what they are called, and which videos were refused."""

import dataclasses
import json
import shlex
from collections.abc import Iterable
from pathlib import Path

from d3talker.imported import layout
from workflow import base, external, failures, identities
from workflow.names import NameProblem, safe_name
from workflow.refusals import refusal

# fmt: off
VIDEO_SUFFIXES = {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg",
                  ".mts", ".ogv", ".ts", ".webm", ".wmv"}
AUDIO_SUFFIXES = {".aac", ".aiff", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav", ".wma"}
# fmt: on

# Names that the workflow uses itself, for a drive and under results/.
DRIVES = {"self", "tracked"}
RESERVED = DRIVES | {
    "audio",
    "benchmarks",
    "export",
    "logs",
    "pretrained",
    "speech",
    "tables",
}


def find(folder: str | Path, suffixes: set[str], reserved: set[str] = RESERVED) -> dict[str, Path]:
    """Files of `folder` with one of `suffixes`, by safe name, in the order of names."""
    files = [path for path in _files(folder) if path.suffix.lower() in suffixes]
    return _named([(path.stem, path) for path in files], reserved)


def find_people(folder: str | Path) -> dict[str, Path]:
    """Videos of `folder`, and folders in it that are datasets of other programs, by safe name."""
    sets = [path for path in sorted(Path(folder).iterdir()) if not path.name.startswith(".")]
    sets = [path for path in sets if path.is_dir() and layout.is_dataset(path)]
    videos = [path for path in _files(folder) if path.suffix.lower() in VIDEO_SUFFIXES]
    named = [(path.stem, path) for path in videos] + [(path.name, path) for path in sets]
    return _named(named, RESERVED)


def _named(paths: Iterable[tuple[str, Path]], reserved: set[str]) -> dict[str, Path]:
    """Paths by the safe form of the names they come with. Raises NameProblem if two share one."""
    found: dict[str, Path] = {}
    for given, path in paths:
        name = safe_name(given)
        if name in reserved:
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
    row = identities.load(config).get(name)
    person = (row and row.person) or wanted.get(name, "auto")
    words = ["--person", str(person), "--settings", json.dumps(config["ingest"], sort_keys=True)]
    return shlex.join([*words, *_test_frames(row)])


def import_options(config: dict, name: str) -> str:
    """Options of the stage import_dataset that `config` gives for the folder called `name`."""
    return shlex.join(_test_frames(identities.load(config).get(name)))


def _test_frames(row: identities.Row | None) -> list[str]:
    return ["--test-frames", str(row.split)] if row and row.split else []


@dataclasses.dataclass(frozen=True)
class Cast:
    """Everybody who takes part in a run, by name."""

    wanted: list[str]  # of whose videos avatars are to be made
    targets: dict[str, Path]  # those of them that can be used
    others: dict[str, Path]  # videos of the folder of people to pre-train on
    audios: dict[str, Path]
    field_teachers: list[str]  # of `others`: the fields and the refiner are pre-trained on them
    motion_teachers: list[str]  # of `others`: the audio-to-motion network learns from them
    seconds: dict[str, int]  # training lengths of single targets
    external: dict[str, dict[str, Path]]  # results of other programs, by variant and target
    refused: dict[str, dict]  # refusals of `targets` and `others`, which hold none of these
    failed: dict[str, dict]  # failures of earlier jobs, by name, or name/variant; left out as well
    left_alone: list[Path]  # files whose names do not say that they are videos or sounds
    pretrain_folder: str

    @property
    def everybody(self) -> list[str]:
        """Targets and teachers."""
        return [*self.targets, *sorted({*self.field_teachers, *self.motion_teachers})]

    @property
    def imported(self) -> list[str]:
        """Those of whom there is no video but a dataset folder of other programs."""
        return [name for name in self.everybody if self.video(name).is_dir()]

    def video(self, name: str) -> Path:
        """The video, or dataset folder, of a target or teacher.

        Raises NameProblem if there is no such person.
        """
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
    folder is missing, there is no video at all, a name cannot be used, or identities.tsv is wrong.
    """
    videos, pretrain = config["videos"], config["pretrain"]
    targets = find_people(_folder(videos, "videos"))
    folders = {videos: VIDEO_SUFFIXES}
    pretrain_folder = pretrain.get("videos") or f"{videos}/pretrain"
    others, sounds = {}, {}
    if pretrain.get("videos") or Path(pretrain_folder).is_dir():
        folder = _folder(pretrain_folder, "videos of people to pre-train on (pretrain.videos)")
        others, folders[pretrain_folder] = find_people(folder), VIDEO_SUFFIXES
    if config["audios"]:
        sounds = find(_folder(config["audios"], "audios"), AUDIO_SUFFIXES, DRIVES)
        folders[config["audios"]] = AUDIO_SUFFIXES
    if not others:
        require_target(config)
    require_distinct(targets, others, sounds)
    _require_known(config["person"], [*targets, *others])
    identities.require_known(config, targets, others)
    _require_no_choice(config, targets | others)
    programs = external.find(config, targets)
    from_base = base.folder(config) is not None
    if from_base and not base.pretrained_otherwise(config):
        others = {}  # nobody learns from them

    everybody = targets | others
    refused = _refusals(config, everybody)
    failed = _failures(config, everybody, sounds, programs)
    out = refused | failed
    wanted = pretrain.get("identities")
    if wanted is None:
        preferred = config["presets"][config["preset"]]["pretrain_people"]
        wanted = preferred_first(choose(list(others), None, set(out)), preferred)
    elif wanted == "all":
        wanted = list(others)
    hearing = [] if from_base else pretrain.get("motion_identities")
    drivers = [driver_video(sound) for sound in sounds.values()]
    return Cast(
        wanted=list(targets),
        targets=_without(targets, out),
        others=_without(others, out),
        audios=_without(sounds, out),
        field_teachers=choose(list(others), wanted, set(out)),
        motion_teachers=choose(list(others), hearing, set(out)),
        seconds={n: row.seconds for n, row in identities.load(config).items() if row.seconds},
        external=_usable(programs, out),
        refused=refused,
        failed=failed,
        left_alone=_left_alone(folders, [identities.file(config), *drivers]),
        pretrain_folder=pretrain_folder,
    )


def driver_video(sound: Path) -> Path | None:
    """The video beside a driving sound that has the same name: whoever speaks it; None without."""
    others = [path for path in _files(sound.parent) if path.stem == sound.stem]
    return next((path for path in others if path.suffix.lower() in VIDEO_SUFFIXES), None)


def _refusals(config: dict, videos: dict[str, Path]) -> dict[str, dict]:
    """Refusals that hold for `videos`."""
    records = {
        name: refusal(config["results"], name, video, _reading_options(config, name, video))
        for name, video in videos.items()
    }
    return {name: record for name, record in records.items() if record}


def _reading_options(config: dict, name: str, video: Path) -> str:
    """Options with which a video or dataset folder is read."""
    return (import_options if video.is_dir() else ingest_options)(config, name)


def _usable(programs: dict, out: dict) -> dict[str, dict[str, Path]]:
    """Results of other programs without those of people, or <person>/<variant>, who are `out`."""
    return {
        variant: {n: video for n, video in videos.items() if not {n, f"{n}/{variant}"} & set(out)}
        for variant, videos in programs.items()
    }


def _left_alone(folders: dict[str, set[str]], known: list[Path | None]) -> list[Path]:
    """Files without one of the endings of their folder, but for those that are `known`."""
    return [
        path
        for folder, suffixes in folders.items()
        for path in _files(folder)
        if path.suffix.lower() not in suffixes and path not in known
    ]


def _failures(config: dict, people: dict, sounds: dict, programs: dict) -> dict[str, dict]:
    """Records of failed jobs of people, of sounds, and of people's results of other programs."""
    names = [*people, *sounds]
    names += [f"{name}/{variant}" for variant, videos in programs.items() for name in videos]
    records = {name: failures.load(config["results"], name) for name in names}
    return {name: record for name, record in records.items() if record}


def require_target(config: dict) -> None:
    """Raise NameProblem if there is no video of which an avatar could be made."""
    if not find_people(config["videos"]):
        raise NameProblem(
            f"{config['videos']}: no video ({_list(VIDEO_SUFFIXES)}) in this folder, nor a dataset"
            f" folder with {layout.TRAIN}"
        )


def _require_known(names: Iterable[str], found: list[str]) -> None:
    missing = [name for name in names if safe_name(name) not in found]
    if missing:
        raise NameProblem(f"person: no video of {', '.join(missing)}; there are {', '.join(found)}")


def _require_no_choice(config: dict, people: dict[str, Path]) -> None:
    """Raise NameProblem if somebody is to be chosen of a dataset folder, which shows one person."""
    rows = identities.load(config)
    asked = {safe_name(name) for name in config["person"]}
    asked |= {name for name, row in rows.items() if row.person}
    for name in sorted(asked & people.keys()):
        if people[name].is_dir():
            raise NameProblem(
                f"person: {name} is the dataset folder {people[name]}, which shows one person; take"
                " the choice away"
            )


def _folder(path: str, what: str) -> Path:
    if not Path(path).is_dir():
        raise NameProblem(f"{path}: no such folder of {what}")
    return Path(path)


def _list(suffixes: set[str]) -> str:
    return ", ".join(sorted(suffixes))


def _without(group: dict[str, Path], names: dict) -> dict[str, Path]:
    return {name: path for name, path in group.items() if name not in names}

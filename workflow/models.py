"""Files of weights of a run: which are given, which are fetched, which are missing (`models`)."""

import logging
import subprocess
from pathlib import Path

from d3talker import fetch
from d3talker.artifacts import ArtifactError
from d3talker.cli import InputError
from d3talker.metrics.weights import catalogue, holder, sha256_of
from workflow import configuration
from workflow.configuration import ConfigProblem

ROOT = Path(__file__).resolve().parents[1]
FETCH = "fetch"  # instead of a path


def file(config: dict, key: str) -> str | None:
    """The file of `models.<key>`, there or to be fetched; None if the key is null.

    Of a folder it is the one in it that holds the weights.
    """
    given = config["models"].get(key)
    if given == FETCH:
        return str(Path(config["models"]["folder"], catalogue()[key].file))
    return None if given is None else str(holder(given))


def files(config: dict) -> dict[str, str]:
    """All files of weights that the configuration names, by key."""
    named = {key: file(config, key) for key in catalogue()}
    return {key: path for key, path in named.items() if path is not None}


def to_fetch(config: dict) -> dict[str, str]:
    """Files of `files` that are to be fetched and are not there yet, by key."""
    return {
        key: path
        for key, path in files(config).items()
        if config["models"][key] == FETCH and not Path(path).is_file()
    }


def check(config: dict) -> None:
    """Raise ConfigProblem naming files that are not there or are needed, and how to get each.

    Files are not read: see `check_files`.
    """
    problems = [problem for key in catalogue() if (problem := unavailable(config, key))]
    problems += [
        f"models.{key}: it is null, but {needed} needs it. {how_to_give(key)}"
        for key, needed in needs(config).items()
        if config["models"].get(key) is None
    ]
    problems += [
        problem for key in configuration.backends(config) for problem in unnamed(config, key)
    ]
    problems += configuration.missing_folders(config)
    if problems:
        raise ConfigProblem("\n".join(problems))


def unavailable(config: dict, key: str) -> str | None:
    """Why the file that `models.<key>` names cannot be had; None if it can, or the key is null."""
    entry, path, mirror = catalogue()[key], file(config, key), config["models"]["mirror"]
    if path is None:
        return None
    if problem := _of_wrong_kind(config, key):
        return problem
    if Path(path).is_file():
        return None
    if config["models"][key] != FETCH:
        return f"models.{key}: there is no file {path}; expected {entry.source}"
    if mirror and not fetch.is_address(mirror) and not Path(mirror, entry.file).is_file():
        return f"models.{key}: there is no {entry.file} in models.mirror ({mirror}); {entry.source}"
    if not mirror and not entry.url:
        return f"models.{key}: nothing can fetch {entry.source}. {how_to_give(key)}"
    return None


def _of_wrong_kind(config: dict, key: str) -> str | None:
    """Why what `models.<key>` names cannot be used: a folder or none, a program without its sum."""
    entry, given = catalogue()[key], config["models"][key]
    if entry.kind == "folder" and given == FETCH:
        return f"models.{key}: nothing can fetch a folder. {how_to_give(key)}"
    if Path(given).exists() and Path(given).is_dir() != (entry.kind == "folder"):
        kind = "no folder" if entry.kind == "folder" else "a folder"
        return f"models.{key}: {given} is {kind}; expected {entry.source}"
    path = Path(file(config, key))
    sought = given != FETCH and not path.is_file()  # whose absence is the first thing to tell
    if entry.kind == "program" and config["sha256"].get(key) is None and not sought:
        digest = f": {sha256_of(path)}" if path.is_file() else ""
        return (
            f"sha256.{key}: it is null; {path} is a program that runs when it is opened. If it is"
            f" the file that you mean to trust, write its digest there{digest}"
        )
    return None


def how_to_give(key: str) -> str:
    """What to write into the configuration, so that a run has the file of `models.<key>`."""
    entry = catalogue()[key]
    if entry.url is None:
        return f"Get {entry.source}; then say models.{key}: <your file>"
    takes = "" if entry.mb is None else f", which takes {entry.size}"
    return f"Say models.{key}: fetch{takes}, or models.{key}: <your file>: {entry.source}"


def needs(config: dict) -> dict[str, str]:
    """Who needs which file of weights, by key: chosen backends, losses on AlexNet's features."""
    wanted: dict[str, list[str]] = {}
    for key, name in configuration.backends(config).items():
        for model in configuration.backend(config, key).models:
            wanted.setdefault(model, []).append(f"backends.{key}: {name}")
    stages = {
        stage
        for stage in configuration.PERCEPTUAL
        for variant in configuration.variants(config)
        if configuration.needs_alexnet(config, stage, variant)
    }
    if stages:
        losses = f"a perceptual weight above 0 of {', '.join(sorted(stages))}"
        wanted.setdefault("alexnet", []).append(losses)
    return {key: ", ".join(by) for key, by in wanted.items()}


def unnamed(config: dict, key: str) -> list[str]:
    """What else the chosen backend of `key` needs that the configuration does not name."""
    name = configuration.backends(config)[key]
    return [
        f"backends.{key}: '{name}' needs `{other}`, which is null; see config/config.yaml"
        for other in configuration.backend(config, key).keys
        if config[other] is None
    ]


def check_files(config: dict, python: Path | None) -> None:
    """Raise ConfigProblem if a file that is there is damaged or another one.

    Fetched files are known by their sums. All are read in the environment of `python` now, because
    most are needed at the very end; None: that cannot be asked, as of a container.
    """
    there = {key: path for key, path in files(config).items() if Path(path).is_file()}
    problems = []
    for key, path in there.items():
        try:
            if config["models"][key] == FETCH:
                fetch.check(catalogue()[key], path)
            if catalogue()[key].kind == "program":
                _require_sum(config, key, path)
        except (InputError, ArtifactError) as error:
            problems.append(f"models.{key}: {error}")
    if there and python is not None and not problems:
        problems = _unreadable(there, python)
    if problems:
        raise ConfigProblem("\n".join(problems))


def _require_sum(config: dict, key: str, path: str) -> None:
    """Raise ArtifactError if a program, which must not be opened then, is not that of `sha256`."""
    wanted, digest = config["sha256"].get(key) or "null", sha256_of(path)
    if digest != wanted.lower():
        raise ArtifactError(
            f"the sha256 of {path} is {digest}, not {wanted} as sha256.{key} says: it was cut off"
            f" or is another file; expected {catalogue()[key].source}"
        )


def _unreadable(there: dict[str, str], python: Path) -> list[str]:
    """What is wrong with files of weights by key, as their readers say."""
    if not python.is_file():
        return [f"models: no {python} to read them with; run `make setup`"]
    command = [str(python), "-m", "d3talker.metrics.check_weights"]
    for key, path in there.items():
        whole = Path(path).parent if catalogue()[key].kind == "folder" else Path(path)
        command.append(f"{key}={whole.absolute()}")
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return [answer.stdout.strip() or answer.stderr.strip()] if answer.returncode else []


def fetch_all(config: dict) -> None:
    """Fetch all that the configuration says `fetch`, and print where each lies (`make models`).

    What cannot be had does not keep the others; raises ConfigProblem at the end.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # of progress
    problems = []
    chosen = [key for key in files(config) if config["models"][key] == FETCH]
    for key in chosen:
        path = Path(file(config, key))
        try:
            fetch.fetch(catalogue()[key], path, config["models"]["mirror"])
            print(f"{key + ':':<16} {path} ({catalogue()[key].licence})", flush=True)
        except (InputError, ArtifactError, OSError) as error:
            problems.append(f"models.{key}: {error}")
    if not chosen:
        print("no key of `models` says `fetch`; docs/models.md tells how to")
    if problems:
        raise ConfigProblem("\n".join(problems))

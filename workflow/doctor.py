"""What the present configuration can run here, and what the rest lacks (`make doctor`)."""

import os
import shutil
import subprocess
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from d3talker.artifacts import ArtifactError
from d3talker.backends import BACKENDS, default, reason_in
from d3talker.metrics.weights import catalogue
from workflow import base, configuration, costs, environments, models, people, plan

ROOT = Path(__file__).resolve().parents[1]
ENVS = ROOT / ".envs"
# Of a line: what was chosen and works, what was chosen and does not, what could be chosen, what
# could not, and what is said for information.
OK, BAD, COULD, COULD_NOT, SAID = "ok", "NO", "+", "-", ""
# Rules whose files stay for every avatar or clip; the others share theirs.
OF_A_PERSON = ("ingest", "landmarks", "parse", "track", "speech", "tune_motion", "motion")
OF_A_PERSON += ("fit_static", "refine_pose", "adapt", "finetune_c2f", "render", "compare")
# Further ones, by key and name of the backend that they make possible.
OF_BACKENDS = {
    ("parsing", "bisenet"): ("bisenet",),
    ("landmarks", "fan"): ("landmarks_fan",),
    ("audio_to_motion", "real3dportrait"): ("voice", "motion_real3dportrait"),
    ("geometry", "sapiens"): ("sapiens",),
}


class Line(NamedTuple):
    """One row of the table."""

    mark: str
    what: str
    text: str


def report(config: dict, jobs_run_here: bool = True) -> int:
    """Print the table for a checked `config`; 0 if all that is chosen can run, else 1."""
    sections = {
        "Configuration": of_configuration(config),
        "Backends (+ could be chosen, - could not)": of_backends(config, jobs_run_here),
        "Weights (config/models.yaml says where each is to be had)": of_weights(config),
        "Environments": of_environments(config),
        "Machine": of_machine(config, jobs_run_here),
    }
    width = max(len(line.what) for lines in sections.values() for line in lines)
    for title, lines in sections.items():
        print(f"{title}\n" + "\n".join(_row(line, width) for line in lines) + "\n")
    bad = sum(line.mark == BAD for lines in sections.values() for line in lines)
    print("all that is chosen can run" if not bad else f"{bad} of the above have to be mended")
    return 1 if bad else 0


def _row(line: Line, width: int) -> str:
    """A line of the table, its text in as many lines as the terminal needs."""
    beginning = f"  {line.mark:<2}  {line.what:<{width}}  "
    columns = max(shutil.get_terminal_size((110, 24)).columns - len(beginning), 40)
    words = textwrap.wrap(line.text, columns, break_long_words=False, break_on_hyphens=False)
    return beginning + f"\n{' ' * len(beginning)}".join(words)


def of_configuration(config: dict) -> list[Line]:
    """What is to be made, and problems of the base and the tables."""
    said = f"{config['preset']}, {config['size']} px, trained on {config['secs']} s"
    lines = [
        Line(SAID, "preset", said),
        Line(SAID, "variants", ", ".join(configuration.variants(config))),
    ]
    for name, check in {"pretrain.base": base.check, "tables": plan.check}.items():
        try:
            check(config)
        except configuration.ConfigProblem as problem:
            lines.append(Line(BAD, name, str(problem)))
    lines += [Line(BAD, "folders", problem) for problem in configuration.missing_folders(config)]
    where = config["pretrain"].get("base")
    if where and all(line.what != "pretrain.base" for line in lines):
        lines.append(Line(OK, "pretrain.base", where))
    return lines


def of_backends(config: dict, jobs_run_here: bool) -> list[Line]:
    """Every backend of every key, the chosen one first."""
    answers = environments.ask_all(ENVS, jobs_run_here)
    lines = []
    for key, chosen in configuration.backends(config).items():
        others = [name for name in BACKENDS[key] if name != chosen]
        for name in [chosen, *others]:
            lacks = _lacks(config, key, name, answers)
            marks = (OK, BAD) if name == chosen else (COULD, COULD_NOT)
            text = f"{name} (default)" if name == default(key) else name
            one = BACKENDS[key][name]
            said = [f"with {other.key}: {other.name}" for other in one.others] + lacks
            text = f"{text}: {one.what}" + "".join(f"; {words}" for words in said)
            lines.append(Line(marks[bool(lacks)], key if name == chosen else "", text))
    return lines


def _lacks(config: dict, key: str, name: str, answers: dict[str, str | None]) -> list[str]:
    """All that backend `name` of `key` lacks here."""
    backend, lacks = BACKENDS[key][name], []
    answer = answers[backend.environment]
    if answer is None:
        lacks.append(
            f"the environment {backend.environment} is not there: "
            f"`{environments.how_to_make(backend.environment)}`"
        )
        lacks += [f"it needs the package {one.module}, {one.source}" for one in backend.packages]
    elif reason := reason_in(answer, key, name):
        lacks.append(reason)
    for model in backend.models:
        if config["models"].get(model) is None:
            lacks.append(f"models.{model} is null")
        elif models.unavailable(config, model):
            lacks.append(f"models.{model} cannot be used, see below")
    folders = configuration.missing_folders(config)
    lacks += [words for words in folders if words.split(":")[0] in backend.keys]
    return lacks + [f"`{other}` is null" for other in backend.keys if config[other] is None]


def of_weights(config: dict) -> list[Line]:
    """Every known file of weights: given, fetched, to be fetched, missing or off."""
    needed = models.needs(config)
    lines = []
    for key, entry in catalogue().items():
        path = models.file(config, key)
        if path is None:
            text = f"null: off; for {_use(entry)}"
            if key in needed:
                text = f"null, but {needed[key]} needs it. {models.how_to_give(key)}"
            lines.append(Line(BAD if key in needed else COULD, key, text))
        elif problem := models.unavailable(config, key):
            lines.append(Line(BAD, key, problem))
        elif Path(path).is_file():
            lines.append(Line(OK, key, f"{path}: {_use(entry)}"))
        else:
            source = config["models"]["mirror"] or entry.url
            lines.append(Line(OK, key, f"will be fetched from {source}: {_use(entry)}"))
    try:
        models.check_files(config, ENVS / "torch" / "bin" / "python")
    except (configuration.ConfigProblem, ArtifactError) as problem:
        lines += [Line(BAD, "", text) for text in str(problem).splitlines()]
    return lines


def _use(entry) -> str:
    return f"{entry.purpose}; {entry.size}; {entry.licence}"


def of_environments(config: dict) -> list[Line]:
    """Environments and images, those that are used and those that could be."""
    used = environments.used(config)
    known = {one.environment for all_of_key in BACKENDS.values() for one in all_of_key.values()}
    lines = []
    for name in [*used, *sorted(known - set(used))]:
        here, image = (ENVS / name / "bin" / "python").is_file(), Path("containers", f"{name}.sif")
        how = f"not there: `{environments.how_to_make(name)}`"
        text = ("installed" if here else how) + (f"; {image}" if image.is_file() else "")
        marks = (OK, BAD) if name in used else (COULD, COULD_NOT)
        lines.append(Line(marks[not (here or image.is_file())], name, text))
    return lines


def of_machine(config: dict, jobs_run_here: bool) -> list[Line]:
    """GPU, memory and disk against what is needed, and programs."""
    wanted = jobs_run_here and any(configuration.backend(config, key).gpu for key in BACKENDS)
    found = gpus()
    cores = len(os.sched_getaffinity(0))
    memory, rule, needed = memory_mb(), *largest_job(config)
    folder = next(path for path in Path(config["results"]).absolute().parents if path.exists())
    free = shutil.disk_usage(folder).free / 1e6
    to_fetch = [catalogue()[key].mb or costs.UNKNOWN_MB for key in models.to_fetch(config)]
    each, fetched = disk_mb(config), sum(to_fetch)
    count = _people(config)
    whole = each * (count or 1) + fetched
    used = f"{count} people in {config['videos']}" if count else "one person"
    used += f", and {fetched:.0f} MB to fetch" if fetched else ""
    return [
        Line((OK if found else BAD) if wanted else SAID, "GPU", ", ".join(found) or "none"),
        Line(SAID, "processors", f"{cores} cores"),
        Line(
            OK if memory > needed else BAD,
            "memory",
            f"{memory / 1000:.1f} GB; the largest job, {rule}, takes about {needed / 1000:.1f} GB",
        ),
        Line(
            OK if free > whole else BAD,
            "disk",
            f"{free / 1000:.1f} GB free in {folder}; results of {used} take about"
            f" {whole / 1000:.1f} GB ({each:.0f} MB for a minute of video)",
        ),
        of_ffmpeg(),
        Line(SAID, "Apptainer", _version("apptainer") or "none (docs/cluster.md)"),
        Line(SAID, "SLURM", _version("sbatch") or "none (docs/cluster.md)"),
    ]


def gpus() -> list[str]:
    """NVIDIA GPUs of this machine: names and memory."""
    options = ["--query-gpu=name,memory.total", "--format=csv,noheader"]
    return _answer(["nvidia-smi", *options]).splitlines()


def memory_mb() -> float:
    """Memory of this machine, or what a control group leaves of it, MB."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="utf-8").strip()
    except OSError:
        limit = "max"
    return (min(whole, int(limit)) if limit.isdigit() else whole) / 1e6


def of_a_person(config: dict) -> list[str]:
    """Rules whose files stay for every avatar or clip, with the chosen backends."""
    chosen = configuration.backends(config)
    further = [OF_BACKENDS.get((key, name), ()) for key, name in chosen.items()]
    return [*OF_A_PERSON, *(rule for rules in further for rule in rules)]


def largest_job(config: dict) -> tuple[str, float]:
    """The rule whose job takes most memory, of clips of a minute, and how much, MB."""
    rules = set(of_a_person(config))
    rules |= {"pretrain_fields"} if base.folder(config) is None else set()
    works = _works(config, rules)
    rule = max(works, key=lambda name: works[name].mb)
    return rule, works[rule].mb


def disk_mb(config: dict) -> float:
    """What the files of one person, with a clip of a minute, take of the disk, MB."""
    avatars = len(configuration.variants(config)) * len(config["secs"])
    works = _works(config, of_a_person(config))
    repeated = ("adapt", "finetune_c2f", "render", "compare")
    return sum(w.disk_mb * (avatars if rule in repeated else 1) for rule, w in works.items())


def _works(config: dict, rules: Iterable[str]) -> dict[str, costs.Work]:
    """Expected work of a job of each of `rules`, for a person whose clip is a minute long."""
    teachers = list(config["presets"][config["preset"]]["pretrain_people"])
    chosen, secs = costs.Costs(config, teachers, teachers), config["secs"]
    wildcards = {"id": "?", "avatar": base.VARIANT, "secs": str(max(secs))}
    spans = {rule: {"span": f"{max(secs)}s"} if rule == "fit_static" else {} for rule in rules}
    return {rule: chosen.work(rule, wildcards | span) for rule, span in spans.items()}


def _people(config: dict) -> int | None:
    """How many people avatars are made of; None if that cannot be told."""
    try:
        return len(people.gather(config).targets)
    except (people.NameProblem, configuration.ConfigProblem):
        return None


def of_ffmpeg() -> Line:
    """The program that reads and writes videos, which comes with the environment media."""
    python = ENVS / "media" / "bin" / "python"
    program = "import imageio_ffmpeg as f; print(f.get_ffmpeg_version(), f.get_ffmpeg_exe())"
    answer = _answer([str(python), "-c", program]).strip()
    return Line(OK if answer else BAD, "ffmpeg", answer or "none: `make setup` brings one")


def _version(program: str) -> str:
    """What a program calls itself; empty where there is none."""
    return _answer([program, "--version"]).strip()


def _answer(command: list[str]) -> str:
    """What a program prints; empty where it is not there or fails."""
    if not shutil.which(command[0]):
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout if done.returncode == 0 else ""

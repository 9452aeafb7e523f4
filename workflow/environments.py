"""Environments of the chosen backends: is what they need there, before any job starts?"""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from d3talker.backends import BACKENDS
from workflow.configuration import ConfigProblem, backend, backends

ROOT = Path(__file__).resolve().parents[1]
BASIC = ("workflow", "media", "torch")  # that `make setup` makes


def demanding(config: dict) -> dict[str, dict[str, str]]:
    """The chosen backends that need packages or a GPU, by environment and key."""
    found: dict[str, dict[str, str]] = {}
    for key, name in backends(config).items():
        if (chosen := BACKENDS[key][name]).packages or chosen.gpu:
            found.setdefault(chosen.environment, {})[key] = name
    return found


def how_to_make(environment: str) -> str:
    """The command that makes an environment."""
    return "make setup" if environment in BASIC else f"make {environment}"


def check_backends(config: dict, envs: Path, jobs_run_here: bool) -> None:
    """Raise ConfigProblem if a chosen backend lacks something in its environment, `envs/<name>`.

    Without `jobs_run_here` only packages are looked for, since the GPU is in another machine.
    """
    problems = []
    for environment, chosen in demanding(config).items():
        python = envs / environment / "bin" / "python"
        if not python.is_file():
            names = ", ".join(f"{key}: {name}" for key, name in chosen.items())
            problems.append(
                f"backends ({names}): the environment {environment} is not there ({python}); make"
                f" it with `{how_to_make(environment)}` (see envs/{environment}.txt)"
                + (", or use the image of containers/gpu.def" if environment == "gpu" else "")
            )
            continue
        if answer := _ask(python, chosen.items(), jobs_run_here):
            problems.append(answer)
    if problems:
        raise ConfigProblem("\n".join(problems))


def _ask(python: Path, chosen: Iterable[tuple[str, str]], gpu_here: bool) -> str:
    """What the environment of `python` says of backends that cannot run; empty if all can."""
    command = [str(python), "-m", "d3talker.backends"]
    command += [] if gpu_here else ["--gpu-elsewhere"]
    command += [f"{key}={name}" for key, name in chosen]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return (answer.stdout.strip() or answer.stderr.strip()) if answer.returncode else ""


def ask_all(envs: Path, jobs_run_here: bool) -> dict[str, str | None]:
    """What every environment that a backend may need says of those that cannot run in it; None of
    an environment that is not there."""
    of: dict[str, list[tuple[str, str]]] = {}
    for key, known in BACKENDS.items():
        for name, one in known.items():
            of.setdefault(one.environment, []).append((key, name))
    pythons = {name: envs / name / "bin" / "python" for name in of}
    return {
        name: _ask(pythons[name], of[name], jobs_run_here) if pythons[name].is_file() else None
        for name in of
    }


def used(config: dict) -> list[str]:
    """The environments that a run of `config` uses."""
    chosen = (backend(config, key).environment for key in BACKENDS)
    return list(dict.fromkeys([*BASIC, *chosen]))


def check_images(config: dict, project: str) -> None:
    """Raise ConfigProblem naming the images of `containers/` that are not there."""
    files = [Path(project, "containers", f"{name}.sif") for name in used(config)]
    if missing := [str(path) for path in files if not path.is_file()]:
        raise ConfigProblem(
            f"there is no {', '.join(missing)}; make images with `make containers`"
            " (docs/cluster.md)"
        )


def check_conda(config: dict) -> None:
    """Raise ConfigProblem if a backend needs the environment gpu, which conda cannot make."""
    if "gpu" in demanding(config):
        raise ConfigProblem(
            "backends: the environment gpu is compiled, so conda has none; use --sdm apptainer with"
            " containers/gpu.def, or `make gpu` without --sdm"
        )

"""Environments of the chosen backends: is what they need there, before any job starts?"""

import subprocess
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
        command = [str(python), "-m", "d3talker.backends"]
        command += [] if jobs_run_here else ["--gpu-elsewhere"]
        command += [f"{key}={name}" for key, name in chosen.items()]
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if answer.returncode:
            problems.append(answer.stdout.strip() or answer.stderr.strip())
    if problems:
        raise ConfigProblem("\n".join(problems))


def check_images(config: dict, project: str) -> None:
    """Raise ConfigProblem naming the images of `containers/` that are not there."""
    names = {*BASIC, *(backend(config, key).environment for key in BACKENDS)}
    files = [Path(project, "containers", f"{name}.sif") for name in sorted(names)]
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

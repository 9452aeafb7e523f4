"""The names of the interchangeable backends, and why one of them cannot run here.

Nothing heavy is imported, so that an environment can be asked before any job starts:
`python -m d3talker.backends rasterizer=gsplat encoding=tinycudann`.
"""

import argparse
import importlib.util
import sys
from collections.abc import Mapping
from typing import NamedTuple

from d3talker.cli import InputError


class Package(NamedTuple):
    """A package that a backend needs."""

    module: str  # as it is imported
    source: str  # where it comes from, and its licence


# The backends of each key of `backends` in the configuration; None needs nothing but torch.
BACKENDS: dict[str, dict[str, Package | None]] = {
    "rasterizer": {
        "cpu": None,
        "reference": None,
        "gsplat": Package("gsplat", "gsplat 1.5.3 of PyPI (Apache-2.0)"),
        "diff_gaussian_rasterization": Package(
            "diff_gauss",
            "github.com/slothfulxtx/diff-gaussian-rasterization (for research and evaluation only)",
        ),
    },
    "encoding": {
        "cpu": None,
        "torch": None,
        "tinycudann": Package("tinycudann", "github.com/NVlabs/tiny-cuda-nn (BSD-3-Clause)"),
    },
}
DEFAULT = "cpu"


def device(chosen: Mapping[str, str]) -> str:
    """The torch device for a choice of one backend per key: cuda if any of them needs a GPU."""
    return "cuda" if any(BACKENDS[key][name] for key, name in chosen.items()) else "cpu"


def missing(key: str, name: str, gpu_here: bool = True) -> str | None:
    """What backend `name` of `key` lacks in this environment and how to get it; None if nothing.

    Without `gpu_here` only the package is looked for: the jobs run on another machine. Raises
    InputError for a name that is no backend.
    """
    if name not in BACKENDS[key]:
        raise InputError(
            f"backends.{key}: there is no backend '{name}'; known: {', '.join(BACKENDS[key])}"
        )
    package = BACKENDS[key][name]
    if package is None:
        return None
    if importlib.util.find_spec(package.module) is None:
        return (
            f"the package {package.module} is not installed; it is {package.source}, pinned in"
            " envs/gpu.txt and built into the image of containers/gpu.def"
        )
    if not gpu_here:
        return None
    import torch

    if torch.version.cuda is None:
        return "this torch was built without CUDA; envs/gpu.txt pins one that has it"
    if not torch.cuda.is_available():
        return "it needs an NVIDIA GPU, and torch sees none here"
    return None


def explain(key: str, name: str, gpu_here: bool = True) -> str | None:
    """One line for people if backend `name` of `key` cannot run, else None."""
    reason = missing(key, name, gpu_here)
    return None if reason is None else f"backends.{key}: '{name}' cannot run: {reason}"


def require(key: str, name: str) -> None:
    """Raise InputError if backend `name` of `key` cannot run here."""
    problem = explain(key, name)
    if problem is not None:
        raise InputError(f"{problem}. The default, '{DEFAULT}', runs everywhere")


def main() -> None:
    parser = argparse.ArgumentParser(description="Say which of some backends cannot run here.")
    parser.add_argument("choices", nargs="+", metavar="KEY=NAME")
    parser.add_argument("--gpu-elsewhere", action="store_true", help="look for packages only")
    args = parser.parse_args()
    choices = [choice.split("=", 1) for choice in args.choices]
    problems = [explain(key, name, not args.gpu_elsewhere) for key, name in choices]
    for problem in filter(None, problems):
        print(problem)
    sys.exit(2 if any(problems) else 0)


if __name__ == "__main__":
    main()

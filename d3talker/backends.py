"""The interchangeable backends: what each is and needs, and why one of them cannot run here.

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


class Other(NamedTuple):
    """A backend of another key that a backend cannot do without."""

    key: str
    name: str
    reason: str


class Backend(NamedTuple):
    """One implementation of a part, and what it needs beside its environment's pins."""

    what: str  # what it is, in a few words
    environment: str = "torch"  # whose Python runs the stages that use it: a list of envs/
    packages: tuple[Package, ...] = ()  # that this environment may lack
    models: tuple[str, ...] = ()  # files of weights, all of them: keys of config/models.yaml
    keys: tuple[str, ...] = ()  # keys of the configuration that must name something
    others: tuple[Other, ...] = ()  # backends that have to be chosen with it
    gpu: bool = False  # whether it needs an NVIDIA GPU


TRANSFORMERS = Package("transformers", "transformers of PyPI (Apache-2.0)")
PARSELMOUTH = Package("parselmouth", "praat-parselmouth of PyPI (GPL-3.0-or-later)")

# The backends of each key of `backends` in the configuration; the first is the default.
BACKENDS: dict[str, dict[str, Backend]] = {
    "rasterizer": {
        "cpu": Backend("compiled for the CPU"),
        "reference": Backend("plain torch, slow"),
        "gsplat": Backend(
            "gsplat on the GPU",
            environment="gpu",
            packages=(Package("gsplat", "gsplat 1.5.3 of PyPI (Apache-2.0)"),),
            gpu=True,
        ),
        "diff_gaussian_rasterization": Backend(
            "that of InsTaG and TalkingGaussian, on the GPU",
            environment="gpu",
            packages=(
                Package(
                    "diff_gauss",
                    "github.com/slothfulxtx/diff-gaussian-rasterization"
                    " (for research and evaluation only)",
                ),
            ),
            gpu=True,
        ),
    },
    "encoding": {
        "cpu": Backend("compiled for the CPU"),
        "torch": Backend("plain torch, on any device"),
        "tinycudann": Backend(
            "tiny-cuda-nn on the GPU",
            environment="gpu",
            packages=(Package("tinycudann", "github.com/NVlabs/tiny-cuda-nn (BSD-3-Clause)"),),
            gpu=True,
        ),
    },
    "parsing": {
        "mediapipe": Backend("MediaPipe, skin colour and landmarks", environment="media"),
        "bisenet": Backend("BiSeNet of face-parsing.PyTorch", models=("bisenet",)),
    },
    "teeth": {
        "brightness": Backend("what is bright in the mouth", environment="media"),
        "easyportrait": Backend(
            "EasyPortrait's FPN",
            models=("easyportrait",),
            others=(Other("parsing", "bisenet", "it adds teeth to the labels of that network"),),
        ),
    },
    "aus": {
        "landmarks": Backend("measured on the face mesh"),
        "openface": Backend("OpenFace 2, which the user runs", keys=("openface",)),
    },
    "landmarks": {
        "facemesh": Backend("MediaPipe's face mesh, 478 points", environment="media"),
        "fan": Backend(
            "FAN of face-alignment, 68 points",
            models=("fan", "s3fd"),
            others=(
                Other(
                    "face_model",
                    "bfm",
                    "the embedded face model has the 478 points of the face mesh, not FAN's 68",
                ),
            ),
        ),
    },
    "face_model": {
        "landmarks": Backend("the embedded face model"),
        "bfm": Backend(
            "the Basel Face Model 2009, by AD-NeRF's tracker",
            models=("bfm",),
            others=(Other("landmarks", "fan", "its landmarks are FAN's 68"),),
        ),
    },
    "speech": {
        "logmel": Backend("29 log-mel bands"),
        "deepspeech": Backend("Mozilla DeepSpeech 0.1.0", models=("deepspeech",)),
        "deepspeech_pytorch": Backend(
            "DeepSpeech 2 of deepspeech.pytorch", models=("deepspeech_pytorch",)
        ),
        "hubert": Backend(
            "HuBERT-large", environment="speech", packages=(TRANSFORMERS,), models=("hubert",)
        ),
        "wav2vec": Backend(
            "wav2vec 2.0 XLSR Esperanto",
            environment="speech",
            packages=(TRANSFORMERS,),
            models=("wav2vec",),
        ),
    },
    "audio_to_motion": {
        "motionnet": Backend("the embedded network"),
        "real3dportrait": Backend(
            "that of Real3D-Portrait",
            environment="speech",
            packages=(TRANSFORMERS, PARSELMOUTH),
            models=("hubert", "audio2secc_vae", "bfm_front"),
        ),
    },
    "geometry": {
        "folder": Backend("what the key `geometry` names, if it does"),
        "sapiens": Backend("Sapiens 0.3b", models=("sapiens_depth", "sapiens_normal")),
    },
}
# Of the stages that train and render, which run in one environment and on one device.
TRAINING = ("rasterizer", "encoding")


def default(key: str) -> str:
    """The backend of `key` where none is chosen; it runs everywhere."""
    return next(iter(BACKENDS[key]))


def device(chosen: Mapping[str, str]) -> str:
    """The torch device for a choice of one backend per key: cuda if any of them needs a GPU."""
    return "cuda" if any(BACKENDS[key][name].gpu for key, name in chosen.items()) else "cpu"


def missing(key: str, name: str, gpu_here: bool = True) -> str | None:
    """What backend `name` of `key` lacks in this environment and how to get it; None if nothing.

    Without `gpu_here` only packages are looked for: the jobs run on another machine. Raises
    InputError for a name that is no backend.
    """
    if name not in BACKENDS[key]:
        raise InputError(
            f"backends.{key}: there is no backend '{name}'; known: {', '.join(BACKENDS[key])}"
        )
    backend = BACKENDS[key][name]
    for package in backend.packages:
        if importlib.util.find_spec(package.module) is None:
            return (
                f"the package {package.module} is not installed; it is {package.source}, pinned in"
                f" envs/{backend.environment}.txt"
            ) + (" and built into the image of containers/gpu.def" if backend.gpu else "")
    return no_gpu() if backend.gpu and gpu_here else None


def no_gpu() -> str | None:
    """Why torch has no GPU here; None if it has one."""
    import torch

    if torch.version.cuda is None:
        return "this torch was built without CUDA; envs/gpu.txt pins one that has it"
    if not torch.cuda.is_available():
        return "it needs an NVIDIA GPU, and torch sees none here"
    return None


def explain(key: str, name: str, gpu_here: bool = True) -> str | None:
    """One line for people if backend `name` of `key` cannot run, else None."""
    reason = missing(key, name, gpu_here)
    return None if reason is None else f"{_cannot(key, name)}{reason}"


def _cannot(key: str, name: str) -> str:
    return f"backends.{key}: '{name}' cannot run: "


def reason_in(answer: str, key: str, name: str) -> str | None:
    """Why backend `name` of `key` cannot run, in what `main` printed; None if it can."""
    beginning, lines = _cannot(key, name), answer.splitlines()
    if lines and not any(line.startswith("backends.") for line in lines):
        return lines[-1]  # it could not even be asked
    told = [line.removeprefix(beginning) for line in lines if line.startswith(beginning)]
    return told[0] if told else None


def require(key: str, name: str) -> None:
    """Raise InputError if backend `name` of `key` cannot run here."""
    problem = explain(key, name)
    if problem is not None:
        raise InputError(f"{problem}. The default, '{default(key)}', runs everywhere")


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

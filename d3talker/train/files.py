"""The arguments by which training and rendering stages are told where one person's files are."""

import argparse

import torch

from d3talker import artifacts
from d3talker.avatar import Drive
from d3talker.backends import BACKENDS, TRAINING, default
from d3talker.cli import InputError
from d3talker.metrics.alexnet import AlexNet, load_alexnet
from d3talker.metrics.weights import catalogue
from d3talker.split import train_range
from d3talker.train.scene import SceneFiles

SCENE = {
    "video": "prepared video.mp4",
    "labels": "parsing.zip",
    "background": "background.png",
    "torso": "torso.zip",
    "track": "track.npz",
    "ingest": "ingest.json",
}
DRIVE = {"motion": "facial motion (.npz)", "speech": "speech features (.npz)"}


def add_scene_arguments(parser: argparse.ArgumentParser, many: bool = False) -> None:
    """Add the options of SCENE; with `many` each takes one file per person, in the same order."""
    _add(parser, SCENE, many)


def add_drive_arguments(parser: argparse.ArgumentParser, many: bool = False) -> None:
    """Add the options of DRIVE."""
    _add(parser, DRIVE, many)


def add_backend_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --rasterizer and --encoding, a name of d3talker/backends.py each; `cpu` by default."""
    for key in TRAINING:
        known = list(BACKENDS[key])
        parser.add_argument(
            f"--{key}", default=default(key), choices=known, help=f"{key} backend (%(default)s)"
        )


def add_architecture_argument(parser: argparse.ArgumentParser) -> None:
    """Add --architecture, which d3talker/fields/architecture.py reads."""
    parser.add_argument("--architecture", help="JSON of what differs from d3talker's Architecture")


def add_alexnet_argument(parser: argparse.ArgumentParser) -> None:
    """Add --alexnet, the weights that a loss on AlexNet's features needs."""
    name = catalogue()["alexnet"].file
    parser.add_argument("--alexnet", help=f"{name}, or a .safetensors of the same names")


def alexnet_for(args: argparse.Namespace, *weights: float) -> AlexNet | None:
    """The network that losses of `weights` need; None if all are zero.

    Raises InputError if one is not and the file was not given.
    """
    if not any(weights):
        return None
    if args.alexnet is None:
        source = catalogue()["alexnet"].source
        raise InputError(f"a perceptual weight above 0 needs --alexnet: {source}")
    return load_alexnet(args.alexnet)


def _add(parser: argparse.ArgumentParser, options: dict[str, str], many: bool) -> None:
    for name, text in options.items():
        parser.add_argument(f"--{name}", required=True, help=text, nargs="+" if many else None)


def each_person(args: argparse.Namespace, extra: tuple[str, ...]) -> list[argparse.Namespace]:
    """Split options given for many people into one namespace per person."""
    names = (*SCENE, *DRIVE, *extra)
    lists = {name: getattr(args, name) for name in names}
    if len({len(values) for values in lists.values()}) != 1:
        counts = ", ".join(f"--{name} {len(values)}" for name, values in lists.items())
        raise InputError(f"every option needs one file per person, got {counts}")
    return [
        argparse.Namespace(**dict(zip(names, values, strict=True)))
        for values in zip(*lists.values(), strict=True)
    ]


def scene_files(args: argparse.Namespace) -> SceneFiles:
    """Paths of the scene's artifacts; `args.poses`, where there is one, replaces the poses."""
    return SceneFiles(
        args.video,
        args.labels,
        args.background,
        args.torso,
        args.track,
        getattr(args, "poses", None),
    )


def person_range(args: argparse.Namespace) -> tuple[int, int]:
    """Training frames [start, stop) for `args.secs` ('all' or a number of seconds)."""
    ingest = artifacts.load_json(args.ingest)
    if args.secs != "all" and not args.secs.isdigit():
        raise InputError(f"--secs must be a whole number of seconds or 'all', not '{args.secs}'")
    return train_range(ingest, None if args.secs == "all" else int(args.secs))


def load_drive(args: argparse.Namespace) -> Drive:
    """Control signals of the person's own clip, with the tracker's action units."""
    motion, _ = artifacts.load_arrays(args.motion)
    speech, _ = artifacts.load_arrays(args.speech)
    au = torch.from_numpy(artifacts.load_arrays(args.track)[0]["au"])
    return Drive.from_artifacts(motion, speech, au)

#!/usr/bin/env python3
"""Pre-train on several people: the General field (running mean) and, where asked, the base refiner.

Every option that names a file takes one file per person, in the same order. The static heads of
the people are trained further with one Individual field each; only what is shared is kept.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from d3talker import artifacts, cli, settings
from d3talker.fields import architecture
from d3talker.fields.architecture import Architecture
from d3talker.fields.deformation import GeneralField, general_field, individual_part
from d3talker.refine.styleunet import WIDTHS, StyleUNet
from d3talker.train.checkpoint import avatar_from_tensors, save_curves
from d3talker.train.files import (
    add_alexnet_argument,
    add_architecture_argument,
    add_backend_arguments,
    add_drive_arguments,
    add_scene_arguments,
    alexnet_for,
    each_person,
    load_drive,
    scene_files,
)
from d3talker.train.loop import train
from d3talker.train.person import Person
from d3talker.train.phases import Phase
from d3talker.train.pose import corrected
from d3talker.train.refiner import train_refiner
from d3talker.train.run import Run, fingerprint
from d3talker.train.scene import load_scene
from d3talker.train.settings import PretrainSettings, RefinerSettings


def load_person(
    args: argparse.Namespace,
    general: GeneralField,
    chosen: Architecture,
    rasterizer: str,
    encoding: str,
) -> Person:
    """A person with the poses of their static fit, on all frames of it."""
    tensors, meta = artifacts.load_tensors(args.static)
    corrections = tensors.pop("pose_corrections").numpy()
    avatar = avatar_from_tensors(tensors)
    avatar.general, avatar.individual = general, individual_part(chosen)
    avatar.use_backends(rasterizer, encoding)
    scene = load_scene(scene_files(args), 0, max(meta["frames"]) + 1)
    scene.rotations, scene.translations = corrected(
        scene.rotations, scene.translations, corrections
    )
    return Person(scene, avatar, load_drive(args).to(avatar.device))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_scene_arguments(parser, many=True)
    add_drive_arguments(parser, many=True)
    add_backend_arguments(parser)
    add_architecture_argument(parser)
    add_alexnet_argument(parser)
    parser.add_argument("--static", required=True, nargs="+", help="static heads of fit_static")
    parser.add_argument("--out-general", required=True, help="General field (.safetensors)")
    parser.add_argument("--out-c2f", help="base refiner (.safetensors); none is trained without it")
    parser.add_argument("--out-curves", required=True, help="training curves (.csv)")
    parser.add_argument("--settings", help="JSON overrides of PretrainSettings")
    parser.add_argument("--refiner", choices=WIDTHS, default="light", help="width of the refiner")
    parser.add_argument("--refiner-settings", help="JSON overrides of RefinerSettings")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    options = settings.parse(PretrainSettings, args.settings)
    refiner_options = settings.parse(RefinerSettings, args.refiner_settings)
    alexnet = alexnet_for(args, refiner_options.perceptual)

    heard = artifacts.load_arrays(args.speech[0])[0]["features"].shape[2]
    chosen = architecture.parse(args.architecture).of_pretraining()
    chosen = dataclasses.replace(chosen, speech_channels=heard)
    torch.manual_seed(args.seed)
    general = general_field(chosen)
    people = [
        load_person(person, general, chosen, args.rasterizer, args.encoding)
        for person in each_person(args, ("static",))
    ]
    run = Run(args.out_general, fingerprint(args))
    phase = Phase("pretrain", options.iterations)
    train(people, general, options, phase, args.seed, run)
    refiner = None
    if args.out_c2f:
        refiner = StyleUNet(WIDTHS[args.refiner]).to(people[0].avatar.device)
        train_refiner(refiner, people, refiner_options, "pretrain_c2f", args.seed, run, alexnet)
    meta = {
        "people": [artifacts.load_json(path)["identity"] for path in args.ingest],
        "seed": args.seed,
        "train_seconds_by_stage": run.seconds,
    }
    general_meta = {"settings": dataclasses.asdict(options)} | architecture.to_meta(chosen)
    refiner_meta = {"refiner": args.refiner, "settings": dataclasses.asdict(refiner_options)}
    save_curves(args.out_curves, run.rows)
    artifacts.save_tensors(args.out_general, general.state_dict(), meta | general_meta)
    if refiner is not None:
        artifacts.save_tensors(args.out_c2f, refiner.state_dict(), meta | refiner_meta)
    run.finish()


if __name__ == "__main__":
    cli.run(main)

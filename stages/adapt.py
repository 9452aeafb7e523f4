#!/usr/bin/env python3
"""Adapt to the target: General field, what the target has of its own from scratch, Gaussians.

The General field is pre-trained, or starts from scratch as well.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from d3talker import artifacts, cli, settings
from d3talker.fields import architecture
from d3talker.fields.deformation import general_field, individual_part
from d3talker.train.checkpoint import (
    avatar_from_tensors,
    avatar_tensors,
    load_general,
    save_curves,
)
from d3talker.train.files import (
    add_alexnet_argument,
    add_architecture_argument,
    add_backend_arguments,
    add_drive_arguments,
    add_scene_arguments,
    alexnet_for,
    load_drive,
    person_range,
    scene_files,
)
from d3talker.train.geometry import load_geometry
from d3talker.train.loop import train
from d3talker.train.person import Person
from d3talker.train.phases import adapt_phases
from d3talker.train.pose import PoseCorrection
from d3talker.train.run import Run, fingerprint
from d3talker.train.scene import load_scene
from d3talker.train.settings import AdaptSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_scene_arguments(parser)
    add_drive_arguments(parser)
    add_backend_arguments(parser)
    add_architecture_argument(parser)
    add_alexnet_argument(parser)
    parser.add_argument(
        "--geometry", help="depth and normals of the frames (.npz), if there are any"
    )
    parser.add_argument("--static", required=True, help="static head of fit_static")
    parser.add_argument("--poses", required=True, help="refined poses")
    parser.add_argument("--general", help="pre-trained General field; without it from scratch")
    parser.add_argument("--secs", required=True, help="training seconds, or 'all'")
    parser.add_argument("--out", required=True, help="avatar (.safetensors)")
    parser.add_argument("--out-curves", required=True, help="training curves (.csv)")
    parser.add_argument("--settings", help="JSON overrides of AdaptSettings")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    options = settings.parse(AdaptSettings, args.settings)

    tensors, static_meta = artifacts.load_tensors(args.static)
    del tensors["pose_corrections"]  # refined poses hold them
    avatar = avatar_from_tensors(tensors)
    drive = load_drive(args)
    chosen = dataclasses.replace(
        architecture.parse(args.architecture), speech_channels=drive.speech_channels
    )
    torch.manual_seed(args.seed)
    avatar.individual = individual_part(chosen)
    if args.general:
        avatar.general = load_general(args.general, chosen)
    else:
        avatar.general = general_field(chosen)
    avatar.use_backends(args.rasterizer, args.encoding)
    scene = load_scene(scene_files(args), *person_range(args))
    poses = PoseCorrection(
        len(scene), options.pose_rotation_lr, options.pose_translation_lr, avatar.device
    )
    person = Person(scene, avatar, drive.to(avatar.device), poses)
    if args.geometry:
        person.geometry = load_geometry(args.geometry, scene)
    if alexnet := alexnet_for(args, options.perceptual, options.fuse_perceptual):
        person.alexnet = alexnet.to(avatar.device)
    run = Run(args.out, fingerprint(args))
    for phase in adapt_phases(options):
        train([person], avatar.general, options, phase, args.seed, run)

    meta = {
        "settings": dataclasses.asdict(options),
        "frames": len(scene),
        "train_seconds_by_stage": static_meta["train_seconds_by_stage"] | run.seconds,
    } | architecture.to_meta(chosen)
    save_curves(args.out_curves, run.rows)
    artifacts.save_tensors(
        args.out, avatar_tensors(avatar) | {"pose_corrections": poses.values}, meta
    )
    run.finish()


if __name__ == "__main__":
    cli.run(main)

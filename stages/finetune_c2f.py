#!/usr/bin/env python3
"""Fine-tune the base refiner on the target's training frames as the avatar renders them."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from d3talker import artifacts, cli, settings
from d3talker.fields import architecture
from d3talker.train.checkpoint import avatar_from_tensors, load_refiner, save_curves
from d3talker.train.files import (
    add_alexnet_argument,
    add_backend_arguments,
    add_drive_arguments,
    add_scene_arguments,
    alexnet_for,
    load_drive,
    person_range,
    scene_files,
)
from d3talker.train.person import Person
from d3talker.train.pose import corrected
from d3talker.train.refiner import train_refiner
from d3talker.train.run import Run, fingerprint
from d3talker.train.scene import load_scene
from d3talker.train.settings import RefinerSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_scene_arguments(parser)
    add_drive_arguments(parser)
    add_backend_arguments(parser)
    add_alexnet_argument(parser)
    parser.add_argument("--poses", required=True, help="refined poses")
    parser.add_argument("--avatar", required=True, help="adapted avatar")
    parser.add_argument("--c2f", required=True, help="base refiner")
    parser.add_argument("--secs", required=True, help="training seconds, or 'all'")
    parser.add_argument("--out", required=True, help="the target's refiner (.safetensors)")
    parser.add_argument("--out-curves", required=True, help="training curves (.csv)")
    parser.add_argument("--settings", help="JSON overrides of RefinerSettings")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    options = settings.parse(RefinerSettings, args.settings)
    alexnet = alexnet_for(args, options.perceptual)

    tensors, avatar_meta = artifacts.load_tensors(args.avatar)
    corrections = tensors.pop("pose_corrections").numpy()
    scene = load_scene(scene_files(args), *person_range(args))
    scene.rotations, scene.translations = corrected(
        scene.rotations, scene.translations, corrections
    )
    avatar = avatar_from_tensors(tensors, architecture.from_meta(avatar_meta))
    avatar.use_backends(args.rasterizer, args.encoding)
    person = Person(scene, avatar, load_drive(args).to(avatar.device))
    refiner, base_meta = load_refiner(args.c2f)
    refiner.to(avatar.device)
    run = Run(args.out, fingerprint(args))
    train_refiner(refiner, [person], options, "finetune_c2f", args.seed, run, alexnet)
    meta = {
        "refiner": base_meta["refiner"],
        "train_seconds_by_stage": avatar_meta["train_seconds_by_stage"] | run.seconds,
    }
    save_curves(args.out_curves, run.rows)
    artifacts.save_tensors(args.out, refiner.state_dict(), meta)
    run.finish()


if __name__ == "__main__":
    cli.run(main)

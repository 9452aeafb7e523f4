#!/usr/bin/env python3
"""Fit one person's static head: face and mouth Gaussians in the rest pose, and head poses."""

import argparse
import dataclasses
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from d3talker import artifacts, cli, settings
from d3talker.face.model import FaceModel
from d3talker.train.checkpoint import avatar_tensors, save_curves
from d3talker.train.files import (
    add_backend_arguments,
    add_scene_arguments,
    person_range,
    scene_files,
)
from d3talker.train.initial import initial_avatar, mobility
from d3talker.train.loop import train
from d3talker.train.person import Person
from d3talker.train.phases import Phase
from d3talker.train.pose import PoseCorrection
from d3talker.train.run import Run, fingerprint
from d3talker.train.scene import load_scene
from d3talker.train.settings import StaticSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_scene_arguments(parser)
    add_backend_arguments(parser)
    parser.add_argument("--face-model", required=True, help="face_model.npz")
    parser.add_argument("--secs", required=True, help="training seconds, or 'all'")
    parser.add_argument("--out", required=True, help="static head (.safetensors)")
    parser.add_argument("--out-curves", required=True, help="training curves (.csv)")
    parser.add_argument("--settings", help="JSON overrides of StaticSettings")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    options = settings.parse(StaticSettings, args.settings)
    if args.secs == "all":
        options = dataclasses.replace(options, iterations=options.teacher_iterations)

    scene = load_scene(scene_files(args), *person_range(args))
    track, _ = artifacts.load_arrays(args.track)
    model = FaceModel.load(args.face_model)
    start = time.monotonic()
    avatar = initial_avatar(
        scene, track["shape"], model, options.initial_face, options.initial_mouth, args.seed
    )
    avatar.use_backends(args.rasterizer, args.encoding)
    poses = PoseCorrection(
        len(scene), options.pose_rotation_lr, options.pose_translation_lr, avatar.device
    )
    initial_seconds = time.monotonic() - start
    run = Run(args.out, fingerprint(args))
    phase = Phase("fit_static", options.iterations)
    train([Person(scene, avatar, poses=poses)], None, options, phase, args.seed, run)
    avatar.face.mobility = mobility(avatar.face.means, track["shape"])

    tensors = avatar_tensors(avatar) | {"pose_corrections": poses.values}
    meta = {
        "frames": scene.indices.tolist(),
        "train_seconds_by_stage": {"fit_static": initial_seconds + run.seconds["fit_static"]},
        "psnr": run.rows[-1].psnr,
    }
    save_curves(args.out_curves, run.rows)
    artifacts.save_tensors(args.out, tensors, meta)
    run.finish()


if __name__ == "__main__":
    cli.run(main)

#!/usr/bin/env python3
"""Refine head poses photometrically: those of the training frames from fit_static, those of the
test frames with the static Gaussians frozen. Other frames keep the tracker's pose."""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from d3talker import artifacts, cli, settings
from d3talker.split import test_part
from d3talker.train.checkpoint import avatar_from_tensors
from d3talker.train.files import add_backend_arguments, add_scene_arguments, scene_files
from d3talker.train.frozen_pose import refine_poses
from d3talker.train.pose import corrected
from d3talker.train.scene import load_scene
from d3talker.train.settings import PoseSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_scene_arguments(parser)
    add_backend_arguments(parser)
    parser.add_argument("--static", required=True, help="static head of fit_static")
    parser.add_argument("--out", required=True, help="refined poses (.npz)")
    parser.add_argument("--settings", help="JSON overrides of PoseSettings")
    args = parser.parse_args()
    options = settings.parse(PoseSettings, args.settings)

    tensors, meta = artifacts.load_tensors(args.static)
    trained = tensors.pop("pose_corrections").numpy()
    avatar = avatar_from_tensors(tensors)
    avatar.use_backends(args.rasterizer, args.encoding)
    track, _ = artifacts.load_arrays(args.track)
    ingest = artifacts.load_json(args.ingest)
    scene = load_scene(scene_files(args), *test_part(ingest))

    corrections = np.zeros((len(track["R"]), 6), np.float32)
    corrections[:] = trained.mean(axis=0)
    corrections[meta["frames"]] = trained
    corrections[scene.indices] = refine_poses(
        avatar, scene, track["shape"], trained.mean(axis=0), options, ingest["jump_cuts"]
    )
    rotations, translations = corrected(track["R"], track["t"], corrections)
    artifacts.save_arrays(
        args.out,
        {"trained": meta["frames"], "frozen_gaussians": scene.indices.tolist()},
        R=rotations,
        t=translations,
    )


if __name__ == "__main__":
    cli.run(main)

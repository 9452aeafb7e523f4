"""Write an avatar as a .ply file of 3D Gaussian Splatting: at rest, or frame by frame in motion.

Face and mouth are in one file, the mouth first, as they are drawn. Without --motion the head is at
rest; with it, there is a file for each frame, 000000.ply and so on, in the folder --out-frames. The
refiner and what stands behind the head are not part of it (docs/export.md).
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from torch import Tensor

from d3talker import artifacts, cli
from d3talker.avatar import Avatar, Drive
from d3talker.export.ply import save_ply
from d3talker.fields import architecture
from d3talker.train.checkpoint import avatar_from_tensors


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--avatar", required=True, help="avatar.safetensors")
    parser.add_argument("--out", help="the head at rest (.ply)")
    parser.add_argument("--motion", help="facial motion (.npz)")
    parser.add_argument("--speech", help="speech features of the same sound (.npz)")
    parser.add_argument("--track", help="track.npz, for eyes and brows")
    parser.add_argument("--first", type=int, default=0, help="first frame (%(default)s)")
    parser.add_argument("--frames", type=int, help="number of frames; to the end without")
    parser.add_argument("--out-frames", type=Path, help="folder of one .ply for each frame")
    args = parser.parse_args()
    moving = (args.motion, args.speech, args.track, args.out_frames)
    if any(moving) and not all(moving):
        parser.error("--motion, --speech, --track and --out-frames go together")
    if not (args.out or args.out_frames):
        parser.error("nothing to write: give --out, or --out-frames with what moves the head")
    return args


@torch.no_grad()
def head(avatar: Avatar, signals=None) -> dict[str, Tensor]:
    """All Gaussians of the avatar in one frame, as `rasterize` takes them."""
    face, mouth = avatar.deform(signals)
    return {name: torch.cat([mouth[name], face[name]]) for name in face}


def write_frames(args: argparse.Namespace, avatar: Avatar) -> None:
    """One .ply for each frame, in a folder that appears when it is complete."""
    motion, _ = artifacts.load_arrays(args.motion)
    speech, _ = artifacts.load_arrays(args.speech)
    au = artifacts.load_arrays(args.track)[0]["au"]
    drive = Drive.from_artifacts(motion, speech, au)
    stop = len(drive) if args.frames is None else args.first + args.frames
    if not 0 <= args.first < stop <= len(drive):
        raise cli.InputError(
            f"{args.motion}: frames {args.first} to {stop} are asked for, but it has {len(drive)}"
        )
    signals = avatar.all_signals(drive)
    with artifacts.atomic_folder(args.out_frames) as part:
        for frame in cli.progress(range(args.first, stop), stop - args.first, "export"):
            save_ply(part / f"{frame:06d}.ply", head(avatar, signals.at(frame)))


def main() -> None:
    args = parse_arguments()
    tensors, meta = artifacts.load_tensors(args.avatar)
    tensors.pop("pose_corrections")
    avatar = avatar_from_tensors(tensors, architecture.from_meta(meta))
    if args.out:
        save_ply(args.out, head(avatar))
    if args.out_frames:
        write_frames(args, avatar)


if __name__ == "__main__":
    cli.run(main)

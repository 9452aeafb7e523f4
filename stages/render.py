#!/usr/bin/env python3
"""Render the avatar: self-driven on the test frames, or driven by another audio.

A foreign audio takes head poses, eyes and backdrop from the test frames, back and forth.
"""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from d3talker import __version__, artifacts, cli
from d3talker.avatar import Avatar, Drive
from d3talker.backends import default
from d3talker.fields import architecture
from d3talker.render import FIELDS, Clock, ping_pong, render_frames
from d3talker.split import FPS, test_part
from d3talker.train.checkpoint import avatar_from_tensors, load_refiner
from d3talker.train.files import add_backend_arguments, add_scene_arguments, scene_files
from d3talker.train.pose import corrected
from d3talker.train.scene import boxes, load_scene
from d3talker.video import read_wav, write_video, write_wav

SAMPLES_PER_FRAME = 640
BURST = 50  # frames given to the encoder at once


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_scene_arguments(parser)
    add_backend_arguments(parser)
    parser.add_argument("--poses", required=True, help="refined poses")
    parser.add_argument("--avatar", required=True, help="adapted avatar")
    parser.add_argument("--refiner", help="the target's refiner; without it frames stay coarse")
    parser.add_argument("--fields", choices=FIELDS, default="both", help="what moves the avatar")
    parser.add_argument("--drive-motion", required=True, help="facial motion of the audio (.npz)")
    parser.add_argument("--drive-speech", required=True, help="speech features of the audio (.npz)")
    parser.add_argument("--drive-audio", required=True, help="the audio itself (.wav)")
    parser.add_argument("--drive", required=True, help="'self', or the name of the audio")
    parser.add_argument("--still", action="store_true", help="no motion: the floor of comparisons")
    parser.add_argument("--identity", required=True)
    parser.add_argument("--variant", required=True)
    parser.add_argument("--secs", required=True, help="training seconds")
    parser.add_argument("--preset", required=True)
    parser.add_argument("--out-video", required=True, help="rendered video with sound (.mp4)")
    parser.add_argument("--out-json", required=True, help="times and what was rendered (.json)")
    return parser.parse_args()


def drive_signals(
    args: argparse.Namespace, avatar: Avatar, shown: np.ndarray
) -> tuple[list, dict[str, str]]:
    """Control signals of every rendered frame, and what made them.

    `shown` are the clip's frames that it shows.
    """
    motion, of_motion = artifacts.load_arrays(args.drive_motion)
    speech, of_speech = artifacts.load_arrays(args.drive_speech)
    track, of_track = artifacts.load_arrays(args.track)
    by_fan = of_track.get("face_model") == "bfm"  # which needs FAN's points
    made_by = {
        "landmarks": "fan" if by_fan else default("landmarks"),
        "speech": of_speech.get("extractor", default("speech")),
        "audio_to_motion": of_motion.get("backend", default("audio_to_motion")),
    }
    if args.still:
        return [None] * len(shown), made_by
    au = track["au"]
    if args.drive == "self":
        drive, frames = Drive.from_artifacts(motion, speech, au), shown
    else:
        drive, frames = Drive.from_artifacts(motion, speech, au[shown]), range(len(shown))
    signals = avatar.all_signals(drive.to(avatar.device))
    return [signals.at(t) for t in frames], made_by


def in_bursts(frames: Iterator[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """The same frames, `count` made before the first of them is passed on.

    Rendering and encoding take turns: beside each other on few cores both take longer.
    """
    while burst := list(islice(frames, count)):
        yield from burst


def hardware(device: torch.device) -> str:
    """What the times were measured on."""
    cores = f"{os.cpu_count()} CPU cores ({platform.machine()})"
    return f"{torch.cuda.get_device_name(device)}, {cores}" if device.type == "cuda" else cores


def main() -> None:
    args = parse_arguments()
    tensors, meta = artifacts.load_tensors(args.avatar)
    corrections = tensors.pop("pose_corrections").numpy()
    avatar = avatar_from_tensors(tensors, architecture.from_meta(meta))
    avatar.use_backends(args.rasterizer, args.encoding)
    refiner = None
    if args.refiner:
        refiner, meta = load_refiner(args.refiner)
        refiner = refiner.to(avatar.device).eval()
    start, stop = test_part(artifacts.load_json(args.ingest))
    scene = load_scene(scene_files(args), start, stop, whole=True)
    # Where adapt moved the head on the whole, the test poses follow.
    scene.rotations, scene.translations = corrected(
        scene.rotations, scene.translations, corrections.mean(axis=0, keepdims=True)
    )
    audio = read_wav(args.drive_audio)[0]
    if args.drive == "self":
        order = np.arange(len(scene))
        audio = audio[SAMPLES_PER_FRAME * start : SAMPLES_PER_FRAME * stop]
    else:
        order = ping_pong(len(scene), len(audio) // SAMPLES_PER_FRAME)
    shown = scene.indices[order]
    clock = Clock()
    signals, made_by = drive_signals(args, avatar, shown)
    frames = render_frames(
        avatar,
        refiner,
        scene,
        boxes(scene.heads, scene.size),
        order,
        signals,
        clock,
        args.fields,
    )
    frames = in_bursts(cli.progress(frames, len(order), f"render {args.drive}"), BURST)
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "sound.wav"
        write_wav(sound, audio)
        write_video(args.out_video, frames, fps=FPS, audio=sound)
    artifacts.save_json(
        args.out_json,
        {
            "identity": args.identity,
            "variant": args.variant,
            "secs": int(args.secs),
            "drive": args.drive,
            "preset": args.preset,
            "fields": args.fields,
            "refined": refiner is not None,
            "first_frame": int(shown[0]),
            "frames": len(order),
            "frame_index": shown.tolist(),
            "fps": clock.fps(),
            "fps_coarse": clock.fps(("fields", "rasterize")),
            "milliseconds": clock.milliseconds(),
            "train_seconds": sum(meta["train_seconds_by_stage"].values()),
            "train_seconds_by_stage": meta["train_seconds_by_stage"],
            "backends": {
                "rasterizer": args.rasterizer,
                "encoding": args.encoding,
                **made_by,
            },
            "versions": {
                "d3talker": __version__,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "hardware": hardware(avatar.device),
            },
        },
    )


if __name__ == "__main__":
    cli.run(main)

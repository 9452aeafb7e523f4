"""Make a trusted clip of any talking-head video: 25 fps, square, size x size, sound in step."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from d3talker import cli
from d3talker.artifacts import save_json
from d3talker.face.mediapipe_models import FaceDetector
from d3talker.video import ingest, io


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", required=True, help="any video that ffmpeg reads")
    parser.add_argument("--identity", required=True, help="name of the person in the results")
    parser.add_argument("--size", type=int, default=512, help="side of the clip, px, even")
    parser.add_argument("--out-video", required=True, help="H.264 MP4 without sound")
    parser.add_argument("--out-audio", required=True, help="wav, 16 kHz mono")
    parser.add_argument("--out-json", required=True, help="what was found and decided")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    settings = ingest.IngestSettings()
    info = io.probe(args.video)
    ingest.require_usable(args.video, info, settings)
    crop, face_height = find_head(args.video, info, settings)
    frames = ingest.write_cropped(args.video, info, crop, args.size, args.out_video)
    if frames < settings.min_seconds * io.FPS:
        Path(args.out_video).unlink()
        raise cli.InputError(ingest.too_short(args.video, frames / io.FPS, settings))
    sound = io.decode_audio(args.video)
    late = info.video_start - info.audio_start
    sound = ingest.align_audio(sound, late, frames)
    io.write_wav(args.out_audio, sound)
    warnings = ingest.warnings_about(face_height, sound, settings)
    for warning in warnings:
        print(f"warning: {args.video}: {warning}", file=sys.stderr)
    save_json(
        args.out_json,
        ingest.describe(args.identity, args.video, info, crop, frames, args.size, warnings),
    )


def find_head(video: str, info: io.VideoInfo, settings: ingest.IngestSettings):
    """Crop around the one head in `video`, and its height in source px."""
    detect = FaceDetector()
    faces, scale = [], 1.0
    for frame in ingest.sample_frames(video, info, settings):
        scale = info.width / frame.shape[1]
        faces.append(detect(frame) * scale)
    heads = ingest.require_one_face(video, faces, settings)
    crop = ingest.choose_crop(heads, info.width, info.height, settings)
    return crop, float(np.median(heads[:, 3]))


if __name__ == "__main__":
    cli.run(main)

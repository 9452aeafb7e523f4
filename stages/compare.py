"""Put the true test frames, the render and its error map side by side, with the render's sound.

All three are in one file, so no player can show them out of step. It has many key frames, so that
single frames are found at once.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from d3talker import artifacts, cli
from d3talker.report.error_map import error_map
from d3talker.video import iter_frames, write_video

KEYFRAME_EVERY = 12  # frames
QUALITY = 22  # x264's constant quality: half the bytes of what looks lossless, for phones


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--render", required=True, help="self-driven video with sound")
    parser.add_argument("--render-json", required=True, help="which frames it shows")
    parser.add_argument("--video", required=True, help="the person's clip: the truth")
    parser.add_argument("--out", required=True, help="truth | render | error map (.mp4)")
    args = parser.parse_args()
    rendered = artifacts.load_json(args.render_json)
    start, frames = rendered["first_frame"], rendered["frames"]
    pairs = zip(
        iter_frames(args.video, start, start + frames), iter_frames(args.render), strict=True
    )
    tiled = (np.hstack([truth, render, error_map(truth, render)]) for truth, render in pairs)
    tiled = cli.progress(tiled, frames, "compare")
    write_video(args.out, tiled, audio=args.render, crf=QUALITY, keyframe_every=KEYFRAME_EVERY)


if __name__ == "__main__":
    cli.run(main)

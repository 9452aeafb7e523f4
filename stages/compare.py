"""Put the true test frames and the render side by side, with the render's sound."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from d3talker import artifacts, cli
from d3talker.video import iter_frames, write_video


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--render", required=True, help="self-driven video with sound")
    parser.add_argument("--render-json", required=True, help="which frames it shows")
    parser.add_argument("--video", required=True, help="the person's clip: the truth")
    parser.add_argument("--out", required=True, help="truth | render (.mp4)")
    args = parser.parse_args()
    rendered = artifacts.load_json(args.render_json)
    start, frames = rendered["first_frame"], rendered["frames"]
    pairs = zip(
        iter_frames(args.video, start, start + frames), iter_frames(args.render), strict=True
    )
    pairs = cli.progress((np.hstack(pair) for pair in pairs), frames, "compare")
    write_video(args.out, pairs, audio=args.render, crf=16)


if __name__ == "__main__":
    cli.run(main)

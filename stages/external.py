"""Take the video of another program as the self-driven render of a person, to score it as ours.

It must be of the person's own clip: 25 fps, of its size, and show either its test part or all of
it, of which the test part is taken. It gets the sound that drives our renders.
"""

import argparse
import platform
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from d3talker import __version__, artifacts, cli
from d3talker.split import FPS, test_part
from d3talker.video import iter_frames, read_wav, write_video, write_wav
from d3talker.video.external import first_test_frame

SAMPLES_PER_FRAME = 640
NEARLY_LOSSLESS = 4  # the crf: what a second encoding loses should not count against the method
UNKNOWN = "made by another program, which did not tell"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--external", required=True, help="the other program's video")
    parser.add_argument("--clip", required=True, help="path of the person's clip, for messages")
    parser.add_argument("--ingest", required=True, help="ingest.json of the clip")
    parser.add_argument("--audio", required=True, help="the clip's sound, in step (.wav)")
    parser.add_argument("--method", required=True, help="name of the other program")
    parser.add_argument("--identity", required=True)
    parser.add_argument("--variant", required=True, help="what the run is called here")
    parser.add_argument("--secs", required=True, type=int, help="training seconds, as ours have")
    parser.add_argument("--out-video", required=True, help="the test part with sound (.mp4)")
    parser.add_argument("--out-json", required=True, help="as stages/render.py writes it")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    ingest = artifacts.load_json(args.ingest)
    start, stop = test_part(ingest)
    first = first_test_frame(args.external, ingest, args.clip)
    frames = iter_frames(args.external, first, first + stop - start)
    audio = read_wav(args.audio)[0][SAMPLES_PER_FRAME * start : SAMPLES_PER_FRAME * stop]
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "sound.wav"
        write_wav(sound, audio)
        frames = cli.progress(frames, stop - start, "external")
        write_video(args.out_video, frames, fps=FPS, audio=sound, crf=NEARLY_LOSSLESS)
    unknown = ("fps", "fps_coarse", "train_seconds")
    artifacts.save_json(
        args.out_json,
        {
            "identity": args.identity,
            "variant": args.variant,
            "secs": args.secs,
            "drive": "self",
            "first_frame": start,
            "frames": stop - start,
            "frame_index": list(range(start, stop)),
            **dict.fromkeys(unknown),
            "missing": dict.fromkeys(unknown, UNKNOWN),
            "milliseconds": {},
            "train_seconds_by_stage": {},
            "backends": {"external": args.method},
            "versions": {"d3talker": __version__, "python": platform.python_version()},
        },
    )


if __name__ == "__main__":
    cli.run(main)

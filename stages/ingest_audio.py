"""Make any sound file a cross-driving audio: wav, 16 kHz mono, a whole number of frames."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from d3talker import cli
from d3talker.ingest.settings import IngestSettings
from d3talker.ingest.sound import load_any_audio
from d3talker.video import io


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", required=True, help="any sound (or video) that ffmpeg reads")
    parser.add_argument("--out", required=True, help="wav, cut to a multiple of 640 samples")
    args = parser.parse_args()
    settings = IngestSettings()
    samples = load_any_audio(args.audio, settings)
    if len(samples) / io.SAMPLE_RATE > settings.max_seconds - 1:
        print(
            f"warning: {cli.one_line(args.audio)}: only the first {settings.max_seconds:g} s of a "
            "sound are used",
            file=sys.stderr,
        )
    io.write_wav(args.out, samples)


if __name__ == "__main__":
    cli.run(main)

"""Speech features of a sound in windows, one per video frame."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from d3talker.artifacts import save_arrays
from d3talker.backends import BACKENDS, default
from d3talker.cli import run
from d3talker.speech.extractors import extract
from d3talker.speech.logmel import read_wav


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", required=True, help="16 kHz mono 16-bit WAV")
    parser.add_argument("--out", required=True, help="features (T,16,C) to write (.npz)")
    parser.add_argument(
        "--extractor",
        choices=list(BACKENDS["speech"]),
        default=default("speech"),
        help="what hears the sound (%(default)s)",
    )
    parser.add_argument("--weights", help="its file of weights, where it has one")
    args = parser.parse_args()

    features, meta = extract(args.extractor, read_wav(args.audio), args.weights)
    save_arrays(args.out, meta, features=features)


if __name__ == "__main__":
    run(main)

"""Speech features of a sound: log-mel bands in windows shaped like DeepSpeech's."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from d3talker.artifacts import save_arrays
from d3talker.cli import run
from d3talker.speech.logmel import read_wav, speech_features


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", required=True, help="16 kHz mono 16-bit WAV")
    parser.add_argument("--out", required=True, help="features (T,16,29) to write (.npz)")
    args = parser.parse_args()

    features = speech_features(read_wav(args.audio))
    meta = {"extractor": "logmel", "fps": 25, "normalisation": "each band: mean 0, std 1 per clip"}
    save_arrays(args.out, meta, features=features)


if __name__ == "__main__":
    run(main)

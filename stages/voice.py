"""What Real3D-Portrait's audio-to-motion network hears: HuBERT's features and the pitch."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from d3talker.artifacts import save_arrays
from d3talker.cli import run
from d3talker.speech.logmel import SAMPLES_PER_FRAME, read_wav
from d3talker.speech.pitch import pitch
from d3talker.speech.transformer import hubert_rows, load_hubert


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", required=True, help="16 kHz mono 16-bit WAV")
    parser.add_argument("--hubert", required=True, help="file of weights in the folder of HuBERT")
    parser.add_argument("--out", required=True, help="hubert (n,1024) and pitch (n,) (.npz)")
    args = parser.parse_args()

    samples = read_wav(args.audio)
    rows = hubert_rows(samples, load_hubert(Path(args.hubert).parent))
    meta = {"rate": 50, "frames": len(samples) // SAMPLES_PER_FRAME, "pitch": "Hz, 0: unvoiced"}
    save_arrays(args.out, meta, hubert=rows, pitch=pitch(samples, len(rows)))


if __name__ == "__main__":
    run(main)

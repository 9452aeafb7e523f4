"""Facial motion of every frame by Real3D-Portrait's audio-to-motion network, and its PNCC images.

Expressions are coefficients of the Basel Face Model, predicted from the whole sound.
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from d3talker import settings
from d3talker.artifacts import ArtifactError, load_arrays, save_arrays
from d3talker.cli import run
from d3talker.face.bfm_front import EXPRESSIONS, load_front, render_pncc
from d3talker.motion.audio2secc import HUBERT, load_audio2secc, predict
from d3talker.motion.settings import Real3dPortraitSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voice", required=True, help="HuBERT's features and the pitch (.npz)")
    parser.add_argument("--audio2secc-vae", required=True, help="weights (models.audio2secc_vae)")
    parser.add_argument("--bfm-front", required=True, help="face model (models.bfm_front)")
    parser.add_argument("--settings", help="JSON overrides of Real3dPortraitSettings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", required=True, help="motion to write (.npz)")
    args = parser.parse_args()
    options = settings.parse(Real3dPortraitSettings, args.settings)

    voice, about = load_arrays(args.voice)
    if voice.get("hubert", np.zeros(0)).shape[1:] != (HUBERT,) or "pitch" not in voice:
        raise ArtifactError(f"{args.voice}: not made by stages/voice.py; make it again")
    network = load_audio2secc(args.audio2secc_vae)
    heard = voice["hubert"], voice["pitch"]
    expression = predict(network, *heard, about["frames"], options, args.seed)
    model = load_front(args.bfm_front)
    canonical = render_pncc(model, np.zeros((1, EXPRESSIONS), np.float32))[0]
    meta = {"fps": 25, "source": "predicted from sound", "backend": "real3dportrait"}
    meta |= {"settings": asdict(options), "seed": args.seed}
    pictures = {"pncc": render_pncc(model, expression), "canonical": canonical}
    save_arrays(args.out, meta, expression=expression, **pictures)


if __name__ == "__main__":
    run(main)

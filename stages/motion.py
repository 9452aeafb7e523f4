"""Facial motion of every frame, tracked or predicted from sound, and its PNCC images."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from d3talker.artifacts import load_arrays, save_arrays
from d3talker.cli import InputError, run
from d3talker.face.model import FaceModel
from d3talker.face.pncc import render_pncc
from d3talker.motion.model import load_model, predict_expression
from d3talker.speech.logmel import read_wav


def predicted(path: str, audio: str, face: FaceModel) -> np.ndarray:
    """Expression (T,E) that a tuned model hears in a sound."""
    model, _ = load_model(path)
    if model.calibration is None:
        raise InputError(f"{path}: the model is tuned to nobody; run tune_motion on it first")
    if len(model.gap) != face.lower:
        raise InputError(
            f"{path}: made for {len(model.gap)} mouth coefficients, the face model has "
            f"{face.lower}; pre-train it again with this face model"
        )
    return predict_expression(model, read_wav(audio), len(face.expression))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--face-model", required=True, help="face_model.npz")
    parser.add_argument("--out", required=True, help="motion to write (.npz)")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--track", help="take the expression of this track.npz")
    source.add_argument("--model", help="predict it with this tuned model, from --audio")
    parser.add_argument("--audio", help="16 kHz mono WAV")
    args = parser.parse_args()
    if bool(args.model) != bool(args.audio):
        parser.error("--model and --audio go together")

    face = FaceModel.load(args.face_model)
    if args.track:
        expression = load_arrays(args.track)[0]["expression"]
    else:
        expression = predicted(args.model, args.audio, face)
    canonical = render_pncc(face, np.zeros((1, len(face.expression)), np.float32))[0]
    save_arrays(
        args.out,
        {"fps": 25, "source": "tracked" if args.track else "predicted from sound"},
        expression=expression.astype(np.float32),
        pncc=render_pncc(face, expression),
        canonical=canonical,
    )


if __name__ == "__main__":
    run(main)

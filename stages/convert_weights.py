#!/usr/bin/env python3
"""Make of a published file of weights, once, the one that `models` in the configuration names.

    convert_weights.py deepspeech deepspeech-0_1_0-b90017e8.pb deepspeech.safetensors
    convert_weights.py bfm_front BFM_model_front.mat bfm_front.npz

The new file holds only numbers, is smaller and is read faster.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from d3talker import artifacts, cli


def deepspeech(source: Path, out: Path) -> None:
    """The network's constants out of a frozen graph of DeepSpeech 0.1.0."""
    from d3talker.speech.deepspeech import read_graph

    tensors, sha1 = read_graph(source)
    artifacts.save_tensors(out, tensors, {"made_of": source.name, "sha1": sha1})


def bfm_front(source: Path, out: Path) -> None:
    """The front of the Basel Face Model as Deep3DFaceRecon lays it out."""
    from d3talker.face.bfm_front import read_mat, save_front

    save_front(out, read_mat(source), {"made_of": source.name})


CONVERSIONS = {"deepspeech": (deepspeech, ".safetensors"), "bfm_front": (bfm_front, ".npz")}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("key", choices=list(CONVERSIONS), help="key of `models` it is for")
    parser.add_argument("source", type=Path, help="the published file")
    parser.add_argument("out", type=Path, help="the file to write")
    args = parser.parse_args()
    convert, suffix = CONVERSIONS[args.key]
    if not args.source.is_file():
        raise cli.InputError(f"{args.source}: there is no such file")
    if args.out.suffix != suffix:
        raise cli.InputError(f"{args.out}: the name must end with {suffix}")
    convert(args.source, args.out)
    print(f"{args.out}: set models.{args.key} to this file")


if __name__ == "__main__":
    cli.run(main)

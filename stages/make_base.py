"""Make the base that later runs start from, of networks that one run has pre-trained.

Writes into each what the workflow has to know to use it, and prints sizes and checksums.
"""

import argparse
import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from torch import Tensor

from d3talker import artifacts, cli
from d3talker.backends import BACKENDS, default
from d3talker.fields.architecture import Architecture
from d3talker.motion.model import load_model
from d3talker.train.checkpoint import load_general, load_refiner

PARTS = ("motion", "general", "c2f")
MADE_WITH = ("speech", "audio_to_motion")  # backends that the networks depend on
LIMIT_MB = 25  # of the three files together: they are kept with the code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--motion", required=True, help="audio_to_motion.safetensors")
    parser.add_argument("--general", required=True, help="general.safetensors")
    parser.add_argument("--c2f", required=True, help="c2f.safetensors")
    parser.add_argument("--face-model", required=True, help="face_model.npz of their people")
    parser.add_argument("--preset", required=True, help="preset they were trained with")
    for key in MADE_WITH:
        parser.add_argument(
            f"--{key.replace('_', '-')}",
            choices=list(BACKENDS[key]),
            default=default(key),
            help=f"backends.{key} of their run (%(default)s)",
        )
    parser.add_argument("--size", required=True, type=int, help="side of the clips, px")
    for part in PARTS:
        parser.add_argument(f"--out-{part}", required=True, type=Path, help=f"{part} of the base")
    args = parser.parse_args()

    sources = {part: getattr(args, part) for part in PARTS}
    total = sum(Path(source).stat().st_size for source in sources.values()) / 1e6
    if total > LIMIT_MB:
        raise cli.InputError(f"the files have {total:.1f} MB; a base has at most {LIMIT_MB}")
    load_model(args.motion)
    load_general(args.general, Architecture())
    load_refiner(args.c2f)
    loaded = {part: checked(source) for part, source in sources.items()}
    made_for = {
        "preset": args.preset,
        "size": args.size,
        **{key: getattr(args, key) for key in MADE_WITH},
        "face_model": hashlib.sha256(Path(args.face_model).read_bytes()).hexdigest(),
    }
    for part, (tensors, meta) in loaded.items():
        out = getattr(args, f"out_{part}")
        artifacts.save_tensors(out, tensors, meta | made_for)
        digest = hashlib.sha256(out.read_bytes()).hexdigest()
        print(f"{out}: {out.stat().st_size / 1e6:.2f} MB, sha256 {digest}")


def checked(path: str) -> tuple[dict[str, Tensor], dict]:
    """Tensors and meta of a file. Raises InputError if damaged or of unknown origin."""
    tensors, meta = artifacts.load_tensors(path)
    broken = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if broken:
        raise cli.InputError(f"{path}: {broken[0]} is not finite; pre-train anew")
    missing = [key for key in ("people", "seed", "settings") if key not in meta]
    if missing or not isinstance(meta["people"], list):
        missing = missing or ["people"]
        raise cli.InputError(f"{path}: does not tell its {', '.join(missing)}; pre-train anew")
    return tensors, meta


if __name__ == "__main__":
    cli.run(main)

"""Convert the Basel Face Model 2009 and AD-NeRF's tables into the file of `models.bfm`, once.

The Basel Face Model is given to who registers (docs/paper_parts.md). The three .npy files of
AD-NeRF are pickles: they are read by a reader that makes numpy arrays and nothing else.
"""

import argparse
import pickle
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from scipy.io import loadmat

from d3talker import artifacts, cli
from d3talker.face.bfm import EXPRESSION, IDENTITY, BaselFaceModel, check

MICROMETRES = 1e-6  # m
# All that a pickled dictionary of arrays is made of, by the names of numpy 1 and 2.
HARMLESS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    *(
        (f"numpy.{core}.multiarray", maker)
        for core in ("core", "_core")
        for maker in ("_reconstruct", "scalar")
    ),
}


class ArraysOnly(pickle.Unpickler):
    """Makes arrays, numbers, text and their containers; raises for everything else."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in HARMLESS:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, which is no array")
        return super().find_class(module, name)


def load_table(path: str, *names: str) -> list[np.ndarray]:
    """Arrays by name of a .npy file with one dictionary of arrays in it."""
    try:
        with Path(path).open("rb") as file:
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                raise ValueError(f"of version {version}")
            np.lib.format.read_array_header_1_0(file)
            table = ArraysOnly(file, encoding="latin1").load().item()
        return [np.asarray(table[name]) for name in names]
    except (OSError, ValueError, KeyError, AttributeError, EOFError, pickle.PickleError) as error:
        raise artifacts.ArtifactError(f"{path}: not AD-NeRF's table ({error!r})") from error


def load_basel(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """shapeMU (N,3), shapePC (199,N,3) and shapeEV (199,) of 01_MorphableModel.mat, micrometres."""
    try:
        content = loadmat(path)
        mean, basis, sigma = (content[name] for name in ("shapeMU", "shapePC", "shapeEV"))
        return mean.reshape(-1, 3), basis.T.reshape(basis.shape[1], -1, 3), sigma.ravel()
    except (OSError, ValueError, KeyError, NotImplementedError) as error:
        raise artifacts.ArtifactError(
            f"{path}: not the Basel Face Model 2009 ({error!r}); expected 01_MorphableModel.mat"
        ) from error


def convert(args: argparse.Namespace) -> BaselFaceModel:
    """The model of the files that the arguments name, cropped to AD-NeRF's vertices."""
    mean, basis, sigma = load_basel(args.morphable_model)
    chosen, triangles = load_table(args.topology_info, "sub_inds", "tris")
    of_mean, expressions, spread = load_table(args.exp_info, "mu_exp", "base_exp", "sig_exp")
    names = ("keyinds", "left_contour", "right_contour", "rigid_ids")
    keypoints, left, right, rigid = load_table(args.keys_info, *names)
    mean = mean[chosen] + of_mean.reshape(-1, 3)
    identity = basis[:IDENTITY, chosen] * sigma[:IDENTITY, None, None]
    expressions = expressions[:EXPRESSION].reshape(EXPRESSION, -1, 3)
    expressions = expressions * spread.ravel()[:EXPRESSION, None, None]
    return BaselFaceModel(
        mean=(MICROMETRES * (mean - mean.mean(axis=0))).astype(np.float32),
        identity=(MICROMETRES * identity).astype(np.float32),
        expression=(MICROMETRES * expressions).astype(np.float32),
        **{
            name: indices.astype(np.int32)
            for name, indices in {
                "keypoints": keypoints.ravel(),
                "left_contour": left,
                "right_contour": right,
                "rigid": rigid.ravel(),
                "triangles": triangles,
            }.items()
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--morphable-model", required=True, help="01_MorphableModel.mat")
    parser.add_argument("--topology-info", required=True, help="topology_info.npy of AD-NeRF")
    parser.add_argument("--exp-info", required=True, help="exp_info.npy of AD-NeRF")
    parser.add_argument("--keys-info", required=True, help="keys_info.npy of AD-NeRF")
    parser.add_argument("--out", required=True, help="the model, .npz, for models.bfm")
    args = parser.parse_args()
    try:
        model = convert(args)
        check(model)
    except (ValueError, IndexError, artifacts.ArtifactError) as error:
        raise cli.InputError(f"these files make no face model together: {error}") from error
    artifacts.save_arrays(
        args.out, {"unit": "m", "model": "Basel Face Model 2009"}, **asdict(model)
    )


if __name__ == "__main__":
    cli.run(main)

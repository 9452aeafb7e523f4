"""Depth and normals of frames by Sapiens 0.3b (spec 1.10).

Its networks are TorchScript: a program as well as weights, which runs when it is opened. So a file
is opened only if its SHA-256 is the one that the user has written into `sha256`.
"""

import hashlib
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from d3talker.artifacts import ArtifactError
from d3talker.metrics.weights import UNREADABLE, refusal

SIZE = (1024, 768)  # height and width that the networks see, whatever the picture's shape
MEAN, STD = (123.5, 116.5, 103.5), (58.5, 57.0, 57.5)  # RGB, of 0..255
FRAMES = 500  # the first 20 s
CHANNELS = {"sapiens_depth": 1, "sapiens_normal": 3}


def load_sapiens(key: str, path: str | Path, sha256: str | None = None) -> torch.jit.ScriptModule:
    """The network of `models.<key>`, on the GPU if there is one.

    Raises ArtifactError for a file that is none, or whose digest is not `sha256`. Without one the
    caller has compared it already.
    """
    try:
        if sha256 is not None:
            with Path(path).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != sha256.lower():
                raise ArtifactError(f"its sha256 is {digest}, not {sha256} as sha256.{key} says")
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.jit.load(str(path), map_location=device).eval()
    except UNREADABLE as error:
        raise refusal(path, key, error) from error


LOADERS = {key: partial(load_sapiens, key) for key in CHANNELS}


@torch.no_grad()
def look(network: torch.jit.ScriptModule, frame: np.ndarray, key: str) -> Tensor:
    """What a network sees in a frame (S,S,3) uint8 RGB: (C,S,S) float32, C by CHANNELS."""
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    picture = torch.from_numpy(frame).to(device).permute(2, 0, 1)[None].float()
    # As OpenCV resizes, without smoothing.
    picture = F.interpolate(picture, SIZE, mode="bilinear", align_corners=False)
    mean, std = (torch.tensor(v, device=device)[:, None, None] for v in (MEAN, STD))
    made = network((picture - mean) / std)
    if not isinstance(made, Tensor) or made.ndim != 4 or made.shape[1] != CHANNELS[key]:
        shape = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
        raise refusal(key, key, ArtifactError(f"it makes {shape}, not (1, {CHANNELS[key]}, h, w)"))
    return F.interpolate(made.float(), frame.shape[:2], mode="bilinear", align_corners=False)[0]


def depth_of(network: torch.jit.ScriptModule, frame: np.ndarray) -> np.ndarray:
    """Depth (S,S) float32, larger is farther, of any unit."""
    return look(network, frame, "sapiens_depth")[0].cpu().numpy()


def normals_of(network: torch.jit.ScriptModule, frame: np.ndarray) -> np.ndarray:
    """Unit normals (S,S,3) float32, x right, y up, z to the camera."""
    seen = F.normalize(look(network, frame, "sapiens_normal"), dim=0)
    return seen.permute(1, 2, 0).cpu().numpy()

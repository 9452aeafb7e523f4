"""The encodings that can stand in for each other. tests/unit/test_backends.py is their contract.

| name | is | needs |
|---|---|---|
| cpu | encoding_kernels.py, compiled, multi-threaded | nothing; the default |
| torch | encode_reference, plain torch, any device | nothing |
| tinycudann | tcnn_backend.py | tinycudann, CUDA |

All look up the same table, so that a checkpoint of one is a checkpoint of the others.
"""

from collections.abc import Callable

import torch

from d3talker.backends import require
from d3talker.fields.encoding import TriPlaneEncoder


def encoding(name: str) -> Callable[[TriPlaneEncoder, torch.Tensor], torch.Tensor]:
    """The function (encoder, points) -> features of a backend. Raises InputError if it cannot
    run here."""
    require("encoding", name)
    match name:
        case "cpu":
            from d3talker.fields.encoding import encode_cpu as encode
        case "torch":
            from d3talker.fields.encoding import encode_torch as encode
        case "tinycudann":
            from d3talker.fields.tcnn_backend import encode
    return encode


def use_encoding(module: torch.nn.Module, name: str) -> None:
    """Let all encoders inside `module` look up by backend `name`."""
    encode = encoding(name)
    for part in module.modules():
        if isinstance(part, TriPlaneEncoder):
            part.encode = encode

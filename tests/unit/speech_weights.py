"""Generated weights of the speech networks, and files of the form in which they are published."""

import struct

import numpy as np

from d3talker.speech import deepspeech

NARROW = {"h1": 24, "h2": 20, "h3": 16, "cells": 12, "h5": 10}


def deepspeech_tensors(h1, h2, h3, cells, h5, seed=0):
    """Constants of a graph of DeepSpeech of these widths: arrays by name."""
    rng = np.random.default_rng(seed)
    sizes = {"1": (494, h1), "2": (h1, h2), "3": (h2, h3), "5": (2 * cells, h5), "6": (h5, 29)}
    found = {}
    for layer, (i, o) in sizes.items():
        found[f"h{layer}"] = rng.normal(0, 1.5 / i**0.5, (i, o)).astype(np.float32)
        found[f"b{layer}"] = rng.normal(0, 0.3, o).astype(np.float32)
    for direction in ("fw", "bw"):
        shape = (h3 + cells, 4 * cells)
        kernel = rng.normal(0, 1 / shape[0] ** 0.5, shape).astype(np.float32)
        found[deepspeech.recurrent(direction, "kernel")] = kernel
        bias = rng.normal(0, 0.5, 4 * cells).astype(np.float32)
        found[deepspeech.recurrent(direction, "bias")] = bias
    return found


def number(value: int) -> bytes:
    """A varint."""
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def message(field: int, content: bytes) -> bytes:
    return number(field << 3 | 2) + number(len(content)) + content


def const_node(name: str, array: np.ndarray, listed: bool = False) -> bytes:
    """A NodeDef of a float constant; `listed`: as single floats instead of raw bytes."""
    dims = b"".join(message(2, number(1 << 3) + number(n)) for n in array.shape)
    raw = array.astype("<f4").tobytes()
    tensor = number(1 << 3) + number(1) + message(2, dims) + message(5 if listed else 4, raw)
    kind = message(5, message(1, b"dtype") + message(2, number(6 << 3) + number(1)))
    value = message(5, message(1, b"value") + message(2, message(8, tensor)))
    return message(1, message(1, name.encode()) + message(2, b"Const") + kind + value)


def graph(tensors: dict[str, np.ndarray]) -> bytes:
    """A GraphDef with these constants, and with nodes of other kinds between them."""
    other = message(1, message(1, b"input_node") + message(2, b"Placeholder") + message(3, b"h1"))
    steps = number(1 << 3) + number(3) + message(4, struct.pack("<i", 16))
    value = message(5, message(1, b"value") + message(2, message(8, steps)))
    whole = message(1, message(1, b"n_steps") + message(2, b"Const") + value)
    out = other
    for place, (name, array) in enumerate(tensors.items()):
        out += const_node(name, array, listed=place % 3 == 1) + (whole if place == 2 else b"")
    return out + message(4, number(1 << 3) + number(21))  # versions

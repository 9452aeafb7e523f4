"""Constants of a frozen TensorFlow graph, read without TensorFlow.

A GraphDef is a protocol buffer: fields of a number and a wire type, one after the other. Only those
that hold names, operations and float tensors are looked at. The numbers are of TensorFlow's public
graph.proto, node_def.proto, attr_value.proto, tensor.proto and tensor_shape.proto.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from d3talker.artifacts import ArtifactError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
NODE = 1  # of GraphDef
NODE_NAME, NODE_OP, NODE_ATTR = 1, 2, 5  # of NodeDef; attributes are entries of a map
KEY, VALUE = 1, 2  # of an entry
ATTR_TENSOR = 8  # of AttrValue
DTYPE, SHAPE, CONTENT, FLOATS = 1, 2, 4, 5  # of TensorProto
DIMENSION, SIZE = 2, 1  # of TensorShapeProto and its Dim
DT_FLOAT = 1


class Truncated(ValueError):
    """The bytes end within a field, or are no protocol buffer."""


def varint(data: memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits to a byte at place `at`, and the place behind it."""
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(data):
            raise Truncated("it ends within a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise Truncated("a number has no end")


def fields(data: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Number, wire type and value of every field of a message."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, at = varint(data, at)
            yield number, kind, value
            continue
        if kind == BYTES:
            length, at = varint(data, at)
        elif kind in (FIXED64, FIXED32):
            length = 8 if kind == FIXED64 else 4
        else:
            raise Truncated(f"wire type {kind} is none")
        if at + length > len(data):
            raise Truncated("it ends within a field")
        yield number, kind, data[at : at + length]
        at += length


def child(data: memoryview, number: int) -> memoryview | None:
    """The last field `number` of a message that holds bytes."""
    found = None
    for n, kind, value in fields(data):
        if n == number and kind == BYTES:
            found = value
    return found


def float_tensor(data: memoryview) -> np.ndarray | None:
    """A TensorProto as float32; None if it has another type."""
    dtype, shape, content, values = 0, [], None, []
    for number, kind, value in fields(data):
        if number == DTYPE and kind == VARINT:
            dtype = value
        elif number == SHAPE and kind == BYTES:
            shape = [
                next((size for n, _, size in fields(dim) if n == SIZE), 0)
                for n, _, dim in fields(value)
                if n == DIMENSION
            ]
        elif number == CONTENT and kind == BYTES:
            content = value
        elif number == FLOATS:
            values.append(np.frombuffer(value, "<f4"))
    if dtype != DT_FLOAT:
        return None
    count = int(np.prod(shape, dtype=np.int64))
    if content is not None:
        array = np.frombuffer(content, "<f4")
    else:
        array = np.concatenate(values) if values else np.zeros(1, np.float32)
        # The last value stands for all that follow.
        array = np.concatenate([array, np.full(max(0, count - len(array)), array[-1])])
    if len(array) != count:
        raise Truncated(f"a tensor of {count} numbers has {len(array)}")
    return array.reshape(shape).astype(np.float32)


def constants(path: str | Path) -> dict[str, np.ndarray]:
    """The float32 tensors of the Const nodes of a frozen graph, by node name.

    Raises ArtifactError for a file that is cut off or is no GraphDef.
    """
    found = {}
    try:
        graph = memoryview(Path(path).read_bytes())
        for number, kind, node in fields(graph):
            if number != NODE or kind != BYTES:
                continue
            name, op = (child(node, part) for part in (NODE_NAME, NODE_OP))
            if name is None or op is None or bytes(op) != b"Const":
                continue
            tensor = _value_of(node)
            if tensor is not None:
                found[bytes(name).decode()] = tensor
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"{path}: not a frozen TensorFlow graph, or cut off ({error})"
        ) from error
    return found


def _value_of(node: memoryview) -> np.ndarray | None:
    """The attribute `value` of a Const node."""
    for number, kind, entry in fields(node):
        if number != NODE_ATTR or kind != BYTES or bytes(child(entry, KEY) or b"") != b"value":
            continue
        attribute = child(entry, VALUE)
        tensor = None if attribute is None else child(attribute, ATTR_TENSOR)
        return None if tensor is None else float_tensor(tensor)
    return None

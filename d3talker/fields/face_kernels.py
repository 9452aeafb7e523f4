"""The networks of a face field, from a point's code to its deformation, compiled for the CPU.

    attention = A2 relu(A1 code),  eye_attention = relu(E2 relu(E1 code))
    x = (code, attention * signal, eye_attention * eyes)
    out = D3 relu(D2 relu(D1 x))

All points of a chunk go through all layers before the next chunk, so that nothing but the code and
the result is ever in main memory. The backward pass computes the layers again.
"""

from typing import NamedTuple

import numpy as np
import torch
from numba import njit, prange

from d3talker.compiled import JIT
from d3talker.fields.dense import (
    CHUNK,
    GROUP,
    add_products,
    add_to,
    dense,
    gradient_of,
    lines_of,
    pack,
    relu_backward,
    sums_of,
)
from d3talker.simd.memory import gather, load_at, new_lines, spread_at, store_at, store_first
from d3talker.simd.rows import LANES, lane_columns, lane_rows, smaller

PARTS = 4  # of the chunks, whose gradients are summed one by one, in this order
A1, A2, E1, E2, D1, D2, D3 = range(7)  # the layers
FOUR = np.float32(4)
RELU, LINEAR = np.float32(0), np.float32(-np.inf)  # the least that a layer gives


class Sizes(NamedTuple):
    """Numbers of neurons."""

    code: int
    attention: int  # hidden, and the signal's
    signal: int
    eye: int  # hidden
    eyes: int
    hidden: int
    out: int


def sizes_of(weights) -> Sizes:
    """From the shapes of the seven weights."""
    a1, a2, e1, e2, d1, _, d3 = (w.shape for w in weights)
    return Sizes(a1[1], a1[0], a2[0], e1[0], e2[0], d1[0], d3[0])


class Packed(NamedTuple):
    """The weights of all layers, packed for `dense`, and transposed for its gradient by x."""

    forward: np.ndarray  # (m, GROUP)
    forward_first: np.ndarray  # (7,) first line of each layer
    backward: np.ndarray
    backward_first: np.ndarray


def pack_all(weights: list[np.ndarray]) -> Packed:
    """Pack the seven weights (outputs, inputs)."""
    packed = []
    for matrices in (weights, [np.ascontiguousarray(w.T) for w in weights]):
        first = np.cumsum([0, *(lines_of(*matrix.shape) for matrix in matrices)])
        lines = np.empty((first[-1], GROUP), np.float32)
        for matrix, line in zip(matrices, first, strict=False):
            pack(matrix, lines, line)
        packed += [lines, first[:-1]]
    return Packed(*packed)


@njit(**JIT)
def even_rows(count):
    """Rows that hold `count` points, an even number, as `dense` wants it."""
    return (count + 2 * LANES - 1) // (2 * LANES) * 2


@njit(**JIT)
def values_of(count):
    """Zeros for `count` neurons, rounded up to whole groups. A little wider than CHUNK, so that the
    lines do not compete for the same places in the cache."""
    return np.zeros(((count + GROUP - 1) // GROUP * GROUP, CHUNK + LANES), np.float32)


@njit(_nrt=False, **JIT)
def load_chunk(source, start, count, values):
    """Points `start` to `start` + `count` of source (N,n) into the lines of `values`."""
    width = source.shape[1]
    points = source[start : start + count]
    whole_rows = count // LANES * LANES
    lanes = lane_columns() + lane_rows() * FOUR
    for i in range(width):
        for k in range(0, whole_rows, LANES):
            place = (lanes + np.float32(k)) * np.float32(width) + np.float32(i)
            store_at(values, i, k, gather(points, place))
        for k in range(whole_rows, count):
            values[i, k] = points[k, i]
        for k in range(count, even_rows(count) * LANES):
            values[i, k] = 0


@njit(_nrt=False, **JIT)
def store_chunk(values, start, count, target):
    """The inverse of `load_chunk`."""
    width, stride = target.shape[1], values.shape[1]
    lanes = lane_columns() + lane_rows() * FOUR
    for i in range(0, width, LANES):
        line = smaller(lanes + np.float32(i), np.float32(width - 1))
        place = line * np.float32(stride)
        for k in range(count):
            row = gather(values, place + np.float32(k))
            store_first(target, start + k, i, row, min(LANES, width - i))


@njit(_nrt=False, **JIT)
def scale_lines(values, factors, result, first_line, rows):
    """Lines of `values` times one number of factors (1,n) each, into `result` from a line on."""
    for i in range(factors.shape[1]):
        factor = spread_at(factors, 0, i)
        for row in range(rows):
            value = load_at(values, i, row * LANES)
            store_at(result, first_line + i, row * LANES, value * factor)


@njit(_nrt=False, **JIT)
def scale_lines_backward(values, factors, gradient, line, by_values, rows, sums, first):
    """The gradients of `scale_lines` by the values and, into `sums`, by the factors."""
    for i in range(factors.shape[1]):
        factor = spread_at(factors, 0, i)
        for row in range(rows):
            upstream = load_at(gradient, line + i, row * LANES)
            add_to(sums, first + i, upstream * load_at(values, i, row * LANES))
            store_at(by_values, i, row * LANES, upstream * factor)


@njit(_nrt=False, **JIT)
def run_layers(packed, n, signal, eyes, x, t, attention, u, eye_attention, h1, h2, out, rows):
    """All layers of a chunk whose code is in the first lines of x."""
    w, first = packed.forward, packed.forward_first
    dense(w, first[A1], n.code, n.attention, x, 0, t, 0, rows, RELU)
    dense(w, first[A2], n.attention, n.signal, t, 0, attention, 0, rows, LINEAR)
    dense(w, first[E1], n.code, n.eye, x, 0, u, 0, rows, RELU)
    dense(w, first[E2], n.eye, n.eyes, u, 0, eye_attention, 0, rows, RELU)
    scale_lines(attention, signal, x, n.code, rows)
    scale_lines(eye_attention, eyes, x, n.code + n.signal, rows)
    dense(w, first[D1], n.code + n.signal + n.eyes, n.hidden, x, 0, h1, 0, rows, RELU)
    dense(w, first[D2], n.hidden, n.hidden, h1, 0, h2, 0, rows, RELU)
    dense(w, first[D3], n.hidden, n.out, h2, 0, out, 0, rows, LINEAR)


@njit(parallel=True, **JIT)
def face_forward(packed, n, code, signal, eyes, result):
    """Fill result (N,out) from code (N,code), signal (1,signal) and eyes (1,eyes)."""
    chunks = (code.shape[0] + CHUNK - 1) // CHUNK
    for part in prange(PARTS):
        x = values_of(n.code + n.signal + n.eyes)
        t, attention = values_of(n.attention), values_of(n.signal)
        u, eye_attention = values_of(n.eye), values_of(n.eyes)
        h1, h2, out = values_of(n.hidden), values_of(n.hidden), values_of(n.out)
        for chunk in range(chunks * part // PARTS, chunks * (part + 1) // PARTS):
            start = chunk * CHUNK
            count = min(CHUNK, code.shape[0] - start)
            rows = even_rows(count)
            load_chunk(code, start, count, x)
            run_layers(
                packed, n, signal, eyes, x, t, attention, u, eye_attention, h1, h2, out, rows
            )
            store_chunk(out, start, count, result)


@njit(_nrt=False, **JIT)
def branch_backward(
    packed, second, first, upstream, outputs, hidden_values, hidden, x, code,
    by_hidden, by_code, more, rows, sums, starts,
):  # fmt: skip
    """Gradients of two layers that start at the code: adds to by_code; `more` is scratch."""
    w, lines = packed.backward, packed.backward_first
    add_products(upstream, outputs, hidden_values, 0, hidden, rows, sums, starts[second])
    dense(w, lines[second], outputs, hidden, upstream, 0, by_hidden, 0, rows, LINEAR)
    relu_backward(by_hidden, hidden_values, hidden, rows)
    add_products(by_hidden, hidden, x, 0, code, rows, sums, starts[first])
    dense(w, lines[first], hidden, code, by_hidden, 0, more, 0, rows, LINEAR)
    for i in range(code):
        for row in range(rows):
            column = row * LANES
            store_at(by_code, i, column, load_at(by_code, i, column) + load_at(more, i, column))


@njit(parallel=True, **JIT)
def face_backward(packed, n, code, signal, eyes, by_result, by_code, sums, starts):
    """Fill by_code (N,code) and `sums` (PARTS,m,LANES), which comes as zeros, from by_result
    (N,out).

    starts (9,): first line of `sums` of each layer, of the signal and of the eyes.
    """
    chunks = (code.shape[0] + CHUNK - 1) // CHUNK
    inputs = n.code + n.signal + n.eyes
    for part in prange(PARTS):
        x, by_x, more = values_of(inputs), values_of(inputs), values_of(n.code)
        t, by_t = values_of(n.attention), values_of(n.attention)
        attention, by_attention = values_of(n.signal), values_of(n.signal)
        u, by_u = values_of(n.eye), values_of(n.eye)
        eye_attention, by_eye = values_of(n.eyes), values_of(n.eyes)
        h1, by_h1 = values_of(n.hidden), values_of(n.hidden)
        h2, by_h2 = values_of(n.hidden), values_of(n.hidden)
        out, by_out = values_of(n.out), values_of(n.out)
        w, lines, own = packed.backward, packed.backward_first, sums[part]
        for chunk in range(chunks * part // PARTS, chunks * (part + 1) // PARTS):
            start = chunk * CHUNK
            count = min(CHUNK, code.shape[0] - start)
            rows = even_rows(count)
            load_chunk(code, start, count, x)
            load_chunk(by_result, start, count, by_out)
            run_layers(
                packed, n, signal, eyes, x, t, attention, u, eye_attention, h1, h2, out, rows
            )
            add_products(by_out, n.out, h2, 0, n.hidden, rows, own, starts[D3])
            dense(w, lines[D3], n.out, n.hidden, by_out, 0, by_h2, 0, rows, LINEAR)
            relu_backward(by_h2, h2, n.hidden, rows)
            add_products(by_h2, n.hidden, h1, 0, n.hidden, rows, own, starts[D2])
            dense(w, lines[D2], n.hidden, n.hidden, by_h2, 0, by_h1, 0, rows, LINEAR)
            relu_backward(by_h1, h1, n.hidden, rows)
            add_products(by_h1, n.hidden, x, 0, inputs, rows, own, starts[D1])
            dense(w, lines[D1], n.hidden, inputs, by_h1, 0, by_x, 0, rows, LINEAR)
            scale_lines_backward(
                attention, signal, by_x, n.code, by_attention, rows, own, starts[D3 + 1]
            )
            scale_lines_backward(
                eye_attention, eyes, by_x, n.code + n.signal, by_eye, rows, own, starts[D3 + 2]
            )
            relu_backward(by_eye, eye_attention, n.eyes, rows)
            branch_backward(
                packed, A2, A1, by_attention, n.signal, t, n.attention, x, n.code,
                by_t, by_x, more, rows, own, starts,
            )  # fmt: skip
            branch_backward(
                packed, E2, E1, by_eye, n.eyes, u, n.eye, x, n.code,
                by_u, by_x, more, rows, own, starts,
            )  # fmt: skip
            store_chunk(by_x, start, count, by_code)


class FaceNetworks(torch.autograd.Function):
    """(code (N,36), signal (32,), eyes (6,), A1, A2, E1, E2, D1, D2, D3) -> out (N,11), float32."""

    @staticmethod
    def forward(ctx, code, signal, eyes, *weights):
        ctx.save_for_backward(code, signal, eyes, *weights)
        ctx.packed = pack_all([w.detach().numpy() for w in weights])
        result = torch.empty(len(code), len(weights[-1]))
        face_forward(
            ctx.packed, sizes_of(weights), code.detach().contiguous().numpy(), _line(signal),
            _line(eyes), result.numpy(),
        )  # fmt: skip
        return result

    @staticmethod
    def backward(ctx, by_result):
        code, signal, eyes, *weights = ctx.saved_tensors
        shapes = [tuple(w.shape) for w in weights]
        counts = [sums_of(*shape) for shape in shapes] + [len(signal), len(eyes)]
        starts = np.cumsum([0, *counts])
        sums = new_lines(PARTS * starts[-1]).reshape(PARTS, starts[-1], LANES)
        sums[:] = 0
        by_code = torch.empty(code.shape)
        face_backward(
            ctx.packed, sizes_of(weights), code.detach().contiguous().numpy(), _line(signal),
            _line(eyes), by_result.contiguous().numpy(), by_code.numpy(), sums, starts,
        )  # fmt: skip
        totals = sums.sum(axis=0)
        by_signal, by_eyes = (
            totals[a:b].sum(axis=1) for a, b in zip(starts[-3:], starts[-2:], strict=False)
        )
        by_weights = [
            gradient_of(totals, start, *shape) for start, shape in zip(starts, shapes, strict=False)
        ]
        return by_code, *(
            torch.from_numpy(np.ascontiguousarray(g)) for g in (by_signal, by_eyes, *by_weights)
        )


def _line(vector: torch.Tensor) -> np.ndarray:
    return vector.detach().reshape(1, -1).contiguous().numpy()

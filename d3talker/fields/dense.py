"""Linear layers without bias inside compiled kernels, for a chunk of points at a time.

Values are kept as arrays (neurons, CHUNK) float32, so that a row of simd/ holds one neuron
of 16 points. Weights are packed as `pack` does, for eight neurons to be computed at once.
"""

import numpy as np
from numba import njit

from d3talker.compiled import JIT
from d3talker.simd.memory import load, load_at, spread_at, store, store_at
from d3talker.simd.rows import LANES, filled, larger, select

CHUNK = 128  # points; what a chunk needs stays in the second level cache
GROUP = 8  # neurons computed at once
SQUARE = 4  # inputs and outputs whose products are summed at once


def lines_of(outputs: int, inputs: int) -> int:
    """Lines of eight that the packed weights (outputs, inputs) take."""
    return -(-outputs // GROUP) * inputs


@njit(**JIT)
def pack(weights, packed, first):
    """Write weights (outputs, inputs) to the lines of `packed` (m, GROUP) from line `first`."""
    outputs, inputs = weights.shape
    for group in range(-(-outputs // GROUP)):
        for i in range(inputs):
            for k in range(GROUP):
                o = group * GROUP + k
                packed[first + group * inputs + i, k] = weights[o, i] if o < outputs else 0


@njit(_nrt=False, **JIT)
def store_pair(y, line, column, left, right, least):
    """Two rows beside each other, nowhere below `least`."""
    store_at(y, line, column, larger(left, least))
    store_at(y, line, column + LANES, larger(right, least))


@njit(_nrt=False, **JIT)
def dense(packed, first, inputs, outputs, x, x_line, y, y_line, rows, least):
    """y = max(W x, least) for 16 `rows` points, from line `x_line` of x to `y_line` of y.

    `rows` is even. Writes outputs rounded up to a multiple of GROUP. `least` is 0 for a ReLU and
    minus infinity for none.
    """
    for group in range((outputs + GROUP - 1) // GROUP):
        line, out = first + group * inputs, y_line + group * GROUP
        for column in range(0, rows * LANES, 2 * LANES):
            a, b, c, d = filled(0.0), filled(0.0), filled(0.0), filled(0.0)
            e, f, g, h = filled(0.0), filled(0.0), filled(0.0), filled(0.0)
            aa, bb, cc, dd = filled(0.0), filled(0.0), filled(0.0), filled(0.0)
            ee, ff, gg, hh = filled(0.0), filled(0.0), filled(0.0), filled(0.0)
            for i in range(inputs):
                left, right = load_at(x, x_line + i, column), load_at(x, x_line + i, column + LANES)
                w, v = spread_at(packed, line + i, 0), spread_at(packed, line + i, 1)
                a, aa, b, bb = a + left * w, aa + right * w, b + left * v, bb + right * v
                w, v = spread_at(packed, line + i, 2), spread_at(packed, line + i, 3)
                c, cc, d, dd = c + left * w, cc + right * w, d + left * v, dd + right * v
                w, v = spread_at(packed, line + i, 4), spread_at(packed, line + i, 5)
                e, ee, f, ff = e + left * w, ee + right * w, f + left * v, ff + right * v
                w, v = spread_at(packed, line + i, 6), spread_at(packed, line + i, 7)
                g, gg, h, hh = g + left * w, gg + right * w, h + left * v, hh + right * v
            store_pair(y, out, column, a, aa, least)
            store_pair(y, out + 1, column, b, bb, least)
            store_pair(y, out + 2, column, c, cc, least)
            store_pair(y, out + 3, column, d, dd, least)
            store_pair(y, out + 4, column, e, ee, least)
            store_pair(y, out + 5, column, f, ff, least)
            store_pair(y, out + 6, column, g, gg, least)
            store_pair(y, out + 7, column, h, hh, least)


@njit(_nrt=False, **JIT)
def relu_backward(gradient, values, lines, rows):
    """Set the gradient to 0 where a neuron was off."""
    for line in range(lines):
        for row in range(rows):
            column = row * LANES
            on = load_at(values, line, column) > 0.0
            store_at(gradient, line, column, select(on, load_at(gradient, line, column), 0.0))


def sums_of(outputs: int, inputs: int) -> int:
    """Lines that `add_products` needs for a layer."""
    return -(-outputs // SQUARE) * -(-inputs // SQUARE) * SQUARE**2


@njit(_nrt=False, **JIT)
def add_to(sums, line, row):
    store(sums, line, load(sums, line) + row)


@njit(_nrt=False, **JIT)
def add_products(y, outputs, x, x_line, inputs, rows, sums, first):
    """Add y_o x_i of every point to a line of `sums`, lane by lane: the gradient of a layer's
    weights. `gradient_of` reads them."""
    line = first
    for o in range(0, outputs, SQUARE):
        for i in range(x_line, x_line + inputs, SQUARE):
            aa, ab, ac, ad = filled(0.0), filled(0.0), filled(0.0), filled(0.0)
            ba, bb, bc, bd = filled(0.0), filled(0.0), filled(0.0), filled(0.0)
            ca, cb, cc, cd = filled(0.0), filled(0.0), filled(0.0), filled(0.0)
            da, db, dc, dd = filled(0.0), filled(0.0), filled(0.0), filled(0.0)
            for row in range(rows):
                column = row * LANES
                p, q = load_at(x, i, column), load_at(x, i + 1, column)
                r, s = load_at(x, i + 2, column), load_at(x, i + 3, column)
                a, b = load_at(y, o, column), load_at(y, o + 1, column)
                c, d = load_at(y, o + 2, column), load_at(y, o + 3, column)
                aa, ab, ac, ad = aa + a * p, ab + a * q, ac + a * r, ad + a * s
                ba, bb, bc, bd = ba + b * p, bb + b * q, bc + b * r, bd + b * s
                ca, cb, cc, cd = ca + c * p, cb + c * q, cc + c * r, cd + c * s
                da, db, dc, dd = da + d * p, db + d * q, dc + d * r, dd + d * s
            for k, sum_of_products in enumerate(
                (aa, ab, ac, ad, ba, bb, bc, bd, ca, cb, cc, cd, da, db, dc, dd)
            ):
                add_to(sums, line + k, sum_of_products)
            line += SQUARE**2


def gradient_of(sums: np.ndarray, first: int, outputs: int, inputs: int) -> np.ndarray:
    """The gradient (outputs, inputs) that `add_products` left in the sums over lanes (m,)."""
    squares = -(-outputs // SQUARE), -(-inputs // SQUARE)
    part = sums[first : first + sums_of(outputs, inputs)]
    blocks = part.reshape(*squares, SQUARE, SQUARE).transpose(0, 2, 1, 3)
    return blocks.reshape(squares[0] * SQUARE, -1)[:outputs, :inputs]

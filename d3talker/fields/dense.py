"""Linear layers without bias inside compiled kernels, for a chunk of points at a time.

Values are kept as arrays (neurons, CHUNK) float32, so that a row of simd/ holds one neuron
of 16 points. Weights are packed as `pack` does, for eight neurons to be computed at once.
"""

import numpy as np
from numba import njit

from d3talker.compiled import JIT
from d3talker.simd.memory import load, load_at, spread_at, store, store_at
from d3talker.simd.rows import HAS_AVX512, LANES, filled, larger, select
from d3talker.simd.shuffles import interleaved_fours

CHUNK = 128  # points; what a chunk needs stays in the second level cache
GROUP = 8  # neurons computed at once
SQUARE = 4 if HAS_AVX512 else 2  # inputs and outputs whose products are summed at once
PARTIAL = 4  # sums that share a line, in a quarter of its lanes each


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
def eight_neurons(packed, line, inputs, x, x_line, y, out, column, least):
    """The neurons of a group for 32 points: sixteen sums, which fit the registers of AVX-512."""
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
def four_neurons(packed, line, inputs, x, x_line, y, out, column, least, first):
    """Neurons `first` to `first` + 3 of a group for 16 points: four sums, which take half of the
    sixteen registers of AVX2."""
    a, b, c, d = filled(0.0), filled(0.0), filled(0.0), filled(0.0)
    for i in range(inputs):
        value = load_at(x, x_line + i, column)
        a = a + value * spread_at(packed, line + i, first)
        b = b + value * spread_at(packed, line + i, first + 1)
        c = c + value * spread_at(packed, line + i, first + 2)
        d = d + value * spread_at(packed, line + i, first + 3)
    store_at(y, out + first, column, larger(a, least))
    store_at(y, out + first + 1, column, larger(b, least))
    store_at(y, out + first + 2, column, larger(c, least))
    store_at(y, out + first + 3, column, larger(d, least))


@njit(_nrt=False, **JIT)
def dense(packed, first, inputs, outputs, x, x_line, y, y_line, rows, least):
    """y = max(W x, least) for 16 `rows` points, from line `x_line` of x to `y_line` of y.

    `rows` is even. Writes outputs rounded up to a multiple of GROUP. `least` is 0 for a ReLU and
    minus infinity for none.
    """
    for group in range((outputs + GROUP - 1) // GROUP):
        line, out = first + group * inputs, y_line + group * GROUP
        for column in range(0, rows * LANES, 2 * LANES):
            if HAS_AVX512:
                eight_neurons(packed, line, inputs, x, x_line, y, out, column, least)
            else:
                for half in range(0, GROUP, 4):
                    four_neurons(packed, line, inputs, x, x_line, y, out, column, least, half)
                    right = column + LANES
                    four_neurons(packed, line, inputs, x, x_line, y, out, right, least, half)


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
    return -(-outputs // SQUARE) * -(-inputs // SQUARE) * SQUARE**2 // PARTIAL


@njit(_nrt=False, **JIT)
def add_to(sums, line, row):
    store(sums, line, load(sums, line) + row)


@njit(_nrt=False, **JIT)
def add_fours(sums, line, a, b, c, d):
    """Add four sums over lanes to a line, each as PARTIAL numbers yet to be added."""
    first, second, third, fourth = interleaved_fours(a, b, c, d)
    add_to(sums, line, (first + second) + (third + fourth))


@njit(_nrt=False, **JIT)
def add_square_of_two(y, o, x, i, rows, sums, line):
    """The products of two outputs and two inputs: four sums, for the registers of AVX2."""
    aa, ab, ba, bb = filled(0.0), filled(0.0), filled(0.0), filled(0.0)
    for row in range(rows):
        column = row * LANES
        p, q = load_at(x, i, column), load_at(x, i + 1, column)
        a, b = load_at(y, o, column), load_at(y, o + 1, column)
        aa, ab, ba, bb = aa + a * p, ab + a * q, ba + b * p, bb + b * q
    add_fours(sums, line, aa, ab, ba, bb)


@njit(_nrt=False, **JIT)
def add_square_of_four(y, o, x, i, rows, sums, line):
    """The products of four outputs and four inputs: sixteen sums, for the registers of AVX-512."""
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
    add_fours(sums, line, aa, ab, ac, ad)
    add_fours(sums, line + 1, ba, bb, bc, bd)
    add_fours(sums, line + 2, ca, cb, cc, cd)
    add_fours(sums, line + 3, da, db, dc, dd)


@njit(_nrt=False, **JIT)
def add_products(y, outputs, x, x_line, inputs, rows, sums, first):
    """Add y_o x_i, summed over points, to `sums`: the gradient of a layer's weights, which
    `gradient_of` reads."""
    line = first
    for o in range(0, outputs, SQUARE):
        for i in range(x_line, x_line + inputs, SQUARE):
            if HAS_AVX512:
                add_square_of_four(y, o, x, i, rows, sums, line)
            else:
                add_square_of_two(y, o, x, i, rows, sums, line)
            line += SQUARE**2 // PARTIAL


def gradient_of(sums: np.ndarray, first: int, outputs: int, inputs: int) -> np.ndarray:
    """The gradient (outputs, inputs) that `add_products` left in `sums` (m,LANES)."""
    squares = -(-outputs // SQUARE), -(-inputs // SQUARE)
    part = sums[first : first + sums_of(outputs, inputs)]
    products = part.reshape(-1, LANES // PARTIAL, PARTIAL).sum(axis=1)
    blocks = products.reshape(*squares, SQUARE, SQUARE).transpose(0, 2, 1, 3)
    return blocks.reshape(squares[0] * SQUARE, -1)[:outputs, :inputs]

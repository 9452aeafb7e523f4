"""Rows made of lanes of other rows."""

from llvmlite import ir
from numba import njit
from numba.extending import intrinsic

from d3talker.compiled import JIT
from d3talker.simd.rows import INTS, LANES, Row


def define_pick(order, doc):
    """A function of two rows that picks the lanes `order`, 16 and more of the second row.

    The lanes after those of `order` hold anything.
    """
    lanes = [*order, *[0] * (LANES - len(order))]

    def pick(typing_context, a, b):
        def emit(context, builder, sig, args):
            return builder.shuffle_vector(*args, ir.Constant(INTS, lanes))

        return Row(Row, Row), emit

    pick.__doc__ = doc
    return intrinsic(pick)


def _in_turn(first, second, count):
    """`count` lanes from `first` on, as many from `second` on, and so on to a whole row."""
    starts = range(0, LANES // 2, count)
    groups = [(a + start, b + start) for start in starts for a, b in ((first, second),)]
    return [start + k for pair in groups for start in pair for k in range(count)]


first_pairs = define_pick(_in_turn(0, 16, 1), "a0, b0, a1, b1, ... a7, b7.")
last_pairs = define_pick(_in_turn(8, 24, 1), "a8, b8, a9, b9, ... a15, b15.")
_first_fours = define_pick(_in_turn(0, 16, 4), "a0 to a3, b0 to b3, a4 to a7, b4 to b7.")
_last_fours = define_pick(_in_turn(8, 24, 4), "a8 to a11, b8 to b11, a12 to a15, b12 to b15.")
_first_eights = define_pick(_in_turn(0, 16, 8), "a0 to a7, b0 to b7.")
_last_eights = define_pick(_in_turn(8, 24, 8), "a8 to a15, b8 to b15.")


@njit(_nrt=False, **JIT)
def transposed_fours(a, b, c, d):
    """The four rows of 4 x 4 groups of four lanes, transposed: of the four columns.

    What were four blocks of 4 x 4 pixels side by side are four rows of 16 pixels, and back.
    """
    ab, cd = _first_fours(a, b), _first_fours(c, d)
    more_ab, more_cd = _last_fours(a, b), _last_fours(c, d)
    return (
        _first_eights(ab, cd),
        _last_eights(ab, cd),
        _first_eights(more_ab, more_cd),
        _last_eights(more_ab, more_cd),
    )


@njit(_nrt=False, **JIT)
def interleaved_fours(a, b, c, d):
    """a0, b0, c0, d0, a1, ... d15, in four rows."""
    a_c, b_d = first_pairs(a, c), first_pairs(b, d)
    more_a_c, more_b_d = last_pairs(a, c), last_pairs(b, d)
    return (
        first_pairs(a_c, b_d),
        last_pairs(a_c, b_d),
        first_pairs(more_a_c, more_b_d),
        last_pairs(more_a_c, more_b_d),
    )


def _interleaving(part):
    """Two orders that give 16 of r0, g0, b0, r1, ...: one of r and g, one of the result and b."""
    places = [divmod(16 * part + k, 3) for k in range(LANES)]  # pixel, channel
    red_green = [pixel + LANES * channel if channel < 2 else 0 for pixel, channel in places]
    with_blue = [LANES + p if channel == 2 else k for k, (p, channel) in enumerate(places)]
    return red_green, with_blue


def _deinterleaving(channel):
    """Two orders that give a channel: one of the first two rows, one of the result and the last."""
    places = [3 * pixel + channel for pixel in range(LANES)]
    first_two = [place if place < 2 * LANES else 0 for place in places]
    with_third = [k if p < 2 * LANES else p - LANES for k, p in enumerate(places)]
    return first_two, with_third


(_rg0, _rgb0), (_rg1, _rgb1), (_rg2, _rgb2) = (
    tuple(define_pick(order, "A step of `interleaved`.") for order in _interleaving(part))
    for part in range(3)
)
(_xy0, _xyz0), (_xy1, _xyz1), (_xy2, _xyz2) = (
    tuple(define_pick(order, "A step of `deinterleaved`.") for order in _deinterleaving(channel))
    for channel in range(3)
)


@njit(_nrt=False, **JIT)
def interleaved(r, g, b):
    """r0, g0, b0, r1, ... b15, in three rows."""
    return _rgb0(_rg0(r, g), b), _rgb1(_rg1(r, g), b), _rgb2(_rg2(r, g), b)


@njit(_nrt=False, **JIT)
def deinterleaved(x, y, z):
    """The inverse of `interleaved`."""
    return _xyz0(_xy0(x, y), z), _xyz1(_xy1(x, y), z), _xyz2(_xy2(x, y), z)

"""Rows of 16 numbers from and to arrays.

A line is 16 numbers that begin at a multiple of 64 bytes, in an array made by `new_lines`.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from d3talker.compiled import JIT
from d3talker.simd.rows import BITS, FLOATS, HAS_AVX512, INTS, LANES, Mask, Row, as_row, bits

BYTES = 4 * LANES


@njit(**JIT)
def new_lines(count):
    """An uninitialised array (count, 16) float32 whose lines can be loaded and stored."""
    flat = np.empty((count + 1) * LANES, np.float32)
    skip = -flat.ctypes.data % BYTES // 4
    return flat[skip : skip + count * LANES].reshape(count, LANES)


def _line_pointer(context, builder, array_type, array, index):
    data = context.make_array(array_type)(context, builder, array).data
    first = builder.mul(index, ir.IntType(64)(LANES))
    return builder.bitcast(builder.gep(data, [first]), FLOATS.as_pointer())


@intrinsic
def load(typing_context, lines, index):
    """Line `index` of an array made by `new_lines`, as a row."""

    def emit(context, builder, sig, args):
        return builder.load(_line_pointer(context, builder, sig.args[0], *args), align=4)

    return Row(lines, types.int64), emit


@intrinsic
def store(typing_context, lines, index, row):
    """Write a row to line `index` of an array made by `new_lines`."""

    def emit(context, builder, sig, args):
        lines, index, row = args
        pointer = _line_pointer(context, builder, sig.args[0], lines, index)
        builder.store(row, pointer, align=4)
        return context.get_dummy_value()

    return types.void(lines, types.int64, Row), emit


@intrinsic
def load_record(typing_context, records, index):
    """The 64 bytes of a record of an array, as 16 float32."""

    def emit(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        pointer = builder.bitcast(builder.gep(data, [args[1]]), FLOATS.as_pointer())
        return builder.load(pointer, align=4)

    return Row(records, types.int64), emit


def _place(context, builder, array_type, array, line, column):
    """Pointer to 16 numbers of a C-contiguous array (m,n) float32."""
    struct = context.make_array(array_type)(context, builder, array)
    columns = builder.extract_value(struct.shape, 1)
    position = builder.add(builder.mul(line, columns), column)
    return builder.bitcast(builder.gep(struct.data, [position]), FLOATS.as_pointer())


@intrinsic
def load_at(typing_context, array, line, column):
    """Sixteen neighbours in a line of a C-contiguous array (m,n) float32, from any column."""

    def emit(context, builder, sig, args):
        return builder.load(_place(context, builder, sig.args[0], *args), align=4)

    return Row(array, types.int64, types.int64), emit


@intrinsic
def store_at(typing_context, array, line, column, row):
    """Write a row into a line of a C-contiguous array (m,n) float32, from any column."""

    def emit(context, builder, sig, args):
        builder.store(args[3], _place(context, builder, sig.args[0], *args[:3]), align=4)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64, Row), emit


def _first_lanes(builder, count):
    """The mask that is true in the first `count` lanes."""
    count = builder.trunc(count, ir.IntType(32))
    one = builder.insert_element(ir.Constant(INTS, ir.Undefined), count, ir.IntType(32)(0))
    counts = builder.shuffle_vector(one, one, ir.Constant(INTS, [0] * LANES))
    return builder.icmp_signed("<", ir.Constant(INTS, list(range(LANES))), counts)


@intrinsic
def load_first(typing_context, array, line, column, count):
    """`load_at` of `count` numbers; the other lanes are 0."""

    def emit(context, builder, sig, args):
        pointer = _place(context, builder, sig.args[0], *args[:3])
        kind = ir.FunctionType(FLOATS, [pointer.type, ir.IntType(32), BITS, FLOATS])
        name = "llvm.masked.load.v16f32.p0"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        mask, nothing = _first_lanes(builder, args[3]), ir.Constant(FLOATS, [0.0] * LANES)
        return builder.call(function, [pointer, ir.IntType(32)(4), mask, nothing])

    return Row(array, types.int64, types.int64, types.int64), emit


@intrinsic
def store_first(typing_context, array, line, column, row, count):
    """Write the first `count` lanes of a row into a line of a C-contiguous array (m,n) float32."""

    def emit(context, builder, sig, args):
        pointer = _place(context, builder, sig.args[0], *args[:3])
        mask = _first_lanes(builder, args[4])
        kind = ir.FunctionType(ir.VoidType(), [FLOATS, pointer.type, ir.IntType(32), BITS])
        name = "llvm.masked.store.v16f32.p0"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        builder.call(function, [args[3], pointer, ir.IntType(32)(4), mask])
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64, Row, types.int64), emit


@intrinsic
def gather(typing_context, array, index):
    """Numbers of a C-contiguous array float32, of any shape, at 16 places of its memory: whole
    numbers below 2^24."""

    def emit(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        index = builder.fptosi(args[1], INTS)
        if HAS_AVX512:
            name = "llvm.x86.avx512.mask.gather.dps.512"
            kind = ir.FunctionType(FLOATS, [FLOATS, data.type, INTS, BITS, ir.IntType(32)])
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            nothing = ir.Constant(FLOATS, [0.0] * LANES)
            everywhere = ir.Constant(BITS, [True] * LANES)
            return builder.call(function, [nothing, data, index, everywhere, ir.IntType(32)(4)])
        row = ir.Constant(FLOATS, ir.Undefined)
        for lane in range(LANES):
            place = builder.sext(
                builder.extract_element(index, ir.IntType(32)(lane)), ir.IntType(64)
            )
            row = builder.insert_element(
                row, builder.load(builder.gep(data, [place])), ir.IntType(32)(lane)
            )
        return row

    return Row(array, Row), emit


@intrinsic
def gather_pairs(typing_context, array, index):
    """What `gather` finds at 16 places, and what lies behind each of them."""

    def emit(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        index = builder.fptosi(args[1], INTS)
        halves = [_pairs(builder, data, index, first) for first in (0, LANES // 2)]
        rows = [
            builder.shuffle_vector(*halves, ir.Constant(INTS, [*range(side, 2 * LANES, 2)]))
            for side in (0, 1)
        ]
        return context.make_tuple(builder, sig.return_type, rows)

    return types.UniTuple(Row, 2)(array, Row), emit


def _pairs(builder, data, index, first):
    """Two numbers at each of 8 of the 16 places `index`, from the `first` on, as one vector."""
    half = LANES // 2
    if HAS_AVX512:
        kinds = (ir.DoubleType(), ir.IntType(1), ir.IntType(32))
        doubles, bits, places = (ir.VectorType(kind, half) for kind in kinds)
        lanes = ir.Constant(places, [*range(first, first + half)])
        places = builder.shuffle_vector(index, index, lanes)
        pointer = builder.bitcast(data, ir.DoubleType().as_pointer())
        arguments = [doubles, pointer.type, places.type, bits, ir.IntType(32)]
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(doubles, arguments),
            "llvm.x86.avx512.mask.gather.dpd.512",
        )
        nothing, everywhere = ir.Constant(doubles, [0.0] * half), ir.Constant(bits, [True] * half)
        found = builder.call(function, [nothing, pointer, places, everywhere, ir.IntType(32)(4)])
        return builder.bitcast(found, FLOATS)
    doubles = ir.VectorType(ir.DoubleType(), half)
    found = ir.Constant(doubles, ir.Undefined)
    for lane in range(half):
        place = builder.extract_element(index, ir.IntType(32)(first + lane))
        pointer = builder.bitcast(builder.gep(data, [place]), ir.DoubleType().as_pointer())
        pair = builder.load(pointer, align=4)
        found = builder.insert_element(found, pair, ir.IntType(32)(lane))
    return builder.bitcast(found, FLOATS)


@intrinsic
def add_pair(typing_context, array, lines, place, pairs, k):
    """Add the pair k of neighbours in the lines from `pairs` on to two neighbours of an array (n,)
    float32. Number k of the line `place` says which, as of `gather`."""

    def emit(context, builder, sig, args):
        array, lines, place, pairs, k = args
        first = context.make_array(sig.args[1])(context, builder, lines).data
        lanes = ir.IntType(64)(LANES)

        def number(line, lane):
            return builder.gep(first, [builder.add(builder.mul(line, lanes), lane)])

        pair = ir.VectorType(ir.FloatType(), 2).as_pointer()
        added = builder.load(builder.bitcast(number(pairs, builder.add(k, k)), pair), align=4)
        index = builder.fptosi(builder.load(number(place, k)), ir.IntType(64))
        data = context.make_array(sig.args[0])(context, builder, array).data
        entries = builder.bitcast(builder.gep(data, [index]), pair)
        builder.store(builder.fadd(builder.load(entries, align=4), added), entries, align=4)
        return context.get_dummy_value()

    return types.void(array, lines, types.int64, types.int64, types.int64), emit


@intrinsic
def spread_at(typing_context, array, line, column):
    """One number of a C-contiguous array (m,n) float32, repeated 16 times."""

    def emit(context, builder, sig, args):
        place = _place(context, builder, sig.args[0], *args)
        number = builder.load(builder.bitcast(place, ir.FloatType().as_pointer()))
        return as_row(context, builder, number, types.float32)

    return Row(array, types.int64, types.int64), emit


def _define_spread(count, doc):
    """A function that loads `count` neighbours of a line and repeats them to fill a row."""

    def spread(typing_context, lines, index, lane):
        def emit(context, builder, sig, args):
            lines, index, lane = args
            data = context.make_array(sig.args[0])(context, builder, lines).data
            position = builder.add(builder.mul(index, ir.IntType(64)(LANES)), lane)
            some = ir.VectorType(ir.FloatType(), count)
            pointer = builder.bitcast(builder.gep(data, [position]), some.as_pointer())
            part = builder.load(pointer, align=4)
            return builder.shuffle_vector(
                part, part, ir.Constant(INTS, [*range(count)] * (LANES // count))
            )

        return Row(lines, types.int64, types.int64), emit

    spread.__doc__ = doc
    return intrinsic(spread)


spread2 = _define_spread(2, "Two neighbours in a line, repeated 8 times.")
spread4 = _define_spread(4, "Four neighbours in a line, repeated 4 times.")


@intrinsic
def lanes_with_bit(typing_context, numbers, first, bit, count):
    """In which of the lanes k below `count` the number at `first` + k of an array uint16 has a bit.

    The array must have 16 numbers from `first` on.
    """

    def emit(context, builder, sig, args):
        numbers, first, bit, count = args
        halves = ir.VectorType(ir.IntType(16), LANES)
        data = context.make_array(sig.args[0])(context, builder, numbers).data
        pointer = builder.bitcast(builder.gep(data, [first]), halves.as_pointer())
        bit = builder.shl(ir.IntType(16)(1), builder.trunc(bit, ir.IntType(16)))
        one = builder.insert_element(ir.Constant(halves, ir.Undefined), bit, ir.IntType(32)(0))
        bits = builder.shuffle_vector(one, one, ir.Constant(INTS, [0] * LANES))
        found = builder.and_(builder.load(pointer, align=2), bits)
        found = builder.icmp_unsigned("!=", found, ir.Constant(halves, [0] * LANES))
        return builder.and_(found, _first_lanes(builder, count))

    return Mask(numbers, types.int64, types.int64, types.int64), emit


# For every 8 bits, the places of those that are set, one beside the other.
SET_BITS = np.zeros((256, 8), np.uint8)
for _byte in range(256):
    _set = [bit for bit in range(8) if _byte >> bit & 1]
    SET_BITS[_byte, : len(_set)] = _set


@njit(_nrt=False, **JIT)
def store_lanes(array, line, column, start, mask):
    """Write `start` + k for each lane k of the mask into a line of an array (m,n) int32, one beside
    the other from a column on. Returns how many; what follows them, up to 16, is overwritten."""
    if HAS_AVX512:
        return _compress_lanes(array, line, column, start, mask)
    chosen = bits(mask)
    count = _store_bits(array, line, column, start, SET_BITS, chosen & 255)
    return count + _store_bits(array, line, column + count, start + 8, SET_BITS, chosen >> 8)


@intrinsic
def _store_bits(typing_context, array, line, column, start, set_bits, byte):
    """`store_lanes` of the eight lanes whose bits make a byte."""

    def emit(context, builder, sig, args):
        array, line, column, start, set_bits, byte = args
        ints, bytes_ = (ir.VectorType(ir.IntType(size), 8) for size in (32, 8))
        table = context.make_array(sig.args[4])(context, builder, set_bits).data
        entry = builder.gep(table, [builder.mul(byte, ir.IntType(64)(8))])
        places = builder.load(builder.bitcast(entry, bytes_.as_pointer()), align=1)
        start = builder.trunc(start, ir.IntType(32))
        one = builder.insert_element(ir.Constant(ints, ir.Undefined), start, ir.IntType(32)(0))
        starts = builder.shuffle_vector(one, one, ir.Constant(ints, [0] * 8))
        pointer = _place(context, builder, sig.args[0], array, line, column)
        numbers = builder.add(builder.zext(places, ints), starts)
        builder.store(numbers, builder.bitcast(pointer, ints.as_pointer()), align=4)
        return builder.ctpop(byte)

    kinds = (types.int64, types.int64, types.int64, set_bits, types.int64)
    return types.int64(array, *kinds), emit


@intrinsic
def _compress_lanes(typing_context, array, line, column, start, mask):
    """`store_lanes` by the instruction of AVX-512 for it."""

    def emit(context, builder, sig, args):
        array, line, column, start, mask = args
        start = builder.trunc(start, ir.IntType(32))
        one = builder.insert_element(ir.Constant(INTS, ir.Undefined), start, ir.IntType(32)(0))
        numbers = builder.shuffle_vector(one, one, ir.Constant(INTS, [0] * LANES))
        numbers = builder.add(numbers, ir.Constant(INTS, list(range(LANES))))
        kind = ir.FunctionType(INTS, [INTS, BITS, INTS])
        name = "llvm.experimental.vector.compress.v16i32"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        packed = builder.call(function, [numbers, mask, numbers])
        pointer = _place(context, builder, sig.args[0], array, line, column)
        builder.store(packed, builder.bitcast(pointer, INTS.as_pointer()), align=4)
        bits = builder.zext(builder.bitcast(mask, ir.IntType(LANES)), ir.IntType(64))
        return builder.ctpop(bits)

    return types.int64(array, types.int64, types.int64, types.int64, Mask), emit

"""A numba type for sixteen numbers at once.

Inside a kernel, a `Row` holds one float32 for each of 16 lanes, say pixels, and a `Mask` one truth
value for each. `+ - * /` and comparisons work between rows, and between a row and a number; masks
are joined with `&`. Each operation becomes one LLVM vector instruction, which LLVM translates to
whatever the machine has: one AVX-512 instruction, two of AVX2, four of SSE or NEON. Loops over
pixels written with plain numbers give the same results, but numba's compiler fails to turn them
into vectors, and they run several times slower.

    dx = lane_columns() + left      # 4 x 4 neighbouring pixel centres
    alpha = exp2(power)             # 16 opacities
    alpha = select(power >= cutoff, alpha, 0.0)
"""

import operator

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import njit, types
from numba.core import cgutils
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

from d3talker.compiled import JIT

LANES = 16
HAS_AVX512 = get_host_cpu_features().get("avx512f", False)
HAS_AVX = get_host_cpu_features().get("avx", False)
FLOATS = ir.VectorType(ir.FloatType(), LANES)
INTS = ir.VectorType(ir.IntType(32), LANES)
BITS = ir.VectorType(ir.IntType(1), LANES)


class _RowType(types.Type):
    def __init__(self):
        super().__init__("Row")


class _MaskType(types.Type):
    def __init__(self):
        super().__init__("Mask")


Row, Mask = _RowType(), _MaskType()


@register_model(_RowType)
class _RowModel(models.PrimitiveModel):
    def __init__(self, manager, numba_type):
        super().__init__(manager, numba_type, FLOATS)


@register_model(_MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager, numba_type):
        super().__init__(manager, numba_type, BITS)


def _is_row_or_number(numba_type):
    return numba_type is Row or isinstance(numba_type, types.Number)


def as_row(context, builder, value, numba_type):
    """The LLVM vector of a row, or of a number repeated 16 times."""
    if numba_type is Row:
        return value
    number = context.cast(builder, value, numba_type, types.float32)
    one = builder.insert_element(ir.Constant(FLOATS, ir.Undefined), number, ir.IntType(32)(0))
    return builder.shuffle_vector(one, one, ir.Constant(INTS, [0] * LANES))


def _define_operator(symbol, result, emit):
    """Let `symbol` join two rows, or a row and a number; `emit` makes the LLVM instruction."""

    @infer_global(symbol)
    class Typing(AbstractTemplate):
        def generic(self, args, kws):
            if len(args) == 2 and Row in args and all(map(_is_row_or_number, args)):
                return signature(result, *args)
            return None

    def lower(context, builder, sig, args):
        a, b = (as_row(context, builder, v, t) for v, t in zip(args, sig.args, strict=True))
        return emit(builder, a, b)

    for left, right in ((Row, Row), (Row, types.Number), (types.Number, Row)):
        lower_builtin(symbol, left, right)(lower)


def _arithmetic(name):
    return lambda builder, a, b: getattr(builder, name)(a, b, flags=("contract", "nsz", "arcp"))


def _comparison(symbol):
    return lambda builder, a, b: builder.fcmp_ordered(symbol, a, b)


_define_operator(operator.add, Row, _arithmetic("fadd"))
_define_operator(operator.iadd, Row, _arithmetic("fadd"))
_define_operator(operator.sub, Row, _arithmetic("fsub"))
_define_operator(operator.mul, Row, _arithmetic("fmul"))
_define_operator(operator.truediv, Row, _arithmetic("fdiv"))
_define_operator(operator.ge, Mask, _comparison(">="))
_define_operator(operator.gt, Mask, _comparison(">"))
_define_operator(operator.lt, Mask, _comparison("<"))


@infer_global(operator.and_)
class _MaskAnd(AbstractTemplate):
    def generic(self, args, kws):
        return signature(Mask, Mask, Mask) if args == (Mask, Mask) else None


@lower_builtin(operator.and_, Mask, Mask)
def _lower_mask_and(context, builder, sig, args):
    return builder.and_(*args)


@intrinsic
def lane_columns(typing_context):
    """0, 1, 2, 3, 0, 1, ...: the column of each lane in a block of 4 x 4."""
    columns = [lane % 4 for lane in range(LANES)]
    return Row(), lambda context, builder, sig, args: ir.Constant(FLOATS, columns)


@intrinsic
def lane_rows(typing_context):
    """0, 0, 0, 0, 1, 1, ...: the row of each lane in a block of 4 x 4."""
    rows = [lane // 4 for lane in range(LANES)]
    return Row(), lambda context, builder, sig, args: ir.Constant(FLOATS, rows)


@intrinsic
def filled(typing_context, number):
    """A number repeated 16 times."""

    def emit(context, builder, sig, args):
        return as_row(context, builder, args[0], sig.args[0])

    return Row(number), emit


@intrinsic
def select(typing_context, mask, yes, no):
    """`yes` where `mask` is true, else `no`; both may be rows or numbers."""

    def emit(context, builder, sig, args):
        a, b = (as_row(context, builder, args[k], sig.args[k]) for k in (1, 2))
        return builder.select(args[0], a, b)

    return Row(mask, yes, no), emit


@intrinsic
def any_lane(typing_context, mask):
    """Whether the mask is true anywhere."""

    def emit(context, builder, sig, args):
        bits = builder.bitcast(args[0], ir.IntType(LANES))
        return builder.icmp_unsigned("!=", bits, ir.IntType(LANES)(0))

    return types.boolean(mask), emit


@intrinsic
def bits(typing_context, mask):
    """The mask as a number: lane k is bit k."""

    def emit(context, builder, sig, args):
        return builder.zext(builder.bitcast(args[0], ir.IntType(LANES)), ir.IntType(64))

    return types.int64(mask), emit


def _define_choice(symbol, doc):
    """A function of two rows or numbers that keeps, in each lane, the one that compares so."""

    def choice(typing_context, a, b):
        def emit(context, builder, sig, args):
            x, y = (as_row(context, builder, args[k], sig.args[k]) for k in (0, 1))
            return builder.select(builder.fcmp_ordered(symbol, x, y), x, y)

        return Row(a, b), emit

    choice.__doc__ = doc
    return intrinsic(choice)


smaller = _define_choice("<", "The smaller of two rows, or of a row and a number, lane by lane.")
larger = _define_choice(">", "The larger of two rows, or of a row and a number, lane by lane.")


@intrinsic
def _times_power_of_two(typing_context, row, shifted):
    """row * 2**n, where `shifted` is n + ROUNDING: adds to the exponent bits of the floats."""

    def emit(context, builder, sig, args):
        exponent = builder.shl(builder.bitcast(args[1], INTS), ir.Constant(INTS, [23] * LANES))
        return builder.bitcast(builder.add(builder.bitcast(args[0], INTS), exponent), FLOATS)

    return Row(row, shifted), emit


# A float32 this large has no digits after the point: adding it rounds to the nearest whole number,
# which then stands in the lowest bits.
ROUNDING = np.float32(1.5 * 2**23)


@njit(**JIT)
def exp2(x):
    """2**x for 16 numbers in [-126, 127], to a relative error of 3e-7; others give anything."""
    shifted = x + ROUNDING
    f = x - (shifted - ROUNDING)
    # minimax polynomial of 2**f on [-1/2, 1/2], to a relative error of 1e-7
    p = f * 1.3264727e-3 + 9.6715128e-3
    p = p * f + 5.5507337e-2
    p = p * f + 2.4022242e-1
    p = p * f + 6.9314698e-1
    return _times_power_of_two(p * f + 1.0, shifted)


@intrinsic
def inverse(typing_context, row):
    """1 / row to a relative error of 3e-7, for numbers whose inverse is no infinity.

    AVX-512 has a fast estimate to 14 bits, AVX one to 12, which a step of Newton's method doubles.
    """

    def emit(context, builder, sig, args):
        x = args[0]
        if HAS_AVX512:
            estimate = _estimate_avx512(builder, x)
        elif HAS_AVX:
            estimate = _estimate_avx(builder, x)
        else:
            return builder.fdiv(ir.Constant(FLOATS, [1.0] * LANES), x)
        product = builder.fmul(x, estimate, flags=("contract",))
        rest = builder.fsub(ir.Constant(FLOATS, [2.0] * LANES), product, flags=("contract",))
        return builder.fmul(estimate, rest)

    return Row(row), emit


def _estimate_avx512(builder, x):
    bits = ir.IntType(16)
    kind = ir.FunctionType(FLOATS, [FLOATS, FLOATS, bits])
    name = "llvm.x86.avx512.rcp14.ps.512"
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, [x, ir.Constant(FLOATS, [0.0] * LANES), bits(0xFFFF)])


def _estimate_avx(builder, x):
    half = LANES // 2
    floats, ints = ir.VectorType(ir.FloatType(), half), ir.VectorType(ir.IntType(32), half)
    kind = ir.FunctionType(floats, [floats])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx.rcp.ps.256")
    lower, upper = (
        builder.call(function, [builder.shuffle_vector(x, x, ir.Constant(ints, [*lanes]))])
        for lanes in (range(half), range(half, LANES))
    )
    return builder.shuffle_vector(lower, upper, ir.Constant(INTS, [*range(LANES)]))


def _define_sign(name, value, doc):
    """A function that sets the sign bits of a row."""

    def sign(typing_context, row):
        def emit(context, builder, sig, args):
            bits = builder.bitcast(args[0], INTS)
            return builder.bitcast(getattr(builder, name)(bits, ir.Constant(INTS, value)), FLOATS)

        return Row(row), emit

    sign.__doc__ = doc
    return intrinsic(sign)


negative = _define_sign("or_", [1 << 31] * LANES, "-|row|, lane by lane.")
positive = _define_sign("and_", [(1 << 31) - 1] * LANES, "|row|, lane by lane.")


@intrinsic
def whole(typing_context, row):
    """The largest whole number not above, lane by lane."""

    def emit(context, builder, sig, args):
        kind = ir.FunctionType(FLOATS, [FLOATS])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.floor.v16f32")
        return builder.call(function, args)

    return Row(row), emit


@intrinsic
def total(typing_context, row):
    """Sum of the 16 numbers, always in the same order."""

    def emit(context, builder, sig, args):
        kind = ir.FunctionType(ir.FloatType(), [ir.FloatType(), FLOATS])
        name = "llvm.vector.reduce.fadd.v16f32"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(function, [ir.FloatType()(0.0), args[0]], fastmath=("reassoc",))

    return types.float32(row), emit

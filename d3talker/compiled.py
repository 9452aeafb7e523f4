"""How the numba kernels of this package are compiled, and how many threads they use.

Kernels are cached on disk (`NUMBA_CACHE_DIR`), so that compilation is paid once. numba looks only
at the file that holds a kernel when it decides whether the cached version is still good: after an
edit of a helper in another file, delete the cache.
"""

import os

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

# numba's own work queue wakes its threads on the core of the one that waits for them, where they
# run one after the other. GNU's OpenMP does so too, unless a thread that waits spins a while (this
# many times, a few tenths of a millisecond) before it sleeps.
numba.config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]
os.environ.setdefault("GOMP_SPINCOUNT", "100000")

# Options of numba.njit shared by all kernels. Operations are never reordered, so that a result
# does not depend on the number of threads; "contract" allows fused multiply-add.
JIT = {
    "cache": True,
    "error_model": "numpy",
    "fastmath": {"contract", "nsz", "arcp"},
    "nogil": True,  # other Python threads go on meanwhile
}


def set_threads(count: int) -> None:
    """Use `count` threads in all kernels (default: every core). Results do not depend on it."""
    numba.set_num_threads(count)


@intrinsic
def take_next(typing_context, counter):
    """The number in `counter` (1,) int64, which grows by one: no two threads get the same.

    So that a thread with easy pieces of work takes more of them, a kernel has

        for _ in prange(threads):
            piece = take_next(counter)
            while piece < pieces:
                ...
                piece = take_next(counter)

    where numba would give each thread one stretch of the pieces. (`threads` is an argument of the
    kernel: numba does not cache one that asks for their number itself.)
    """

    def emit(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.atomic_rmw("add", data, ir.IntType(64)(1), "monotonic")

    return types.int64(counter), emit

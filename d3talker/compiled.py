"""How the numba kernels of this package are compiled, and how many threads they use.

Kernels are cached on disk (`NUMBA_CACHE_DIR`), so that compilation is paid once. numba looks only
at the file that holds a kernel when it decides whether the cached version is still good: after an
edit of a helper in another file, delete the cache.
"""

import numba

# Threads that wait for work sleep. The OpenMP layer would spin, which starves other processes.
numba.config.THREADING_LAYER = "workqueue"

# Options of numba.njit shared by all kernels. Operations are never reordered, so that a result
# does not depend on the number of threads; "contract" allows fused multiply-add.
JIT = {"cache": True, "error_model": "numpy", "fastmath": {"contract", "nsz", "arcp"}}


def set_threads(count: int) -> None:
    """Use `count` threads in all kernels (default: every core). Results do not depend on it."""
    numba.set_num_threads(count)

"""What this machine is and can do: its measured peaks."""

import os
import platform
import re
from pathlib import Path

import numpy as np
from numba import njit, prange

from benchmarks.table import Row
from benchmarks.timing import interleaved, threads
from d3talker.compiled import JIT
from d3talker.simd.memory import new_lines, store
from d3talker.simd.rows import LANES, filled

PIECES = 16  # of the work, handed out to the threads
LOOPS = 100_000  # of a piece
CHAINS = (6, 12)  # multiply-adds of one loop that do not wait for each other
SMALLEST_ARRAY = 64 << 20  # bytes, where the size of the caches is unknown
BUSY = 0.25  # load per core from which figures count as disturbed


@njit(_nrt=False, **JIT)
def six_chains(lines, line, loops):
    """Six independent multiply-adds per loop: twelve registers where a row takes two."""
    x, y = filled(0.5), filled(0.5)
    a, b, c = filled(0.1), filled(0.2), filled(0.3)
    d, e, f = filled(0.4), filled(0.6), filled(0.7)
    for _ in range(loops):
        a, b, c = a * x + y, b * x + y, c * x + y
        d, e, f = d * x + y, e * x + y, f * x + y
    store(lines, line, a + b + c + d + e + f)


@njit(_nrt=False, **JIT)
def twelve_chains(lines, line, loops):
    """Twelve, which hide the latency of two units where a row takes one register."""
    x, y = filled(0.5), filled(0.5)
    a, b, c, d = filled(0.1), filled(0.2), filled(0.3), filled(0.4)
    e, f, g, h = filled(0.6), filled(0.7), filled(0.8), filled(0.9)
    i, j, k, m = filled(1.1), filled(1.2), filled(1.3), filled(1.4)
    for _ in range(loops):
        a, b, c, d = a * x + y, b * x + y, c * x + y, d * x + y
        e, f, g, h = e * x + y, f * x + y, g * x + y, h * x + y
        i, j, k, m = i * x + y, j * x + y, k * x + y, m * x + y
    store(lines, line, a + b + c + d + e + f + g + h + i + j + k + m)


@njit(parallel=True, **JIT)
def multiply_add(lines, chains, loops):
    """As many multiply-adds as `chains` says, `loops` times for each of `lines`."""
    for line in prange(lines.shape[0]):
        if chains == 6:
            six_chains(lines, line, loops)
        else:
            twelve_chains(lines, line, loops)


@njit(parallel=True, **JIT)
def triad(a, b, c, factor):
    """a = b + factor c."""
    for k in prange(a.shape[0]):
        a[k] = b[k] + factor * c[k]


def name() -> str:
    """The processor and the number of cores that this process may use."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists() and (found := re.search(r"model name\s*: (.*)", info.read_text())):
        model = found[1]
    return f"{model}, {cores()} cores"


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def disturbance() -> str | None:
    """A warning if other work is running."""
    load = os.getloadavg()[0]
    if load < BUSY * cores():
        return None
    return (
        f"WARNING: load average {load:.1f} on {cores()} cores: other work disturbs these figures, "
        "unless it has just ended"
    )


def last_level_cache() -> int:
    """Bytes of the largest cache, 0 if unknown."""
    units = {"K": 1 << 10, "M": 1 << 20}
    sizes = [
        path.read_text().strip()
        for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    ]
    return max((int(size[:-1]) * units[size[-1]] for size in sizes if size[-1] in units), default=0)


def peak_operations(count: int, seconds: float, loops: int) -> float:
    """Multiplications and additions of float32 per second that `count` threads reach."""
    lines = new_lines(PIECES)
    candidates = {
        str(chains): lambda chains=chains: multiply_add(lines, chains, loops) for chains in CHAINS
    }
    with threads(count):
        timings = interleaved(candidates, seconds)
    return max(
        2 * LANES * chains * loops * PIECES / (1e-3 * timings[str(chains)].least)
        for chains in CHAINS
    )


def peak_bandwidth(count: int, seconds: float, array_bytes: int) -> float:
    """Bytes per second that `count` threads read and write in three arrays of `array_bytes`."""
    size = array_bytes // 4
    a, b, c = (np.full(size, value, np.float32) for value in (0.0, 1.0, 2.0))
    with threads(count):
        timing = interleaved({"triad": lambda: triad(a, b, c, np.float32(3))}, seconds)["triad"]
    return 3 * 4 * size / (1e-3 * timing.least)


def peak_rows(
    counts: tuple[int, ...], seconds: float, loops: int = LOOPS, array_bytes: int | None = None
) -> list[Row]:
    """The peaks, as the time of 1e9 operations or bytes; arrays are larger than the caches."""
    array_bytes = array_bytes or max(SMALLEST_ARRAY, last_level_cache())
    rows = []
    for count in counts:
        rate = peak_operations(count, seconds, loops)
        rows.append(
            Row(
                "1e9 float32 multiply or add",
                "numba",
                threads=count,
                ms=1e12 / rate,
                fraction_of_peak=1.0,
                remark=f"{1e-9 * rate:.0f} GFLOP/s",
            )
        )
    for count in counts:
        rate = peak_bandwidth(count, seconds, array_bytes)
        remark = f"{1e-9 * rate:.1f} GB/s"
        rows.append(Row("1e9 bytes, triad", "numba", threads=count, ms=1e12 / rate, remark=remark))
    return rows

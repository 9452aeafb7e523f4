"""Times of candidates that are compared in one run."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import NamedTuple

import numba
import torch
from torch import Tensor

from d3talker.compiled import set_threads

ROUNDS = 3  # at least
AT_ONCE = 5  # runs of a fast candidate beside one of the slowest


class Timing(NamedTuple):
    """Milliseconds of one run: the median tells what to expect, the least what is possible."""

    median: float
    least: float


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let compiled kernels and torch use `count` threads."""
    before = numba.get_num_threads(), torch.get_num_threads()
    set_threads(count)
    torch.set_num_threads(count)
    try:
        yield
    finally:
        set_threads(before[0])
        torch.set_num_threads(before[1])


def seconds_of(function: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def summary(seconds: list[float]) -> Timing:
    """The timing of samples."""
    return Timing(1e3 * median(seconds), 1e3 * min(seconds))


def interleaved(candidates: dict[str, Callable[[], object]], seconds: float) -> dict[str, Timing]:
    """Run the candidates in turn for about `seconds`, so that all meet the same disturbances.

    Each runs at least ROUNDS times, after one run that compiles and fills caches; in a round a fast
    one runs up to AT_ONCE times as often as the slowest.
    """
    for function in candidates.values():
        function()
    once = {name: seconds_of(function) for name, function in candidates.items()}
    slowest = max(once.values())
    runs = {name: min(AT_ONCE, max(1, int(slowest / time))) for name, time in once.items()}
    samples: dict[str, list[float]] = {name: [] for name in candidates}
    stop = time.perf_counter() + seconds
    done = 0
    while done < ROUNDS or time.perf_counter() < stop:
        for name, function in candidates.items():
            samples[name] += [seconds_of(function) for _ in range(runs[name])]
        done += 1
    return {name: summary(values) for name, values in samples.items()}


def forward_backward(function: Callable[[], Tensor], inputs: list[Tensor]) -> Callable[[], object]:
    """A run of `function` and of the gradients of its result by `inputs`."""
    with torch.no_grad():
        weights = torch.randn_like(function())
    return lambda: torch.autograd.grad(function(), inputs, weights)

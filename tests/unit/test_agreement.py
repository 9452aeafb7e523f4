"""Kendall's tau-b against known values, and against SciPy's where it is installed."""

import itertools
import random

import pytest

from d3talker.report.agreement import kendall_tau


@pytest.mark.parametrize(
    ("ours", "theirs", "tau"),
    [
        ([1, 2, 3], [10, 20, 30], 1),
        ([1, 2, 3], [3, 2, 1], -1),
        ([1, 3, 2, 4], [1, 2, 3, 4], 2 / 3),  # five of six pairs agree
        # The example of SciPy's documentation, with ties in both.
        ([12, 2, 1, 12, 2], [1, 4, 7, 1, 0], -0.47140452079103173),
    ],
)
def test_known_values(ours, theirs, tau):
    assert kendall_tau(ours, theirs) == pytest.approx(tau)


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0, 2.0]])
def test_where_there_is_no_order_there_is_no_value(values):
    assert kendall_tau(values, list(range(len(values)))) is None


def test_scipy_agrees():
    stats = pytest.importorskip("scipy.stats")
    numbers = random.Random(0)
    for count, _ in itertools.product((3, 7, 15), range(5)):
        ours, theirs = ([numbers.randrange(6) for _ in range(count)] for _ in range(2))
        expected = stats.kendalltau(ours, theirs).statistic
        found = kendall_tau(ours, theirs)
        assert found == pytest.approx(expected) or (found is None and expected != expected)

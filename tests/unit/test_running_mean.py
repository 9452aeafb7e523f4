"""The running mean against torch_ema's closed form (method spec 4.7)."""

from math import prod

import pytest

torch = pytest.importorskip("torch")

from d3talker.train.running_mean import RunningMean  # noqa: E402


def test_what_is_left_of_the_first_value_after_n_updates():
    """From 1 to 0 once and for all: the product of min(0.995, (1 + k) / (10 + k))."""
    module = torch.nn.Linear(1, 1, bias=False).double()
    torch.nn.init.ones_(module.weight)
    mean = RunningMean(module, decay=0.995)
    torch.nn.init.zeros_(module.weight)
    left = {}
    for n in range(1, 2501):
        mean.update()
        left[n] = mean.means[0].item()
    assert left[1] == pytest.approx(2 / 11)
    # The product telescopes to 10! / ((n + 2) ... (n + 10)) while the warm-up lasts, to n = 1790.
    for n in (2, 100, 1790):
        expected = prod(range(1, 11)) / prod(range(n + 2, n + 11))
        assert left[n] == pytest.approx(expected, rel=1e-9)
    assert left[2500] == pytest.approx(left[1790] * 0.995**710, rel=1e-9)
    mean.apply()
    assert module.weight.item() == left[2500]

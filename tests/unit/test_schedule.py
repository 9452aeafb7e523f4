"""Learning rates at named iterations (method spec 3.1, 4.7, appendix A 9 and B)."""

from dataclasses import replace

import pytest

from d3talker.train.schedule import gaussians_factor, general_factor, individual_factor
from d3talker.train.settings import AdaptSettings, TrainSettings

PRETRAIN = TrainSettings(fields_warmup=0, general_halving=100_000, fields_lr_final=0.1)
ADAPT = AdaptSettings(fields_warmup=0, general_slow_until=3000, general_halving=10_000)


@pytest.mark.parametrize(
    ("it", "factor"), [(0, 1), (50_000, 0.7071), (100_000, 0.2154), (150_000, 0.1)]
)
def test_the_general_field_in_pre_training(it, factor):
    assert general_factor(it, 150_000, PRETRAIN) == pytest.approx(factor, abs=1e-4)


@pytest.mark.parametrize(("it", "factor"), [(0, 0.1), (2999, 0.1), (3000, 0.8123), (9999, 0.5)])
def test_the_general_field_in_adaptation(it, factor):
    assert general_factor(it, 10_000, ADAPT) == pytest.approx(factor, abs=1e-4)


def test_means_reach_their_last_rate_at_45_000_and_keep_it():
    settings = TrainSettings(means_lr_final=0.01, means_lr_span=45_000)
    assert gaussians_factor("means", 10_000, 10_000, settings) == pytest.approx(0.36, abs=1e-2)
    for it in (45_000, 150_000):
        assert gaussians_factor("means", it, 150_000, settings) == pytest.approx(0.01)


def test_the_quick_schedule_falls_log_linearly_over_the_phase():
    settings = TrainSettings()
    assert gaussians_factor("means", 500, 1000, settings) == pytest.approx(0.05**0.5)
    assert gaussians_factor("colors", 1000, 1000, settings) == pytest.approx(0.2)
    assert general_factor(500, 1000, settings) == pytest.approx(0.05**0.5)
    assert general_factor(99, 1000, settings) == pytest.approx(0.5 * 0.05**0.099)  # warming up


def test_an_individual_field_is_still_and_then_has_a_rate_of_its_own():
    settings = replace(ADAPT, individual_lr_final=1.0)
    assert individual_factor(999, 10_000, settings, 1000) == 0
    assert individual_factor(1000, 10_000, settings, 1000) == 1
    assert individual_factor(9999, 10_000, settings, 1000) == 1

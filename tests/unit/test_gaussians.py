"""Gaussian sets keep their optimiser state through density changes."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from d3talker.splat.gaussians import ATTRIBUTES, Gaussians, rotate  # noqa: E402

RATES = dict.fromkeys(ATTRIBUTES, 1e-3)


@pytest.fixture
def gaussians():
    points = np.random.default_rng(0).normal(0, 0.01, (40, 3))
    made = Gaussians.from_points(points, np.full((40, 3), 0.5), opacity=0.27)
    made.make_optimizer(RATES)
    sum(getattr(made, name).square().sum() for name in ATTRIBUTES).backward()
    made.optimizer.step()
    return made


def densify(gaussians, gradient, limit=100, split_size=1.5e-3, keep=None):
    keep = torch.ones(len(gaussians), dtype=torch.bool) if keep is None else keep
    gaussians.densify(gradient, 4e-4, split_size, limit, keep)


def test_initial_size_is_the_gap_to_neighbours():
    grid = np.stack(np.meshgrid(*[np.arange(4) * 2e-3] * 3), -1).reshape(-1, 3)
    made = Gaussians.from_points(grid, np.zeros((64, 3)), opacity=0.27)
    assert torch.allclose(made.activated()["scales"], torch.tensor(2e-3), rtol=1e-4)
    assert torch.allclose(made.activated()["opacities"], torch.tensor(0.27))


def test_calm_gaussians_stay_as_they_are(gaussians):
    before = gaussians.means.detach().clone()
    densify(gaussians, torch.zeros(40))
    assert torch.equal(gaussians.means, before)


def test_restless_small_ones_are_cloned_and_large_ones_split(gaussians):
    with torch.no_grad():
        gaussians.scales[0] = torch.log(torch.expm1(torch.tensor(5e-3)))
        gaussians.scales[1:] = torch.log(torch.expm1(torch.tensor(1e-3)))
    gradient = torch.zeros(40)
    gradient[:2] = 1.0
    densify(gaussians, gradient)
    assert len(gaussians) == 40 - 1 + 2 + 1
    sizes = gaussians.activated()["scales"].amax(1)
    assert (sizes > 4e-3).sum() == 0
    assert torch.isclose(sizes, torch.tensor(5e-3 / 1.6)).sum() == 2


def test_the_limit_holds(gaussians):
    densify(gaussians, torch.ones(40), limit=45, split_size=1.0)
    assert len(gaussians) == 45


def test_moments_follow_the_gaussians_that_are_kept(gaussians):
    keep = torch.arange(40) % 2 == 1
    moments = gaussians.optimizer.state[gaussians.means]["exp_avg"][1::2].clone()
    densify(gaussians, torch.zeros(40), keep=keep)
    assert len(gaussians) == 20
    assert torch.equal(gaussians.optimizer.state[gaussians.means]["exp_avg"], moments)
    gaussians.means.square().sum().backward()
    gaussians.optimizer.step()


def test_limited_opacities_start_anew(gaussians):
    with torch.no_grad():
        gaussians.opacities[0] = -7.0
    gaussians.limit_opacities(0.01)
    expected = torch.full((40,), 0.01)
    expected[0] = torch.sigmoid(torch.tensor(-7.0))
    assert torch.allclose(gaussians.opacity(), expected)
    state = gaussians.optimizer.state
    assert state[gaussians.opacities]["exp_avg"].abs().max() == 0
    assert state[gaussians.means]["exp_avg"].abs().max() > 0


def test_rotate_turns_by_the_quaternion():
    quarter_turn = torch.tensor([[2.0, 0, 0, 2.0]])  # about z; any length will do
    assert torch.allclose(
        rotate(quarter_turn, torch.tensor([[1.0, 0, 0]])), torch.tensor([[0.0, 1, 0]]), atol=1e-6
    )

"""Rendering of a frozen avatar shows what the avatar in training shows."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

import numpy as np  # noqa: E402

from d3talker.avatar import Avatar, Signals  # noqa: E402
from d3talker.fields.deformation import GeneralField, IndividualField  # noqa: E402
from d3talker.render import FIELDS, REFINED_MARGIN, FrozenAvatar, spread  # noqa: E402
from d3talker.splat.gaussians import Gaussians  # noqa: E402


def make_avatar(fields=True):
    """Random Gaussians, some of which may move, and fields that move them visibly."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    sets = [
        Gaussians.from_points(rng.uniform(-0.1, 0.1, (n, 3)), rng.random((n, 3)), opacity=0.5)
        for n in (60, 20)
    ]
    sets[0].mobility = torch.rand(60).where(torch.arange(60) % 3 > 0, torch.zeros(()))
    if not fields:
        return Avatar(*sets)
    avatar = Avatar(*sets, GeneralField(), IndividualField())
    for name, parameter in [
        *avatar.general.named_parameters(),
        *avatar.individual.named_parameters(),
    ]:
        if name.endswith("table"):
            torch.nn.init.normal_(parameter)
    return avatar


def make_signals():
    return Signals(*torch.randn(4, 32), torch.rand(6))


def test_a_frozen_avatar_deforms_like_the_avatar():
    avatar, signals = make_avatar(), make_signals()
    frozen = FrozenAvatar(avatar).deform(signals)
    expected = avatar.deform(signals)
    rest = avatar.deform(None)
    for part, expected_part, rest_part in zip(frozen, expected, rest, strict=True):
        for name, values in expected_part.items():
            torch.testing.assert_close(part[name], values.detach(), rtol=1e-5, atol=1e-6)
        assert not torch.allclose(expected_part["means"], rest_part["means"], atol=1e-4)


def test_each_field_alone_adds_its_part_of_the_motion():
    avatar, signals = make_avatar(), make_signals()
    parts = {name: FrozenAvatar(avatar, name).deform(signals) for name in FIELDS}
    for index, rest in enumerate(avatar.deform(None)):
        moved = {name: sets[index]["means"] - rest["means"] for name, sets in parts.items()}
        torch.testing.assert_close(
            moved["general"] + moved["individual"], moved["both"], rtol=1e-5, atol=1e-6
        )
        assert all(motion.abs().max() > 1e-4 for motion in moved.values())


def test_a_static_avatar_stays_in_the_rest_pose():
    avatar = make_avatar(fields=False)
    for part, expected in zip(FrozenAvatar(avatar).deform(None), avatar.deform(None), strict=True):
        assert all(torch.equal(part[name], values) for name, values in expected.items())


def test_the_refiner_changes_the_head_and_a_margin_around_it():
    alpha = torch.rand(23, 31).where(torch.rand(23, 31) > 0.8, torch.zeros(()))
    expected = torch.nn.functional.max_pool2d(
        alpha[None], 2 * REFINED_MARGIN + 1, 1, REFINED_MARGIN
    )[0]
    assert torch.equal(spread(alpha), expected)

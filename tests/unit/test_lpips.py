"""LPIPS is torchmetrics' on the same features: one that torchvision is not needed for."""

from typing import NamedTuple

import pytest

torch = pytest.importorskip("torch")
reference = pytest.importorskip("torchmetrics.functional.image.lpips")

from d3talker.metrics import lpips  # noqa: E402
from d3talker.metrics.alexnet import AlexNet  # noqa: E402


class Relus(NamedTuple):
    relu1: torch.Tensor
    relu2: torch.Tensor
    relu3: torch.Tensor
    relu4: torch.Tensor
    relu5: torch.Tensor


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return AlexNet()  # weights drawn by torch


@pytest.fixture(scope="module")
def heads():
    return lpips.load_heads()


def trunk(network):
    """The same convolutions as torchmetrics calls them: on images that it has scaled."""

    class Trunk(torch.nn.Module):
        def __init__(self, pretrained, requires_grad):
            super().__init__()

        def forward(self, scaled):
            return Relus(*network(scaled * network.std + network.mean))

    return Trunk


def test_the_heads_are_those_of_version_0_1(heads):
    assert [tuple(head.shape) for head in heads] == [(1, c, 1, 1) for c in lpips.CHANNELS]
    assert all(head.min() >= 0 for head in heads)  # the published ones were kept so


def test_the_distance_is_torchmetrics(network, heads, monkeypatch):
    monkeypatch.setattr(reference, "Alexnet", trunk(network))
    theirs = reference._LPIPS(pretrained=True, net="alex")
    torch.manual_seed(1)
    images, targets = torch.rand(2, 3, 96, 80), torch.rand(2, 3, 96, 80)
    expected = theirs(2 * images - 1, 2 * targets - 1).flatten()
    ours = lpips.lpips(network, heads, images, targets)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-6)
    assert ours.min() > 1e-4


def test_the_distance_of_a_hand_computed_case(heads):
    def network(images):
        return [
            images.mean() * torch.ones(1, 2, 1, 1) * torch.tensor([1.0, 0.0])[:, None, None]
        ] * 2

    def other(images):
        return [torch.tensor([0.0, 5.0])[None, :, None, None]] * 2

    def either(images):
        return network(images) if images.sum() > 0 else other(images)

    weights = [torch.tensor([0.5, 2.0])[None, :, None, None]] * 2
    one, zero = torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    # Unit vectors (1,0) and (0,1): 0.5 + 2 in each of two layers.
    assert lpips.lpips(either, weights, one, zero).item() == pytest.approx(5)
    assert lpips.lpips(either, weights, one, 3 * one).item() == 0


def test_identical_frames_have_no_distance_and_more_noise_has_more(network, heads):
    torch.manual_seed(2)
    image, noise = torch.rand(1, 3, 64, 64), torch.randn(1, 3, 64, 64)
    steps = [
        lpips.lpips(network, heads, image, (image + level * noise).clamp(0, 1)).item()
        for level in (0, 0.1, 0.3)
    ]
    assert steps[0] == 0 and 0 < steps[1] < steps[2]

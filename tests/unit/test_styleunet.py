"""The coarse-to-fine refiner: shape of the paper's network, and what the light one can do."""

import pytest

torch = pytest.importorskip("torch")

from dataclasses import replace  # noqa: E402

import numpy as np  # noqa: E402
from torch.nn import functional  # noqa: E402

from d3talker import artifacts  # noqa: E402
from d3talker.refine import styleunet  # noqa: E402
from d3talker.refine.stylegan import ModulatedConv  # noqa: E402
from d3talker.refine.styleunet import (  # noqa: E402
    LIGHT,
    PAPER,
    WIDTHS,
    StyleUNet,
    for_display,
    refine,
)
from d3talker.train.checkpoint import load_refiner  # noqa: E402

NARROW = replace(LIGHT, channels=(8, 8, 16), style_dim=16)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Tensors this small only lose time by waiting for a second thread on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def trained_like(config, seed=0):
    """A network whose prediction is not zero: the last layers get small random weights."""
    torch.manual_seed(seed)
    net = StyleUNet(config)
    for to_rgb in net.decoder.to_rgb:
        torch.nn.init.normal_(to_rgb.conv.weight, std=0.02)
    return net


def test_paper_network_has_the_parameters_of_gagavatar_but_its_unused_side_outputs():
    with torch.device("meta"):
        net = StyleUNet(PAPER)
    unused = sum(3 * width + 3 for width in PAPER.channels[:-1])  # 1x1 to RGB, 8 px to 512 px
    assert sum(p.numel() for p in net.parameters()) + unused == 48_674_924


def test_paper_network_reaches_4x4_and_keeps_the_frame_size():
    with torch.device("meta"):
        net = StyleUNet(PAPER)
        frame = torch.empty(1, 3, 512, 512)
        assert net.encode(net.first(frame))[1] == (4, 4)
        assert net(frame).shape == frame.shape


def test_untrained_light_network_is_the_identity():
    image = torch.rand(1, 3, 64, 96)
    assert torch.equal(StyleUNet(LIGHT)(image), image)


@pytest.mark.parametrize("config", [LIGHT, replace(PAPER, channels=(8, 8, 16), style_dim=16)])
def test_gradients_reach_every_parameter(config):
    net = trained_like(config)
    net(torch.rand(2, 3, 64, 64)).square().mean().backward()
    without = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_training_output_is_not_clamped_but_the_final_one_is():
    net = trained_like(NARROW)
    torch.nn.init.constant_(net.decoder.to_rgb[-1].bias, 0.5)
    white = torch.ones(1, 3, 32, 32)
    assert net(white).max() > 1
    assert net.eval()(white).max() == 1


@pytest.mark.parametrize("size", [(464, 320), (45, 71), (32, 32)])
def test_crops_of_any_size_keep_their_size(size):
    net = trained_like(LIGHT).eval()
    with torch.no_grad():
        assert net(torch.rand(1, 3, *size)).shape == (1, 3, *size)


def test_refining_is_deterministic_even_for_a_network_that_trains_with_noise():
    net = trained_like(replace(NARROW, noise=True))
    for layer in (net.decoder.first, *net.decoder.up, *net.decoder.same):
        torch.nn.init.ones_(layer.noise_strength)
    image = torch.rand(48, 32, 3)
    shown = for_display(net)
    assert torch.equal(refine(shown, image), refine(shown, image))
    assert net.training, "the network's own mode stays as it was"
    batch = image.permute(2, 0, 1)[None]
    assert not torch.equal(net(batch), net(batch))


def test_modulated_conv_is_the_convolution_with_scaled_and_normalised_weights():
    torch.manual_seed(0)
    layer = ModulatedConv(4, 6, 3, style_dim=5, demodulate=True)
    x, style, bias = torch.randn(3, 4, 8, 8), torch.randn(3, 5), torch.randn(6)
    batch = layer(x, style, bias)
    for image, code, result in zip(x, style, batch, strict=True):
        weight = layer.weight * layer.scale(code)[:, None, None]
        weight = 2**0.5 * weight / weight.flatten(1).norm(dim=1)[:, None, None, None]
        expected = functional.conv2d(image[None], weight, bias, padding=1)[0]
        assert torch.allclose(result, expected, atol=1e-5)
        assert torch.allclose(layer(image[None], code[None], bias)[0], expected, atol=1e-5)


def test_images_of_a_batch_do_not_mix():
    net = trained_like(NARROW).eval()
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        alone = torch.cat([net(image[None]) for image in images])
        assert torch.allclose(net(images), alone, atol=1e-5)


def test_bfloat16_stays_within_a_fraction_of_a_grey_level(monkeypatch):
    net = trained_like(LIGHT).eval()
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        exact = net(image)
    monkeypatch.setattr(styleunet, "has_fast_bfloat16", lambda device: True)
    fast = for_display(net)(image)
    assert fast.dtype == torch.float32
    assert (exact - image).abs().mean() > 4 / 255, "the prediction must be worth comparing"
    assert (exact - fast).abs().mean() < 0.5 / 255


def test_refine_takes_and_gives_a_frame_in_the_unit_range():
    frame = torch.rand(40, 56, 3)
    result = refine(for_display(trained_like(NARROW)), frame)
    assert result.shape == frame.shape and result.dtype == torch.float32
    assert result.min() >= 0 and result.max() <= 1


def test_light_network_learns_to_undo_a_blur_and_a_colour_shift():
    data = pytest.importorskip("skimage.data")
    sharp = torch.from_numpy(data.astronaut()[::4, ::4].copy()).permute(2, 0, 1)[None] / 255
    kernel = torch.tensor([1.0, 2.0, 1.0]) / 4
    kernel = (kernel[:, None] * kernel).expand(3, 1, 3, 3)
    tint = torch.tensor([0.05, 0.0, -0.05])[:, None, None]
    coarse = (functional.conv2d(sharp, kernel, padding=1, groups=3) + tint).clamp(0, 1)

    torch.manual_seed(0)
    net = StyleUNet(NARROW)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    rng = np.random.default_rng(0)
    for _ in range(160):
        y, x = rng.integers(0, 64, 2)
        crop = (..., slice(y, y + 64), slice(x, x + 64))
        loss = functional.l1_loss(net(coarse[crop]), sharp[crop])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def psnr(image):
        return -10 * torch.log10(functional.mse_loss(image, sharp)).item()

    with torch.no_grad():
        assert psnr(net.eval()(coarse)) > psnr(coarse) + 1.0


def test_a_refiner_is_read_at_the_width_it_was_made_with(tmp_path, monkeypatch):
    monkeypatch.setitem(WIDTHS, "paper", NARROW)
    path = tmp_path / "c2f.safetensors"
    artifacts.save_tensors(path, StyleUNet(NARROW).state_dict(), {"refiner": "paper"})
    assert load_refiner(path)[0].config == NARROW
    artifacts.save_tensors(path, StyleUNet(NARROW).state_dict(), {})
    with pytest.raises(artifacts.ArtifactError, match="does not say which refiner"):
        load_refiner(path)

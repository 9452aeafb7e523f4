"""What the rasterizers do with input at the edge of sense, and beyond: an error names it."""

import math
import resource
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

import numpy as np  # noqa: E402
from test_rasterizer import (  # noqa: E402
    NAMES,
    axis_camera,
    make_camera,
    make_gaussians,
    one_gaussian,
    random_loss,
    with_grad,
)

from d3talker.splat.backends import rasterizer  # noqa: E402
from d3talker.splat.binning import MAX_PAIRS  # noqa: E402
from d3talker.splat.checks import MAX_SIDE  # noqa: E402
from d3talker.splat.projection import LOW_PASS  # noqa: E402
from d3talker.splat.rasterize import GradientStats, rasterize  # noqa: E402

CENTRE = 20, 20  # the pixel on the optical axis of `axis_camera`


@pytest.fixture(params=["cpu", "reference"])
def draw(request):
    return rasterizer(request.param)


def gaussians_with(name, value):
    """Three Gaussians, one number of which is `value`."""
    gaussians = make_gaussians(3)
    gaussians[NAMES.index(name)].view(-1)[1] = value
    return gaussians


@pytest.mark.parametrize(
    "name, value",
    [(name, value) for name in NAMES for value in (math.nan, math.inf, -math.inf, 1e38)]
    + [("scales", -1e-6), ("opacities", -1e-6), ("opacities", 1.000001)],
)
def test_values_out_of_range_are_named(draw, name, value):
    with pytest.raises(ValueError, match=f"^{name}: expected finite values from"):
        draw(*gaussians_with(name, value), make_camera())


def test_a_quaternion_without_length_is_named(draw):
    gaussians = make_gaussians(3)
    gaussians[1][1] = 0
    with pytest.raises(ValueError, match=r"^quats: a length below"):
        draw(*gaussians, make_camera())


def test_quaternions_of_any_other_length_are_the_same_rotation(draw):
    gaussians = make_gaussians(20)
    expected = draw(*gaussians, make_camera()).alpha
    for factor in (1e-11, 1e8):
        alpha = draw(gaussians[0], gaussians[1] * factor, *gaussians[2:], make_camera()).alpha
        torch.testing.assert_close(alpha, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_tensors_of_other_shapes_and_types_are_named(draw, name):
    k = NAMES.index(name)
    for wrong in (lambda t: t[:-1], lambda t: t[..., None], lambda t: t.half(), lambda t: t.int()):
        gaussians = make_gaussians(3)
        gaussians[k] = wrong(gaussians[k])
        with pytest.raises(ValueError, match=r"expected \(\d, ?\d?\) \w+, got \("):
            draw(*gaussians, make_camera())


@pytest.mark.parametrize("features", [torch.zeros(3), torch.zeros(2, 4), torch.zeros(3, 4, 1)])
def test_features_of_another_shape_are_named(draw, features):
    with pytest.raises(ValueError, match=r"^features: expected"):
        draw(*make_gaussians(3), make_camera(), features=features)


@pytest.mark.parametrize(
    "background", [torch.zeros(4), torch.zeros(()), torch.zeros(40, 39, 3), torch.zeros(3).int()]
)
def test_a_background_that_is_no_color_is_named(draw, background):
    with pytest.raises(ValueError, match=r"^background: expected"):
        draw(*make_gaussians(3), make_camera(), background)
    with pytest.raises(ValueError, match=r"^background: expected finite values"):
        draw(*make_gaussians(3), make_camera(), torch.tensor([0.0, math.nan, 0.0]))


@pytest.mark.parametrize(
    "field, value",
    [
        ("width", 0), ("height", -3), ("width", 40.0), ("height", MAX_SIDE + 1),
        ("focal", 0.0), ("focal", -50.0), ("focal", math.nan), ("cx", math.inf), ("cy", math.nan),
        ("R", np.eye(4)), ("R", np.full((3, 3), np.nan)), ("R", 2 * np.eye(3)),
        ("t", np.zeros((3, 1))), ("t", np.array([0, np.inf, 0])),
    ],
)  # fmt: skip
def test_a_camera_that_draws_no_image_is_named(draw, field, value):
    with pytest.raises(ValueError, match=rf"^camera\.{field}: expected"):
        draw(*make_gaussians(3), replace(make_camera(), **{field: value}))


def test_stats_of_other_gaussians_are_named():
    with pytest.raises(ValueError, match=r"^stats: "):
        rasterize(*make_gaussians(3), make_camera(), stats=GradientStats(4))


def test_tensors_may_lie_in_memory_in_any_order(draw):
    gaussians, camera = make_gaussians(30), make_camera()
    spread = [torch.stack([tensor, tensor], dim=-1)[..., 1] for tensor in gaussians]
    features = torch.rand(6, 30).T
    background = torch.tensor([[0.1, 5.0], [0.2, 5.0], [0.3, 5.0]])[:, 0]
    assert not any(tensor.is_contiguous() for tensor in (*spread, features, background))
    images = draw(*spread, camera, background, features=features)
    expected = draw(*gaussians, camera, background.clone(), features=features.contiguous())
    assert all(torch.equal(a, b) for a, b in zip(images, expected, strict=True))


def test_scales_of_zero_are_drawn_as_wide_as_a_pixel(draw):
    gaussians = with_grad(one_gaussian(size=0.0))
    rendering = draw(*gaussians, axis_camera())
    assert rendering.alpha[CENTRE].item() == pytest.approx(0.8, abs=1e-5)
    beside = 0.8 * math.exp(-0.5 / LOW_PASS)
    assert rendering.alpha[20, 21].item() == pytest.approx(beside, abs=1e-5)
    random_loss(rendering).backward()
    assert all(tensor.grad.isfinite().all() for tensor in gaussians)
    assert not gaussians[2].grad.any() and gaussians[0].grad.any()


def test_an_opacity_of_zero_draws_nothing_and_one_is_limited(draw):
    for opacity, expected in ((0.0, 0.0), (1.0, 0.99)):
        gaussians = with_grad(one_gaussian(opacity=opacity))
        rendering = draw(*gaussians, axis_camera())
        assert rendering.alpha.max().item() == pytest.approx(expected, abs=1e-6)
        random_loss(rendering).backward()
        assert all(tensor.grad.isfinite().all() for tensor in gaussians)
        assert gaussians[3].grad.any() == bool(opacity)


def test_a_gaussian_metres_wide_covers_everything(draw):
    gaussians = with_grad(one_gaussian(size=1000.0))
    rendering = draw(*gaussians, axis_camera())
    torch.testing.assert_close(rendering.alpha, torch.full((40, 40), 0.8), rtol=0, atol=1e-5)
    random_loss(rendering).backward()
    assert all(tensor.grad.isfinite().all() for tensor in gaussians)


def test_centres_far_outside_the_image_draw_nothing(draw):
    for x, y in ((1e9, 0.0), (0.0, -1e9), (300.0, 200.0)):
        gaussians = one_gaussian()
        gaussians[0][0, :2] = torch.tensor([x, y])
        assert not draw(*gaussians, axis_camera()).alpha.any()


@pytest.mark.parametrize("width, height", [(1, 1), (1, 100), (100, 1), (17, 33)])
def test_images_of_any_size(draw, width, height):
    rendering = draw(*make_gaussians(20), make_camera(width, height), features=torch.ones(20, 7))
    assert rendering.color.shape == (height, width, 3)
    assert rendering.alpha.shape == rendering.depth.shape == (height, width)
    assert rendering.features.shape == (height, width, 7) and rendering.alpha.any()
    torch.testing.assert_close(rendering.features[..., 6], rendering.alpha, rtol=0, atol=1e-5)


def test_a_focal_length_that_magnifies_a_million_times(draw):
    gaussians = with_grad(one_gaussian(size=1e-6))
    rendering = draw(*gaussians, replace(axis_camera(), focal=1e6))
    variance = (1e-6 * 1e6 / 0.6) ** 2 + LOW_PASS
    expected = 0.8 * math.exp(-0.5 * 4 / variance)
    assert rendering.alpha[20, 22].item() == pytest.approx(expected, abs=1e-4)
    random_loss(rendering).backward()
    assert all(tensor.grad.isfinite().all() for tensor in gaussians)


def test_colors_may_be_far_outside_0_and_1(draw):
    rendering = draw(*one_gaussian(color=(-300.0, 0.0, 1e6)), axis_camera())
    assert rendering.color[CENTRE].tolist() == pytest.approx([-240.0, 0.0, 8e5], rel=1e-4)


def test_many_features_are_blended_like_colors():
    gaussians, features = make_gaussians(50), torch.rand(50, 101)
    inputs = with_grad([*gaussians, features])
    rendering = rasterize(*inputs[:5], make_camera(), features=inputs[5])
    as_colors = rasterize(*gaussians[:4], features[:, 98:], make_camera()).color
    torch.testing.assert_close(rendering.features[..., 98:], as_colors, rtol=0, atol=1e-6)
    rendering.features.sum().backward()
    assert inputs[5].grad.shape == (50, 101)
    torch.testing.assert_close(inputs[5].grad[:, 0], inputs[5].grad[:, 100])


def test_a_million_gaussians():
    gaussians = with_grad(make_gaussians(1_000_000, size=0.001))
    rendering = rasterize(*gaussians, make_camera(64, 64))
    rendering.color.sum().backward()
    assert rendering.alpha.isfinite().all() and rendering.alpha.max() > 0.9
    assert all(tensor.grad.isfinite().all() for tensor in gaussians)


def test_more_pairs_than_memory_holds_are_refused_before_any_is_taken():
    gaussians = make_gaussians(5000, size=1000.0, opacity=(0.5, 0.9))
    camera = make_camera(4096, 4096)  # 65536 tiles; 2^32 and more do not fit into an int32
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=rf"tiles.*at most {MAX_PAIRS}.*crops"):
        rasterize(*gaussians, camera)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200e3  # KiB

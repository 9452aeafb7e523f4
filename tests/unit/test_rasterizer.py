import pytest

torch = pytest.importorskip("torch")

import numpy as np  # noqa: E402

from d3talker.compiled import set_threads  # noqa: E402
from d3talker.splat.rasterize import Camera, GradientStats, rasterize  # noqa: E402
from d3talker.splat.reference import rasterize_reference  # noqa: E402

SIZE = 40
NAMES = ("means", "quats", "scales", "opacities", "colors")


def make_camera(width=SIZE, height=SIZE):
    """A face-like view: 0.6 m away, turned a little, at the centre of the image."""
    angle = 0.2
    R = np.array(
        [
            [np.cos(angle), 0, np.sin(angle)],
            [0, -1, 0],
            [np.sin(angle), 0, -np.cos(angle)],
        ],
        np.float32,
    )
    t = np.array([0.01, -0.02, 0.6], np.float32)
    return Camera(R, t, focal=2 * width, cx=width / 2, cy=height / 2, width=width, height=height)


def make_gaussians(count, seed=0, size=0.02, opacity=(0.02, 0.98), dtype=torch.float32):
    """Random Gaussians inside the view: means, quats, scales, opacities, colors."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low, high, *shape):
        values = torch.rand(*shape, generator=generator, dtype=torch.float64)
        return (low + (high - low) * values).to(dtype)

    return [
        uniform(-0.15, 0.15, count, 3),
        uniform(-1, 1, count, 4) * 2,
        size * uniform(0.3, 1.5, count, 3),
        uniform(*opacity, count),
        uniform(0, 1, count, 3),
    ]


def one_gaussian(opacity=0.8, depth=0.6, color=(1.0, 0.5, 0.25), size=0.02):
    """A round Gaussian on the optical axis of `axis_camera`."""
    return [
        torch.tensor([[0.0, 0.0, depth]]),
        torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        torch.full((1, 3), size),
        torch.tensor([opacity]),
        torch.tensor([color]),
    ]


def axis_camera(size=SIZE):
    """Looks along +z; the optical axis goes through the centre of the pixel (size/2, size/2)."""
    centre = size // 2 + 0.5
    return Camera(np.eye(3), np.zeros(3), 100.0, centre, centre, size, size)


def with_grad(gaussians, dtype=torch.float32):
    return [tensor.detach().to(dtype).requires_grad_() for tensor in gaussians]


def random_loss(rendering):
    """A loss with random weights on color, depth and alpha."""
    generator = torch.Generator().manual_seed(1)
    loss = 0.0
    for image in rendering:
        weights = torch.randn(image.shape, generator=generator, dtype=torch.float64)
        loss = loss + (image * weights.to(image.dtype)).sum()
    return loss


def assert_same_as_reference(gaussians, camera, background):
    fast, exact = with_grad(gaussians), with_grad(gaussians, torch.float64)
    rendering = rasterize(*fast, camera, background)
    expected = rasterize_reference(*exact, camera, background.double())
    for image, expected_image in zip(rendering, expected, strict=True):
        torch.testing.assert_close(image.double(), expected_image, rtol=0, atol=2e-5)
    gradients = torch.autograd.grad(random_loss(rendering), fast)
    expected_gradients = torch.autograd.grad(random_loss(expected), exact)
    for name, gradient, exact_one in zip(NAMES, gradients, expected_gradients, strict=True):
        error = (gradient - exact_one).norm() / exact_one.norm()
        assert error < 1e-4, f"gradient of {name}: relative error {error:.1e}"


def test_image_and_gradients_equal_the_plain_reference():
    background = torch.tensor([0.2, 0.5, 0.7])
    assert_same_as_reference(make_gaussians(300), make_camera(), background)


def test_images_need_not_be_whole_tiles():
    camera = make_camera(width=37, height=21)
    assert_same_as_reference(make_gaussians(100), camera, torch.zeros(3))


def test_gradients_are_right_where_alpha_is_limited_and_where_pixels_stop():
    gaussians = make_gaussians(200, size=0.1, opacity=(0.985, 0.999))
    transmittance = 1 - rasterize(*gaussians, make_camera()).alpha
    assert transmittance.max() < 0.01  # three or more of them would leave less than 1e-4
    assert_same_as_reference(gaussians, make_camera(), torch.tensor([0.2, 0.5, 0.7]))


def test_reference_gradients_equal_finite_differences():
    gaussians = with_grad(make_gaussians(4, size=0.05, opacity=(0.5, 0.9)), torch.float64)
    camera = make_camera(width=6, height=5)

    def images(*tensors):
        return tuple(rasterize_reference(*tensors, camera))

    assert torch.autograd.gradcheck(images, gaussians, eps=1e-7, atol=1e-5, rtol=1e-4)


def test_depth_is_the_sum_of_weighted_depths():
    rendering = rasterize(*one_gaussian(opacity=0.8, depth=0.6), axis_camera())
    centre = SIZE // 2, SIZE // 2
    assert rendering.alpha[centre] == pytest.approx(0.8, abs=1e-5)
    assert rendering.depth[centre] == pytest.approx(0.8 * 0.6, abs=1e-5)
    assert rendering.color[centre].tolist() == pytest.approx([0.8, 0.4, 0.2], abs=1e-5)


def test_nearer_gaussians_hide_farther_ones_in_any_order():
    near = one_gaussian(opacity=0.9, depth=0.5, color=(1.0, 0.0, 0.0))
    far = one_gaussian(opacity=0.9, depth=0.7, color=(0.0, 1.0, 0.0))
    for first, second in ((near, far), (far, near)):
        gaussians = [torch.cat(pair) for pair in zip(first, second, strict=True)]
        red, green, _ = rasterize(*gaussians, axis_camera()).color[SIZE // 2, SIZE // 2].tolist()
        assert red == pytest.approx(0.9, abs=1e-5)
        assert green == pytest.approx(0.1 * 0.9, abs=1e-5)


@pytest.mark.parametrize("depth", [-0.6, 0.0, 0.19])
def test_gaussians_behind_or_too_near_the_camera_are_not_drawn(depth):
    gaussians = with_grad(one_gaussian(depth=depth))
    rendering = rasterize(*gaussians, axis_camera())
    assert rendering.alpha.max() == 0
    rendering.alpha.sum().backward()
    assert all(tensor.grad.abs().max() == 0 for tensor in gaussians)


def test_no_gaussians_give_the_background():
    background = torch.tensor([0.0, 1.0, 0.0])
    empty = with_grad([tensor[:0] for tensor in one_gaussian()])
    rendering = rasterize(*empty, axis_camera(), background)
    assert torch.equal(rendering.color, background.expand(SIZE, SIZE, 3))
    rendering.color.sum().backward()
    assert empty[0].grad.shape == (0, 3)


def test_a_crop_is_a_window_of_the_whole_image():
    gaussians, camera = make_gaussians(300), make_camera()
    whole = rasterize(*gaussians, camera)
    window = rasterize(*gaussians, camera.crop(x0=5, y0=11, width=24, height=18))
    for image, part in zip(whole, window, strict=True):
        torch.testing.assert_close(part, image[11 : 11 + 18, 5 : 5 + 24], rtol=0, atol=1e-5)


def test_a_scaled_camera_sees_the_same_in_more_pixels():
    large = one_gaussian(size=0.06)
    small_image = rasterize(*large, make_camera()).alpha
    large_image = rasterize(*large, make_camera().scaled(2)).alpha
    assert large_image.shape == (2 * SIZE, 2 * SIZE)
    averaged = torch.nn.functional.avg_pool2d(large_image[None], 2)[0]
    torch.testing.assert_close(averaged, small_image, rtol=0, atol=0.01)


def test_one_and_two_threads_give_the_same_bits():
    camera = make_camera(width=100, height=100)
    results = []
    for threads in (1, 2):
        set_threads(threads)
        gaussians = with_grad(make_gaussians(500))
        rendering = rasterize(*gaussians, camera)
        random_loss(rendering).backward()
        results.append([*rendering, *(tensor.grad for tensor in gaussians)])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_stats_hold_the_gradient_of_the_centre_in_normalised_coordinates():
    gaussians = [torch.cat(pair) for pair in zip(one_gaussian(), one_gaussian(), strict=True)]
    gaussians[0][1, 2] = -1.0  # the second one is behind the camera
    gaussians = with_grad(gaussians)
    camera = axis_camera()
    stats = GradientStats(2)
    for _ in range(2):
        color = rasterize(*gaussians, camera, stats=stats).color
        (color[:, SIZE // 2 :].sum() + 2 * color[: SIZE // 2].sum()).backward()
    # X moves the centre by focal / z pixels, and by 2 / SIZE of that in NDC
    pixel_per_metre = camera.focal / 0.6
    by_centre = gaussians[0].grad[0, :2].norm() / 2 / pixel_per_metre * SIZE / 2
    assert stats.gradient_norm[0] == pytest.approx(2 * by_centre.item(), rel=1e-3)
    assert stats.visible.tolist() == [2, 0]
    assert stats.gradient_norm[1] == 0
    variance = (0.02 * pixel_per_metre) ** 2 + 0.3
    assert stats.radius[0] == pytest.approx(3 * variance**0.5, rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_values_that_are_not_finite_are_named(name):
    gaussians = make_gaussians(3)
    gaussians[NAMES.index(name)].view(-1)[0] = float("nan")
    with pytest.raises(ValueError, match=f"{name}.*finite"):
        rasterize(*gaussians, make_camera())


def test_a_wrong_shape_is_named():
    gaussians = make_gaussians(3)
    gaussians[3] = gaussians[3][:, None]
    with pytest.raises(ValueError, match=r"opacities: expected \(3,\)"):
        rasterize(*gaussians, make_camera())


def test_an_image_may_be_the_background_and_gets_a_gradient():
    camera = make_camera()
    gaussians = make_gaussians(50)
    image = torch.rand(SIZE, SIZE, 3, generator=torch.Generator().manual_seed(3))
    image.requires_grad_()
    rendering = rasterize(*gaussians, camera, image)
    over_black = rasterize(*gaussians, camera)
    expected = over_black.color + (1 - over_black.alpha[..., None]) * image
    torch.testing.assert_close(rendering.color, expected, rtol=0, atol=1e-6)
    weights = torch.randn(image.shape, generator=torch.Generator().manual_seed(4))
    gradients = [
        torch.autograd.grad(color, image, weights)[0] for color in (rendering.color, expected)
    ]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-6)
    assert_same_as_reference(gaussians, camera, image.detach())


def test_a_background_of_another_size_is_named():
    with pytest.raises(ValueError, match="background"):
        rasterize(*make_gaussians(3), make_camera(), torch.zeros(SIZE, 3))


def test_features_are_blended_like_colors_and_have_gradients():
    gaussians, camera = with_grad(make_gaussians(60)), make_camera()
    generator = torch.Generator().manual_seed(5)
    features = torch.rand(60, 6, generator=generator)
    features[:, 4:] = gaussians[4][:, :2].detach()
    features.requires_grad_()
    rendering = rasterize(*gaussians, camera, features=features)
    assert rendering.features.shape == (SIZE, SIZE, 6)
    torch.testing.assert_close(rendering.features[..., 4:], rendering.color[..., :2])
    exact = with_grad([*gaussians, features], torch.float64)
    expected = rasterize_reference(*exact[:5], camera, features=exact[5])
    torch.testing.assert_close(rendering.features.double(), expected.features, rtol=0, atol=2e-5)
    inputs = [*gaussians, features]
    got = torch.autograd.grad(random_loss(rendering), inputs)
    wanted = torch.autograd.grad(random_loss(expected), exact)
    for gradient, exact_one in zip(got, wanted, strict=True):
        assert (gradient - exact_one).norm() / exact_one.norm() < 1e-4

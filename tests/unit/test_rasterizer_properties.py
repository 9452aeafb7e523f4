"""What holds for any Gaussians and any view, tried on many of them."""

import pytest

torch = pytest.importorskip("torch")
hypothesis = pytest.importorskip("hypothesis")

import numpy as np  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from test_rasterizer import (  # noqa: E402
    axis_camera,
    make_camera,
    make_gaussians,
    random_loss,
    with_grad,
)

from d3talker.compiled import set_threads  # noqa: E402
from d3talker.splat.camera import Camera  # noqa: E402
from d3talker.splat.rasterize import rasterize  # noqa: E402
from d3talker.splat.reference import rasterize_reference  # noqa: E402

BACKGROUND = torch.tensor([0.2, 0.5, 0.7])

seeds = st.integers(0, 2**32)
counts = st.integers(0, 50)
sides = st.integers(1, 40)
sizes = st.sampled_from([0.0, 1e-4, 0.003, 0.02, 0.1, 3.0])  # m


def examples(count):
    """Try that many examples: the same in every run, nothing is kept on disk."""
    return hypothesis.settings(max_examples=count, derandomize=True, database=None, deadline=None)


def scene(count, seed, size=0.02, features=5):
    """Random Gaussians, and features of each."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(count, features, generator=generator) - 0.5
    return make_gaussians(count, seed, size), values


def assert_close(image, expected, atol=3e-5):
    """Equal but for a few pixels where an alpha is so near to a threshold that rounding decides."""
    error = (image.double() - expected).abs()
    assert error.numel() == 0 or error.max() < 0.011
    assert (error > atol).sum() <= 2 + 0.002 * error.numel()


@examples(40)
@hypothesis.given(count=counts, seed=seeds, width=sides, height=sides, size=sizes)
def test_images_equal_the_plain_reference(count, seed, width, height, size):
    gaussians, features = scene(count, seed, size)
    camera = make_camera(width, height)
    rendering = rasterize(*gaussians, camera, BACKGROUND, features=features)
    exact = [tensor.double() for tensor in (*gaussians, BACKGROUND, features)]
    expected = rasterize_reference(*exact[:5], camera, exact[5], features=exact[6])
    for image, expected_image in zip(rendering, expected, strict=True):
        assert_close(image, expected_image)


@examples(25)
@hypothesis.given(count=counts, seed=seeds, width=sides, height=sides)
def test_gradients_equal_those_of_the_plain_reference(count, seed, width, height):
    fast, exact = (
        with_grad(scene(count, seed)[0], dtype) for dtype in (torch.float32, torch.float64)
    )
    camera = make_camera(width, height)
    random_loss(rasterize(*fast, camera)).backward()
    random_loss(rasterize_reference(*exact, camera)).backward()
    for gradient, exact_one in zip(fast, exact, strict=True):
        error = (gradient.grad - exact_one.grad).norm()
        assert error <= 5e-3 * exact_one.grad.norm() + 1e-6


# Numbers at and beyond the edge of what a head is made of, up to the largest that are accepted.
MAGNITUDES = (0.0, 1e-45, 1e-20, 1e-6, 0.01, 0.6, 1.0, 30.0, 1e3, 1e6, 1e9)
extremes = st.sampled_from([sign * m for m in MAGNITUDES for sign in (1.0, -1.0)])
tensors, places = st.integers(0, 4), st.integers(0, 3)
changes = st.lists(st.tuples(tensors, places, places, extremes), max_size=12)
focals = st.sampled_from([1e-6, 0.1, 10.0, 80.0, 1e4, 1e6, 1e9])
centres = st.sampled_from([-1e9, -1e4, 0.0, 9.5, 1e3, 1e9])


@examples(150)
@hypothesis.given(changes=changes, seed=seeds, focal=focals, cx=centres, cy=centres)
def test_whatever_is_accepted_gives_finite_images_and_gradients(changes, seed, focal, cx, cy):
    gaussians = make_gaussians(4, seed)
    for which, one, axis, value in changes:
        values = gaussians[which].view(4, -1)[one]
        values[axis % len(values)] = {2: abs(value), 3: min(abs(value), 1.0)}.get(which, value)
    hypothesis.assume(gaussians[1].norm(dim=1).min() > 1e-6)
    view = make_camera()
    camera = Camera(view.R, view.t, focal, cx, cy, width=19, height=21)
    gaussians = with_grad(gaussians)
    rendering = rasterize(*gaussians, camera)
    random_loss(rendering).backward()
    assert all(image.isfinite().all() for image in rendering)
    assert rendering.alpha.min() >= 0 and rendering.alpha.max() <= 1
    assert all(tensor.grad.isfinite().all() for tensor in gaussians)


@examples(30)
@hypothesis.given(
    length=st.sampled_from([0.1, 1.0, 30.0, 1e3, 1e6]),
    angle=st.floats(0, 3.14),
    shift=st.floats(-2, 2),
    opacity=st.floats(0.125, 0.9375, width=32),
)
def test_a_needle_is_no_more_opaque_than_its_opacity_allows(length, angle, shift, opacity):
    """It lies across the view, its centre `shift` standard deviations from the optical axis."""
    centre = shift * length * np.array([np.cos(angle), np.sin(angle), 0.0]) + [0, 0, 0.6]
    quat = [np.cos(angle / 2), 0.0, 0.0, np.sin(angle / 2)]
    needle = [[centre], [quat], [[length, 1e-5, 1e-5]], [opacity], [[1.0, 1.0, 1.0]]]
    alpha = rasterize(*(torch.tensor(np.array(v, np.float32)) for v in needle), axis_camera()).alpha
    assert alpha.min() >= 0 and alpha.max() <= opacity + 1e-6
    if length == 30:  # so long that the view sees one point of its profile
        assert alpha.max().item() == pytest.approx(opacity * np.exp(-(shift**2) / 2), rel=0.02)


@examples(15)
@hypothesis.given(count=counts, seed=seeds, size=sizes)
def test_the_order_of_the_gaussians_does_not_matter(count, seed, size):
    gaussians, features = scene(count, seed, size)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    rendering = rasterize(*gaussians, make_camera(), features=features)
    shuffled = [tensor[order] for tensor in gaussians]
    again = rasterize(*shuffled, make_camera(), features=features[order])
    assert all(torch.equal(a, b) for a, b in zip(rendering, again, strict=True))


@examples(15)
@hypothesis.given(count=counts, seed=seeds, behind=st.floats(-1e6, 0.19), size=sizes)
def test_a_gaussian_behind_the_camera_changes_nothing(count, seed, behind, size):
    gaussians, camera = make_gaussians(count, seed), make_camera()
    (mean,) = (np.array([[0.1, 0.1, behind]]) - camera.t) @ camera.R  # camera to world
    other = make_gaussians(1, seed, size)
    other[0] = torch.tensor(mean[None], dtype=torch.float32)
    more = [torch.cat(pair) for pair in zip(gaussians, other, strict=True)]
    for image, expected in zip(
        rasterize(*more, camera), rasterize(*gaussians, camera), strict=True
    ):
        assert torch.equal(image, expected)


@examples(20)
@hypothesis.given(
    count=counts,
    seed=seeds,
    x=st.integers(-20, 50),
    y=st.integers(-20, 50),
    width=sides,
    height=sides,
    size=sizes,
)
def test_a_crop_is_a_window_of_the_whole_image(count, seed, x, y, width, height, size):
    gaussians, features = scene(count, seed, size)
    whole = make_camera().crop(-20, -20, 110, 110)
    images = rasterize(*gaussians, whole, features=features)
    parts = rasterize(*gaussians, make_camera().crop(x, y, width, height), features=features)
    for image, part in zip(images, parts, strict=True):
        assert_close(part, image[y + 20 : y + 20 + height, x + 20 : x + 20 + width])


@examples(15)
@hypothesis.given(
    count=counts, seed=seeds, width=sides, height=sides, factor=st.floats(-1e3, 1e3, width=32)
)
def test_the_image_is_linear_in_the_colors(count, seed, width, height, factor):
    gaussians, features = scene(count, seed)
    camera, colors = make_camera(width, height), gaussians[4]

    def color(colors):
        return rasterize(*gaussians[:4], colors, camera).color

    both = color(colors + factor * features[:, :3])
    expected = color(colors) + factor * color(features[:, :3].contiguous())
    torch.testing.assert_close(both, expected, rtol=1e-4, atol=1e-5 * (1 + abs(factor)))


@examples(8)
@hypothesis.given(
    count=st.integers(1, 400),
    seed=seeds,
    width=st.integers(1, 80),
    height=st.integers(1, 80),
    features=st.integers(0, 9),
)
def test_one_and_two_threads_give_the_same_bits(count, seed, width, height, features):
    camera, results = make_camera(width, height), []
    for threads in (1, 2):
        set_threads(threads)
        gaussians, values = scene(count, seed, features=features)
        inputs = with_grad([*gaussians, values])
        rendering = rasterize(*inputs[:5], camera, features=inputs[5])
        random_loss(rendering).backward()
        results.append([*rendering, *(tensor.grad for tensor in inputs)])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))

"""What holds for any two images, and what is no pair of images."""

import math

import pytest

torch = pytest.importorskip("torch")
hypothesis = pytest.importorskip("hypothesis")

from hypothesis import strategies as st  # noqa: E402
from test_photometric import make_images  # noqa: E402

from d3talker.train.photometric import l1_dssim, l1_dssim_reference  # noqa: E402

seeds = st.integers(0, 2**32)
sides = st.integers(1, 40)


def examples(count):
    """Try that many examples: the same in every run, nothing is kept on disk."""
    return hypothesis.settings(max_examples=count, derandomize=True, database=None, deadline=None)


def random_images(height, width, seed, flat=False):
    """Two images of noise, or each of one color, which have no variance."""
    generator = torch.Generator().manual_seed(seed)
    shape = (1, 1, 3) if flat else (height, width, 3)
    return [torch.rand(shape, generator=generator).expand(height, width, 3) for _ in range(2)]


@examples(60)
@hypothesis.given(height=sides, width=sides, seed=seeds, flat=st.booleans())
def test_value_and_gradient_equal_the_plain_reference(height, width, seed, flat):
    image, target = random_images(height, width, seed, flat)
    exact = image.double().requires_grad_()
    image = image.clone().requires_grad_()
    loss, expected = l1_dssim(image, target), l1_dssim_reference(exact, target.double())
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-5)
    loss.backward()
    expected.backward()
    assert (image.grad - exact.grad).norm() <= 1e-3 * exact.grad.norm()


@examples(30)
@hypothesis.given(height=sides, width=sides, seed=seeds, flat=st.booleans())
def test_the_loss_is_not_negative_and_the_same_both_ways(height, width, seed, flat):
    image, target = random_images(height, width, seed, flat)
    loss = l1_dssim(image, target).item()
    assert loss >= 0
    assert loss == pytest.approx(l1_dssim(target, image).item(), rel=1e-5)
    assert l1_dssim(image, image).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("broken", [0, 1])
def test_a_value_that_is_not_finite_makes_the_loss_nan(value, broken):
    images = list(make_images(20, 20))
    images[broken][7, 3, 1] = value
    assert math.isnan(l1_dssim(*images).item())
    assert math.isnan(l1_dssim_reference(*images).item())


def test_images_may_lie_in_memory_in_any_order():
    image, target = make_images()
    planes = image.permute(2, 0, 1).contiguous().permute(1, 2, 0).requires_grad_()
    assert not planes.is_contiguous()
    loss = l1_dssim(planes, target)
    assert loss.item() == l1_dssim(image, target).item()
    assert l1_dssim(target, planes).item() == l1_dssim(target, image).item()
    (by_planes,) = torch.autograd.grad(loss, planes)
    image.requires_grad_()
    assert torch.equal(by_planes, torch.autograd.grad(l1_dssim(image, target), image)[0])


@pytest.mark.parametrize("shape", [(0, 8, 3), (8, 0, 3), (0, 0, 3), (7, 8, 3), (8, 7, 3)])
def test_empty_images_and_two_shapes_are_refused(shape):
    image = torch.zeros(8, 8, 3)
    for pair in ((torch.zeros(shape), image), (image, torch.zeros(shape))):
        with pytest.raises(ValueError, match=r"^image and target: expected one shape"):
            l1_dssim(*pair)
    if 0 in shape:
        with pytest.raises(ValueError, match=r"^image and target: expected one shape"):
            l1_dssim(torch.zeros(shape), torch.zeros(shape))


@pytest.mark.parametrize(
    "wrong",
    [torch.zeros(8, 8), torch.zeros(3, 8, 8), torch.zeros(1, 8, 8, 3), torch.zeros(8, 8, 4)],
)
def test_what_is_no_image_is_named(wrong):
    image = torch.zeros(8, 8, 3)
    with pytest.raises(ValueError, match=r"^image: expected \(H, W, 3\) float32, got"):
        l1_dssim(wrong, image)
    with pytest.raises(ValueError, match=r"^target: expected \(H, W, 3\) float32, got"):
        l1_dssim(image, wrong)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.uint8, torch.bool])
def test_another_type_is_named(dtype):
    image = torch.zeros(8, 8, 3)
    with pytest.raises(ValueError, match=rf"^image: .* float32, got .* {dtype}"):
        l1_dssim(image.to(dtype), image)
    with pytest.raises(ValueError, match=rf"^target: .* float32, got .* {dtype}"):
        l1_dssim(image, image.to(dtype))

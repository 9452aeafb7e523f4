import pytest

torch = pytest.importorskip("torch")

from d3talker.compiled import set_threads  # noqa: E402
from d3talker.train.photometric import l1_dssim, l1_dssim_reference  # noqa: E402


def make_images(height=40, width=33):
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(height, width, 3, generator=generator)
    noise = 0.1 * torch.randn(image.shape, generator=generator)
    return image, (image + noise).clamp(0, 1)


@pytest.mark.parametrize("shape", [(40, 33), (7, 4)])
def test_value_and_gradient_equal_the_plain_reference(shape):
    image, target = make_images(*shape)
    exact = image.double().requires_grad_()
    image.requires_grad_()
    loss = l1_dssim(image, target)
    expected = l1_dssim_reference(exact, target.double())
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    (3 * loss).backward()
    (3 * expected).backward()
    assert (image.grad - exact.grad).norm() / exact.grad.norm() < 1e-4


def test_equal_images_have_no_loss():
    image, _ = make_images()
    assert l1_dssim(image, image.clone()).item() == pytest.approx(0, abs=1e-6)


def test_without_dssim_it_is_the_mean_absolute_difference():
    image, target = make_images()
    expected = (image - target).abs().mean()
    assert l1_dssim(image, target, dssim_weight=0.0).item() == pytest.approx(expected.item())


def test_ssim_is_that_of_scikit_image():
    metrics = pytest.importorskip("skimage.metrics")
    image, target = make_images(60, 60)
    # Beyond the edge scikit-image mirrors where we have zeros. Where both images are the same,
    # both find an SSIM of 1, so with equal borders the two must agree on the whole image.
    target[:10], target[-10:], target[:, :10], target[:, -10:] = (
        image[:10], image[-10:], image[:, :10], image[:, -10:]
    )  # fmt: skip
    similarity = metrics.structural_similarity(
        image.double().numpy(), target.double().numpy(), channel_axis=2, data_range=1,
        gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True,
    )[1].mean()  # fmt: skip
    dissimilarity = l1_dssim(image, target, 1.0) - l1_dssim(image, target, 0.0)
    assert dissimilarity.item() == pytest.approx(1 - similarity, abs=1e-5)


def test_one_and_two_threads_give_the_same_bits():
    results = []
    for threads in (1, 2):
        set_threads(threads)
        image, target = make_images()
        loss = l1_dssim(image.requires_grad_(), target)
        loss.backward()
        results.append((loss.detach(), image.grad))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))

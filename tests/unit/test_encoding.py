import pytest

torch = pytest.importorskip("torch")

from d3talker.compiled import set_threads  # noqa: E402
from d3talker.fields.encoding import TriPlaneEncoder, encode_reference  # noqa: E402

LEVELS = 12


def make_encoder():
    """An encoder whose entries are large enough to see."""
    torch.manual_seed(0)
    encoder = TriPlaneEncoder()
    torch.nn.init.normal_(encoder.table)
    return encoder


def points(count, reach=0.14):
    generator = torch.Generator().manual_seed(1)
    return (2 * torch.rand(count, 3, generator=generator) - 1) * reach


def test_entries_per_plane_are_those_of_the_paper_code():
    assert len(TriPlaneEncoder().table) == 3 * 9464
    mouth = TriPlaneEncoder(base_resolution=64, finest_resolution=57.6)
    assert len(mouth.table) == 3 * 46600


def test_level_resolutions_are_those_of_the_paper_code():
    resolutions = TriPlaneEncoder().widths - 1
    assert resolutions.tolist() == [16, 18, 19, 21, 22, 24, 26, 28, 31, 33, 36, 39]


def test_resolution_of_the_mouth_falls_from_level_to_level():
    mouth = TriPlaneEncoder(base_resolution=64, finest_resolution=57.6)
    expected = [64, 64, 63, 63, 62, 62, 61, 60, 60, 59, 59, 58]
    assert (mouth.widths - 1).tolist() == expected


def test_new_tables_are_tiny_and_uniform():
    table = TriPlaneEncoder().table.detach()
    assert table.abs().max() <= 1e-4
    assert table.std().item() == pytest.approx(2e-4 / 12**0.5, rel=0.02)


def test_features_and_gradients_equal_the_plain_reference():
    encoder = make_encoder()
    x = points(500, reach=0.17).requires_grad_()
    x_exact = x.detach().double().requires_grad_()
    table_exact = encoder.table.detach().double().requires_grad_()
    features = encoder(x)
    expected = encode_reference(encoder, x_exact, table_exact)
    assert features.shape == (500, 3 * LEVELS)
    torch.testing.assert_close(features.double(), expected, rtol=0, atol=2e-5)
    weights = torch.randn(features.shape, generator=torch.Generator().manual_seed(2))
    gradients = torch.autograd.grad(features, [x, encoder.table], weights)
    exact = torch.autograd.grad(expected, [x_exact, table_exact], weights.double())
    for gradient, exact_one in zip(gradients, exact, strict=True):
        assert (gradient - exact_one).norm() / exact_one.norm() < 1e-4


def test_a_plane_with_a_coordinate_outside_the_cube_gives_zeros():
    features = make_encoder()(torch.tensor([[0.2, 0.0, 0.0], [0.0, -0.151, 0.0]]))
    xy, yz, xz = features.view(2, 3, LEVELS).unbind(1)
    for outside in (xy[0], xz[0], xy[1], yz[1]):
        assert (outside == 0).all()
    for inside in (yz[0], xz[1]):
        assert (inside != 0).all()


def test_the_faces_of_the_cube_are_inside():
    features = make_encoder()(torch.tensor([[0.15, -0.15, 0.15], [-0.15, 0.15, -0.15]]))
    assert (features != 0).all()


def test_one_and_two_threads_give_the_same_bits():
    results = []
    for threads in (1, 2):
        set_threads(threads)
        encoder, x = make_encoder(), points(3000).requires_grad_()
        features = encoder(x)
        features.square().sum().backward()
        results.append((features.detach(), encoder.table.grad, x.grad))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_points_that_need_no_gradient_get_none():
    encoder, x = make_encoder(), points(10)
    encoder(x).sum().backward()
    assert x.grad is None
    assert encoder.table.grad.abs().sum() > 0


def test_no_points_give_no_features():
    assert make_encoder()(torch.zeros(0, 3)).shape == (0, 3 * LEVELS)

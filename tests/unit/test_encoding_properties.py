"""What holds for any encoder and any points, and what is no encoder or no point."""

import math

import pytest

torch = pytest.importorskip("torch")
hypothesis = pytest.importorskip("hypothesis")

from hypothesis import strategies as st  # noqa: E402
from test_encoding import make_encoder, points  # noqa: E402

from d3talker.fields.encoding import (  # noqa: E402
    TriPlaneEncoder,
    encode_cpu,
    encode_reference,
    encode_torch,
)

# In or near the cube of 0.15 m, its faces among them.
coordinates = st.one_of(
    st.floats(-0.1875, 0.1875, width=32), st.sampled_from([-0.15, 0.15, 0.0, math.nan, -math.inf])
)
point_lists = st.lists(st.tuples(coordinates, coordinates, coordinates), max_size=20)


@pytest.fixture(params=[encode_cpu, encode_torch])
def encode(request):
    return request.param


def examples(count):
    """Try that many examples: the same in every run, nothing is kept on disk."""
    return hypothesis.settings(max_examples=count, derandomize=True, database=None, deadline=None)


def random_encoder(**size):
    encoder = TriPlaneEncoder(**size)
    generator = torch.Generator().manual_seed(0)
    torch.nn.init.normal_(encoder.table, generator=generator)
    return encoder


@examples(60)
@hypothesis.given(
    rows=point_lists,
    levels=st.integers(1, 16),
    base=st.floats(1, 70),
    finest=st.floats(1, 70),
    bound=st.sampled_from([0.15, 0.1, 0.0937, 3.0]),
)
def test_features_equal_the_plain_reference(rows, levels, base, finest, bound):
    encoder = random_encoder(
        levels=levels, base_resolution=base, finest_resolution=finest, bound=bound
    )
    x = torch.tensor(rows).reshape(-1, 3) * (bound / 0.15)
    # A rounding of the last bit decides what is inside: keep what is meant to be on a face there.
    x = torch.where((x.abs() - bound).abs() < 1e-6 * bound, x.sign() * bound, x)
    features = encoder(x)
    expected = encode_reference(encoder, x, encoder.table)
    assert features.shape == (len(rows), 3 * levels)
    torch.testing.assert_close(features, expected, rtol=0, atol=2e-4)


@examples(30)
@hypothesis.given(rows=point_lists)
def test_gradients_are_finite_and_those_of_the_table_equal_the_reference(rows):
    encoder = make_encoder()
    x = torch.tensor(rows).reshape(-1, 3).requires_grad_()
    gradients = torch.autograd.grad(encoder(x).sum(), [x, encoder.table])
    exact = encode_reference(encoder, x, encoder.table).sum()
    by_x, by_table = torch.autograd.grad(exact, [x, encoder.table])
    torch.testing.assert_close(gradients[1], by_table, rtol=0, atol=1e-4)
    assert all(gradient.isfinite().all() for gradient in (*gradients, by_x))


@pytest.mark.parametrize("far", [math.nan, math.inf, -math.inf, 1e38, -0.2])
def test_points_outside_or_not_finite_are_zeros_in_their_planes(encode, far):
    x = torch.tensor([[0.1, far, 0.0]], requires_grad=True)
    features = encode(make_encoder(), x)
    xy, yz, xz = features[0].view(3, 12)
    assert not xy.any() and not yz.any() and xz.all()
    features[0, :24].sum().backward()
    assert not x.grad.any()


def test_points_may_lie_in_memory_in_any_order(encode):
    encoder, x = make_encoder(), points(50)
    spread = x.T.contiguous().T
    assert not spread.is_contiguous()
    assert torch.equal(encode(encoder, spread), encode(encoder, x))
    assert torch.equal(encode(encoder, x[7:8]), encode(encoder, x)[7:8])


@pytest.mark.parametrize("shape", [(3,), (5, 2), (5, 4), (2, 5, 3), ()])
def test_what_is_no_list_of_points_is_refused(encode, shape):
    with pytest.raises(ValueError, match=r"^x: expected points \(N, 3\), got"):
        encode(make_encoder(), torch.zeros(shape))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int32])
def test_points_and_tables_of_another_type_are_named(dtype):
    with pytest.raises(ValueError, match=r"^x: expected float32"):
        make_encoder()(torch.zeros(2, 3).to(dtype))
    with pytest.raises(ValueError, match=r"^table: expected float32"):
        make_encoder().double()(torch.zeros(2, 3))


def test_a_table_of_another_size_is_named():
    encoder = make_encoder()
    encoder.table = torch.nn.Parameter(encoder.table[:-8].detach())
    with pytest.raises(ValueError, match=r"^table: expected \(28392,\)"):
        encoder(torch.zeros(2, 3))


@pytest.mark.parametrize(
    "size, problem",
    [
        ({"levels": 17}, "levels: expected 1 to 16, got 17"),
        ({"levels": 0}, "levels: expected 1 to 16, got 0"),
        ({"base_resolution": 0.5}, "base_resolution: expected 1 or more"),
        ({"finest_resolution": math.nan}, "finest_resolution: expected 1 or more"),
        ({"bound": 0.0}, "bound: expected more than 0 m"),
        ({"base_resolution": 1e6}, "resolutions: the grids have .* entries"),
        ({"finest_resolution": 3000}, "resolutions: the grids have .* entries"),
    ],
)
def test_an_encoder_that_cannot_be_is_refused(size, problem):
    with pytest.raises(ValueError, match=f"^{problem}"):
        TriPlaneEncoder(**size)

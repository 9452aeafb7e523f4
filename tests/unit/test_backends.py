"""What every rasterizer and every encoding has to do, run over all that this machine has.

A backend whose package or GPU is missing is skipped with the reason; its adapter is tested all the
same, with a stand-in of the package.
"""

from dataclasses import dataclass

import pytest

torch = pytest.importorskip("torch")

from stand_ins import install  # noqa: E402
from test_encoding import make_encoder, points  # noqa: E402
from test_rasterizer import axis_camera, make_camera, make_gaussians, one_gaussian  # noqa: E402

from d3talker.backends import explain, missing, require  # noqa: E402
from d3talker.cli import InputError  # noqa: E402
from d3talker.fields import backends as encodings  # noqa: E402
from d3talker.fields.encoding import TriPlaneEncoder, encode_reference  # noqa: E402
from d3talker.splat import backends as rasterizers  # noqa: E402
from d3talker.splat.cuda import MARGIN  # noqa: E402
from d3talker.splat.diff_gaussian_backend import centred  # noqa: E402
from d3talker.splat.normals import normal_image, surface_normals  # noqa: E402
from d3talker.splat.rasterize import GradientStats  # noqa: E402
from d3talker.splat.reference import rasterize_reference  # noqa: E402

NAMES = ("means", "quats", "scales", "opacities", "colors", "features")
BACKGROUND = torch.tensor([0.2, 0.5, 0.7])
STAND_IN = " (stand-in)"


@dataclass(frozen=True)
class Tolerance:
    """How far a backend may be from the float64 reference."""

    image: float  # largest difference of color, depth, alpha and features, all but `stray` of them
    gradient: float  # relative error of a gradient tensor
    opaque: float | None = None  # the same as `image`, where opacities are above 0.98
    tail: float = 0.0  # largest alpha that may be left out far from a centre
    stray: float = 0.0  # share of pixels where alpha is so near 1/255 that it may be left out


TOLERANCES = {
    "cpu": Tolerance(image=2e-5, gradient=1e-4, opaque=2e-5),
    "reference": Tolerance(image=2e-5, gradient=1e-4, opaque=2e-5),
    # alpha up to 0.999 instead of 0.99
    "gsplat": Tolerance(image=5e-5, gradient=1e-3, opaque=0.012, stray=0.002),
    # nothing beyond three standard deviations, where alpha can be exp(-4.5) = 0.011
    "diff_gaussian_rasterization": Tolerance(
        image=5e-5, gradient=0.05, opaque=5e-5, tail=0.04, stray=0.002
    ),
}


class Backend:
    """A rasterizer, where its tensors live, and what is asked of it."""

    def __init__(self, name: str, stand_in: bool) -> None:
        self.name, self.tolerance = name, TOLERANCES[name]
        self.gpu = name in ("gsplat", "diff_gaussian_rasterization") and not stand_in
        self.device = "cuda" if self.gpu else "cpu"

    def rasterize(self, *args, **options):
        return rasterizers.rasterizer(self.name)(*args, **options)

    def inputs(self, tensors):
        return [t.detach().float().to(self.device).requires_grad_() for t in tensors]


def chosen(key: str, name: str, monkeypatch) -> str:
    """The backend's name. Without its package the test is skipped, or gets a stand-in."""
    if name.endswith(STAND_IN):
        install(monkeypatch)
        monkeypatch.setattr("d3talker.backends.missing", lambda *_: None)
        return name.removesuffix(STAND_IN)
    reason = missing(key, name)
    if reason is not None:
        pytest.skip(f"{name}: {reason}")
    return name


def with_stand_ins(names):
    return [*names, *(name + STAND_IN for name in names if name not in PLAIN)]


PLAIN = ("cpu", "reference", "torch")


@pytest.fixture(params=with_stand_ins(TOLERANCES))
def backend(request, monkeypatch):
    name = chosen("rasterizer", request.param, monkeypatch)
    return Backend(name, request.param.endswith(STAND_IN))


def gaussians(count=60, **options):
    """Those of test_rasterizer, and four features of each."""
    generator = torch.Generator().manual_seed(5)
    features = torch.rand(count, 4, generator=generator, dtype=torch.float64) - 0.5
    return [*make_gaussians(count, dtype=torch.float64, **options), features]


def both(backend, tensors, camera):
    """Rendering and inputs of the backend, and those of the reference in float64."""
    background = BACKGROUND.to(backend.device)
    fast = backend.inputs(tensors)
    exact = [t.detach().double().requires_grad_() for t in fast]
    rendering = backend.rasterize(*fast[:5], camera, background, features=fast[5])
    expected = rasterize_reference(*exact[:5], camera, background.double(), features=exact[5])
    return (rendering, fast), (expected, exact)


def assert_images_are_close(rendering, expected, tolerance, atol):
    for name, image, expected_image in zip(rendering._fields, rendering, expected, strict=True):
        assert image.dtype == torch.float32 and image.shape == expected_image.shape, name
        error = (image - expected_image).abs()
        assert error.max() < atol + tolerance.tail + 0.004 * bool(tolerance.stray), name
        if not tolerance.tail:
            assert (error > atol).double().mean() <= tolerance.stray, name


def random_loss(rendering):
    """A loss with random weights on everything drawn."""
    generator = torch.Generator().manual_seed(1)
    loss = 0.0
    for image in rendering:
        weights = torch.randn(image.shape, generator=generator, dtype=torch.float64)
        loss = loss + (image * weights.to(image)).sum()
    return loss


CAMERAS = {
    "square": make_camera(),
    "not whole tiles": make_camera(width=37, height=21),
    "crop": make_camera().crop(x0=5, y0=11, width=24, height=18),
    "optical axis outside": make_camera().crop(x0=26, y0=-6, width=20, height=17),
    "scaled crop": make_camera().crop(3, 2, 20, 24).scaled(1.3),
    "crop far from the optical axis": make_camera(320, 320).crop(270, 170, 20, 17),
}


@pytest.mark.parametrize("view", CAMERAS)
def test_images_and_gradients_equal_the_reference(backend, view):
    (rendering, fast), (expected, exact) = both(backend, gaussians(), CAMERAS[view])
    assert_images_are_close(rendering, expected, backend.tolerance, backend.tolerance.image)
    gradients = torch.autograd.grad(random_loss(rendering), fast)
    expected_gradients = torch.autograd.grad(random_loss(expected), exact)
    for name, gradient, exact_one in zip(NAMES, gradients, expected_gradients, strict=True):
        error = (gradient - exact_one).norm() / exact_one.norm()
        assert error < backend.tolerance.gradient, f"gradient of {name}: error {error:.1e}"


@pytest.mark.parametrize("view", CAMERAS)
def test_diff_gaussian_draws_a_view_around_the_optical_axis(view):
    camera = CAMERAS[view]
    larger, left, top = centred(camera)
    assert (larger.cx - left, larger.cy - top) == pytest.approx((camera.cx, camera.cy))
    assert abs(larger.cx - larger.width / 2) <= 0.5 and abs(larger.cy - larger.height / 2) <= 0.5
    right, bottom = larger.width - camera.width - left, larger.height - camera.height - top
    assert min(left, top, right, bottom) >= MARGIN


def test_opaque_gaussians(backend):
    tensors = gaussians(opacity=(0.985, 0.999), size=0.1)
    (rendering, _), (expected, _) = both(backend, tensors, make_camera())
    assert_images_are_close(rendering, expected, backend.tolerance, backend.tolerance.opaque)


def test_large_gaussians_outside_the_image_reach_into_it(backend):
    camera = make_camera().crop(x0=14, y0=14, width=12, height=12)
    tensors = gaussians(size=0.05)
    (rendering, _), (expected, _) = both(backend, tensors, camera)
    assert_images_are_close(rendering, expected, backend.tolerance, backend.tolerance.image)


def test_a_crop_is_a_window_of_the_whole_image(backend):
    tensors = backend.inputs(gaussians())
    whole = backend.rasterize(*tensors[:5], make_camera(), features=tensors[5])
    crop = make_camera().crop(x0=5, y0=11, width=24, height=18)
    window = backend.rasterize(*tensors[:5], crop, features=tensors[5])
    for image, part in zip(whole, window, strict=True):
        error = (part - image[11 : 11 + 18, 5 : 5 + 24]).abs().max()
        assert error < 2e-5 + backend.tolerance.tail


def test_depth_is_accumulated_and_features_are_blended_over_zeros(backend):
    tensors = backend.inputs([*one_gaussian(opacity=0.8, depth=0.6), torch.tensor([[2.0, -1.0]])])
    rendering = backend.rasterize(
        *tensors[:5], axis_camera(), BACKGROUND.to(backend.device), features=tensors[5]
    )
    centre = 20, 20
    assert rendering.alpha[centre].item() == pytest.approx(0.8, abs=1e-5)
    assert rendering.depth[centre].item() == pytest.approx(0.8 * 0.6, abs=1e-5)
    assert rendering.features[centre].tolist() == pytest.approx([1.6, -0.8], abs=1e-5)
    assert rendering.color[centre].tolist() == pytest.approx([0.84, 0.5, 0.34], abs=1e-5)
    assert rendering.color[0, 0].tolist() == pytest.approx(BACKGROUND.tolist(), abs=1e-6)


def test_the_background_is_black_and_there_are_no_features_unless_given(backend):
    rendering = backend.rasterize(*backend.inputs(one_gaussian()), axis_camera())
    assert rendering.color[0, 0].tolist() == [0, 0, 0]
    assert rendering.features.shape == (40, 40, 0)


def test_no_gaussians_give_the_background(backend):
    empty = backend.inputs([tensor[:0] for tensor in gaussians(3)])
    background = BACKGROUND.to(backend.device)
    rendering = backend.rasterize(*empty[:5], axis_camera(), background, features=empty[5])
    assert torch.equal(rendering.color, background.expand(40, 40, 3))
    assert rendering.features.shape == (40, 40, 4) and not rendering.features.any()
    random_loss(rendering).backward()
    assert empty[0].grad.shape == (0, 3)


@pytest.mark.parametrize("depth", [-0.6, 0.0, 0.19])
def test_gaussians_behind_or_too_near_the_camera_are_not_drawn(backend, depth):
    tensors = backend.inputs([*one_gaussian(depth=depth), torch.ones(1, 2)])
    rendering = backend.rasterize(*tensors[:5], axis_camera(), features=tensors[5])
    assert not any(image.any() for image in rendering)
    random_loss(rendering).backward()
    assert not any(tensor.grad.any() for tensor in tensors)


def test_stats_equal_those_of_the_reference(backend):
    camera = make_camera().crop(x0=5, y0=11, width=24, height=18)
    tensors = gaussians()
    tensors[0][:5] *= 30  # out of view, some behind the camera
    results = []
    for rasterize, inputs in (
        (backend.rasterize, backend.inputs(tensors)),
        (rasterize_reference, [t.clone().requires_grad_() for t in tensors]),
    ):
        stats = GradientStats(len(tensors[0]))
        for _ in range(2):
            rendering = rasterize(*inputs[:5], camera, stats=stats, features=inputs[5])
            random_loss(rendering).backward()
        results.append(stats)
    stats, expected = results
    assert stats.visible.tolist() == expected.visible.tolist()
    assert 0 < expected.visible.count_nonzero() < len(tensors[0])
    torch.testing.assert_close(stats.radius.cpu(), expected.radius, rtol=1e-4, atol=1e-4)
    error = (stats.gradient_norm.cpu() - expected.gradient_norm).norm()
    assert error / expected.gradient_norm.norm() < backend.tolerance.gradient


def test_no_gradient_is_needed(backend):
    tensors = backend.inputs(gaussians(5))
    stats = GradientStats(5)
    with torch.no_grad():
        rendering = backend.rasterize(*tensors[:5], make_camera(), stats=stats)
    assert rendering.alpha.any() and not rendering.alpha.requires_grad
    assert not stats.visible.any()


def test_a_wrong_shape_is_named(backend):
    if backend.name == "reference":
        pytest.skip("the reference checks nothing")
    tensors = backend.inputs(one_gaussian())
    with pytest.raises(ValueError, match=r"opacities: expected \(1,\)"):
        backend.rasterize(*tensors[:3], tensors[3][:, None], tensors[4], axis_camera())


def test_the_image_is_where_the_gaussians_are(backend):
    rendering = backend.rasterize(*one_gaussian(), axis_camera())
    assert all(image.device.type == "cpu" for image in rendering)


def test_normals_are_the_thinnest_axes_and_face_the_camera():
    camera = make_camera()
    means, quats, scales = (tensor.requires_grad_() for tensor in make_gaussians(50)[:3])
    normals = surface_normals(quats, scales, means, camera)
    torch.testing.assert_close(normals.norm(dim=1), torch.ones(50))
    centre = -torch.from_numpy(camera.R).T @ torch.from_numpy(camera.t)
    assert (((centre - means) * normals).sum(1) >= 0).all()
    thin = torch.tensor([[0.02, 0.001, 0.02]])
    normal = surface_normals(torch.tensor([[2.0, 0, 0, 0]]), thin, means[:1], camera)
    assert normal.abs().tolist() == [[0, 1, 0]]
    normals.square()[:, 0].sum().backward()
    assert quats.grad.any() and means.grad is None and scales.grad is None


def test_normal_images_have_length_one_where_something_is_drawn(backend):
    tensors = backend.inputs(one_gaussian())
    normals = surface_normals(tensors[1], tensors[2], tensors[0], axis_camera())
    rendering = backend.rasterize(*tensors, axis_camera(), features=normals)
    image = normal_image(rendering.features)
    assert image[20, 20].norm().item() == pytest.approx(1, abs=1e-5)
    assert not image[0, 0].any()


ENCODINGS = ("cpu", "torch", "tinycudann")
SIZES = {"face": {}, "mouth": {"base_resolution": 64, "finest_resolution": 57.6}}


@pytest.fixture(params=with_stand_ins(ENCODINGS))
def encode(request, monkeypatch):
    return encodings.encoding(chosen("encoding", request.param, monkeypatch))


def big_encoder(**size):
    torch.manual_seed(0)
    encoder = TriPlaneEncoder(**size)
    torch.nn.init.normal_(encoder.table)
    return encoder


def points_inside_cells(encoder):
    """Points away from the borders of all cells, where the gradient by the position jumps."""
    x = points(1000, reach=0.17).double()
    scales = torch.from_numpy(encoder.scales)
    position = (x[..., None] + encoder.bound) / (2 * encoder.bound) * scales + 0.5
    inside = ((position - position.round()).abs() > 1e-3).flatten(1).all(dim=1)
    return x[inside].float()


@pytest.mark.parametrize("size", SIZES)
def test_encodings_and_gradients_equal_the_reference(encode, size):
    encoder = big_encoder(**SIZES[size])
    x = points_inside_cells(encoder).requires_grad_()
    x_exact = x.detach().double().requires_grad_()
    table_exact = encoder.table.detach().double().requires_grad_()
    features = encode(encoder, x)
    expected = encode_reference(encoder, x_exact, table_exact)
    assert features.dtype == torch.float32 and features.shape == (len(x), 36)
    assert len(x) > 500
    torch.testing.assert_close(features.double(), expected, rtol=0, atol=5e-5)
    weights = torch.randn(features.shape, generator=torch.Generator().manual_seed(2))
    gradients = torch.autograd.grad(features, [x, encoder.table], weights)
    exact = torch.autograd.grad(expected, [x_exact, table_exact], weights.double())
    for gradient, exact_one in zip(gradients, exact, strict=True):
        assert (gradient - exact_one).norm() / exact_one.norm() < 1e-4


def test_a_plane_with_a_coordinate_outside_the_cube_gives_zeros_and_no_gradient(encode):
    x = torch.tensor([[0.2, 0.0, 0.0], [0.0, -0.151, 0.0]], requires_grad=True)
    features = encode(make_encoder(), x)
    xy, yz, xz = features.view(2, 3, 12).unbind(1)
    outside = torch.cat([xy[0], xz[0], xy[1], yz[1]])
    assert (outside == 0).all() and (yz[0] != 0).all() and (xz[1] != 0).all()
    (by_x,) = torch.autograd.grad(outside.sum(), x)
    assert not by_x.any()


@pytest.mark.parametrize("size", SIZES)
def test_the_faces_of_the_cube_are_inside(encode, size):
    encoder = big_encoder(**SIZES[size])
    b = encoder.bound
    x = torch.tensor([[b, -b, b], [-b, b, -b], [b, b, b]])
    expected = encode_reference(encoder, x, encoder.table)
    assert (expected != 0).all()
    torch.testing.assert_close(encode(encoder, x), expected, rtol=0, atol=1e-4)


def test_points_that_need_no_gradient_get_none(encode):
    encoder, x = make_encoder(), points(10)
    encode(encoder, x).sum().backward()
    assert x.grad is None and encoder.table.grad.any()


def test_no_points_give_no_features(encode):
    assert encode(make_encoder(), torch.zeros(0, 3)).shape == (0, 36)


def test_encoders_of_a_module_keep_their_state_when_the_backend_changes():
    module = torch.nn.ModuleList([make_encoder(), make_encoder()])
    state = {name: value.clone() for name, value in module.state_dict().items()}
    before = module[1](points(5))
    encodings.use_encoding(module, "torch")
    assert list(state) == list(module.state_dict()) == ["0.table", "1.table"]
    torch.testing.assert_close(module[1](points(5)), before, rtol=0, atol=1e-5)


def test_an_unknown_backend_lists_the_known():
    with pytest.raises(InputError, match=r"backends\.rasterizer.*'fast'; known: cpu, reference"):
        require("rasterizer", "fast")


@pytest.mark.parametrize("key, name", [("rasterizer", "gsplat"), ("encoding", "tinycudann")])
def test_a_backend_that_cannot_run_says_what_is_missing_and_where_to_get_it(key, name):
    problem = explain(key, name)
    if problem is None:
        pytest.skip(f"{name} can run here")
    assert problem.startswith(f"backends.{key}: '{name}' cannot run: ")
    assert "envs/gpu.txt" in problem or "GPU" in problem
    with pytest.raises(InputError, match=name):
        require(key, name)

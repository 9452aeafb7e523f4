"""AlexNet's features and the distance of images in them, on random weights."""

import hashlib

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402

from d3talker import artifacts  # noqa: E402
from d3talker.metrics import alexnet  # noqa: E402
from d3talker.metrics.weights import catalogue  # noqa: E402

# The convolutions in torchvision's file.
SHAPES = {
    "features.0.weight": (64, 3, 11, 11),
    "features.0.bias": (64,),
    "features.3.weight": (192, 64, 5, 5),
    "features.3.bias": (192,),
    "features.6.weight": (384, 192, 3, 3),
    "features.6.bias": (384,),
    "features.8.weight": (256, 384, 3, 3),
    "features.8.bias": (256,),
    "features.10.weight": (256, 256, 3, 3),
    "features.10.bias": (256,),
}


@pytest.fixture(scope="module")
def weights():
    generator = torch.Generator().manual_seed(0)
    return {
        name: 0.05 * torch.randn(shape, generator=generator) for name, shape in SHAPES.items()
    } | {"classifier.6.bias": torch.zeros(1000)}


@pytest.fixture(scope="module")
def network(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("alexnet") / "alexnet.safetensors"
    artifacts.save_tensors(path, weights)
    return alexnet.load_alexnet(path)


def test_the_tensors_are_those_of_torchvision(network):
    assert {name: tuple(t.shape) for name, t in network.state_dict().items()} == SHAPES


def test_features_are_the_relu_outputs_of_five_convolutions(network, weights):
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    outputs = network(image)
    shapes = [tuple(x.shape[1:]) for x in outputs]
    assert shapes == [(64, 15, 15), (192, 7, 7), (384, 3, 3), (256, 3, 3), (256, 3, 3)]
    assert all(x.min() == 0 for x in outputs)
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    normal = F.pad((image[0] - mean) / std, (2, 2, 2, 2))
    patch = normal[:, 4:15, 8:19]  # what the first convolution sees of row 1, column 2
    expected = torch.einsum("oihw,ihw->o", weights["features.0.weight"], patch)
    expected = F.relu(expected + weights["features.0.bias"])
    torch.testing.assert_close(outputs[0][0, :, 1, 2], expected, rtol=1e-4, atol=1e-5)


def test_the_distance_of_a_hand_computed_case():
    def network(image):
        return [image, 2 * image]  # normalising makes both layers alike

    one = torch.tensor([3.0, 4, 0])[None, :, None, None].repeat(1, 1, 1, 2)
    other = one.clone()
    other[..., 1] = torch.tensor([0.0, 0, 5])[:, None]
    # The right one of two places differs: |(.6, .8, 0) - (0, 0, 1)|^2 = 2, in two layers.
    assert alexnet.feature_distance(network, one, other).item() == pytest.approx(2.0)


def test_only_the_image_learns(network):
    image = torch.rand(2, 3, 32, 32, requires_grad=True)
    target = torch.rand(2, 3, 32, 32, requires_grad=True)
    assert alexnet.feature_distance(network, image, image).item() == 0
    alexnet.feature_distance(network, image, target).backward()
    assert image.grad.abs().sum() > 0 and target.grad is None
    assert all(p.grad is None for p in network.parameters())


def test_the_smallest_image_has_features_and_a_smaller_one_has_none(network):
    assert network(torch.rand(1, 3, alexnet.SMALLEST, alexnet.SMALLEST))[-1].shape[2:] == (1, 1)
    with pytest.raises(RuntimeError):
        network(torch.rand(1, 3, alexnet.SMALLEST - 1, alexnet.SMALLEST - 1))


def test_torchvisions_file_is_known_by_its_digest(network, weights, tmp_path, monkeypatch):
    known = catalogue()["alexnet"]
    path = tmp_path / known.file
    torch.save(weights, path)
    with pytest.raises(artifacts.ArtifactError, match=r"sha256 begins .*download\.pytorch\.org"):
        alexnet.load_alexnet(path)
    known = known._replace(sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(alexnet, "catalogue", lambda: {"alexnet": known})
    image = torch.rand(1, 3, 48, 48)
    assert torch.equal(alexnet.load_alexnet(path)(image)[-1], network(image)[-1])


def test_weights_of_another_network_are_refused_with_the_source(weights, tmp_path):
    path = tmp_path / "other.safetensors"
    artifacts.save_tensors(path, {"features.0.weight": torch.zeros(64, 3, 7, 7)})
    with pytest.raises(artifacts.ArtifactError, match=r"other\.safetensors: .*alexnet-owt"):
        alexnet.load_alexnet(path)
    with pytest.raises(artifacts.ArtifactError, match="no such file"):
        alexnet.load_alexnet(tmp_path / "none.safetensors")

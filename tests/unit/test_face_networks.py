"""BiSeNet and EasyPortrait: the released files' tensors, sizes and what they make of a picture."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from d3talker.artifacts import ArtifactError  # noqa: E402
from d3talker.face import bisenet, easyportrait, parsing  # noqa: E402
from d3talker.metrics import check_weights  # noqa: E402

DATA = Path(__file__).parents[1] / "data"
RELEASED = {"bisenet": "bisenet_79999_iter", "easyportrait": "easyportrait_fpn-fp-512"}
NETWORKS = {"bisenet": bisenet.BiSeNet, "easyportrait": easyportrait.EasyPortrait}
LOADERS = {"bisenet": bisenet.load_bisenet, "easyportrait": easyportrait.load_easyportrait}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Files of the released shapes, by key, with random numbers in them."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    state = bisenet.BiSeNet().state_dict()
    torch.save(state, folder / "bisenet.pth", _use_new_zipfile_serialization=False)  # as released
    state = easyportrait.EasyPortrait().state_dict()
    log = {"best_score": np.float64(83.33), "best_ckpt": "best.pth", "epoch": 100}
    torch.save({"meta": {"hook_msgs": log}, "state_dict": state}, folder / "easyportrait.pth")
    return {key: folder / f"{key}.pth" for key in RELEASED}


@pytest.fixture(scope="module")
def networks(weights):
    return {key: LOADERS[key](path) for key, path in weights.items()}


@pytest.mark.parametrize("key", RELEASED)
def test_tensors_are_named_and_shaped_as_in_the_released_file(networks, key):
    lines = (DATA / f"{RELEASED[key]}.txt").read_text().splitlines()
    released = {name: tuple(map(int, shape)) for name, *shape in map(str.split, lines)}
    assert {n: tuple(t.shape) for n, t in networks[key].state_dict().items()} == released


def test_sizes_are_the_published_ones(networks):
    # Of BiSeNet without counters and the outputs of its training; of EasyPortrait in MiB.
    used = [
        tensor.nbytes
        for name, tensor in networks["bisenet"].state_dict().items()
        if "num_batches" not in name and not name.startswith(("conv_out16", "conv_out32"))
    ]
    assert sum(used) == 52_650_752
    assert sum(p.numel() for p in networks["bisenet"].parameters()) == 13_300_416
    whole = sum(tensor.nbytes for tensor in networks["easyportrait"].state_dict().values())
    assert whole / 2**20 == pytest.approx(108.91, abs=0.01)


def test_every_class_of_celebamask_has_the_label_of_the_field():
    names = np.array(parsing.NAMES)[bisenet.LABELS]
    assert list(names[[0, 11, 14, 15, 16, 17, 18]]) == [
        "background", "inner mouth", "neck", "neck", "cloth", "hair", "face",
    ]  # fmt: skip
    assert (names[[*range(1, 11), 12, 13]] == "face").all() and len(names) == 19


def test_a_picture_is_labelled_in_its_own_size(networks, monkeypatch):
    monkeypatch.setattr(bisenet, "SIDE", 64)
    monkeypatch.setattr(easyportrait, "SIDE", 64)
    frames = np.random.default_rng(0).integers(0, 255, (2, 48, 48, 3), dtype=np.uint8)
    labels = bisenet.label(networks["bisenet"], frames)
    assert labels.shape == (2, 48, 48) and labels.dtype == np.uint8
    teeth = easyportrait.teeth(networks["easyportrait"], frames)
    assert teeth.shape == (2, 48, 48) and teeth.dtype == bool
    hair = torch.zeros(19)
    hair[17] = 1e3
    network = networks["bisenet"]
    monkeypatch.setattr(
        network, "forward", lambda x: hair[None, :, None, None].repeat(2, 1, 64, 64)
    )
    assert (bisenet.label(network, frames) == parsing.HAIR).all()


def test_the_residual_blocks_are_those_of_resnet(networks):
    """One block of each network, computed from its tensors as the paper draws it."""
    x = torch.rand(1, 64, 6, 6, generator=torch.Generator().manual_seed(1))
    conv = torch.nn.functional.conv2d
    for block, strides in ((networks["bisenet"].cp.resnet.layer2[0], (2, 1)),
                           (networks["easyportrait"].backbone.layer1[0], (1, 1, 1))):  # fmt: skip
        y = x
        for number, stride in enumerate(strides, start=1):
            weight = block.get_submodule(f"conv{number}").weight
            y = conv(y, weight, stride=stride, padding=weight.shape[-1] // 2) / (1 + 1e-5) ** 0.5
            y = y.relu() if number < len(strides) else y
        side = conv(x, block.downsample[0].weight, stride=strides[0]) / (1 + 1e-5) ** 0.5
        torch.testing.assert_close(block(x), (y + side).relu(), rtol=1e-4, atol=1e-5)


def test_teeth_are_written_over_face_and_mouth_only():
    labels = np.arange(7, dtype=np.uint8)[None].repeat(2, 0)
    teeth = np.array([[True] * 7, [False] * 7])
    bisenet.add_teeth(labels, teeth)
    assert labels[0].tolist() == [0, parsing.TEETH, 2, parsing.TEETH, 4, 5, 6]
    assert labels[1].tolist() == list(range(7))


@pytest.mark.parametrize("damage", ["missing", "cut", "another", "text"])
@pytest.mark.parametrize("key", RELEASED)
def test_another_file_is_refused_with_the_source(weights, tmp_path, key, damage):
    path = tmp_path / "file.pth"
    if damage == "cut":
        path.write_bytes(weights[key].read_bytes()[:200_000])
    elif damage == "another":
        (other,) = set(weights.values()) - {weights[key]}
        path = other
    elif damage == "text":
        path.write_text("nothing")
    with pytest.raises(ArtifactError, match=rf"{path.name}: not the weights of {key} .*https:"):
        LOADERS[key](path)
    (answer,) = check_weights.problems({key: str(path)})
    assert answer.startswith(f"models.{key}: ") and "\n" not in answer

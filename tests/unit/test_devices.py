"""Training and rendering with other backends and on another device come to the same head."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import fake_gpu  # noqa: E402
import stand_ins  # noqa: E402
from test_phases import FRAMES, SETTINGS, SIZE, make_person  # noqa: E402

from d3talker import backends  # noqa: E402
from d3talker.avatar import Avatar  # noqa: E402
from d3talker.refine.styleunet import StyleUNet, StyleUNetConfig  # noqa: E402
from d3talker.render import Clock, render_frames  # noqa: E402
from d3talker.splat.density import DensityControl  # noqa: E402
from d3talker.splat.rasterize import GradientStats  # noqa: E402
from d3talker.train.checkpoint import avatar_tensors  # noqa: E402
from d3talker.train.frozen_pose import refine_poses  # noqa: E402
from d3talker.train.loop import train  # noqa: E402
from d3talker.train.person import Person  # noqa: E402
from d3talker.train.phases import adapt_phases  # noqa: E402
from d3talker.train.photometric import l1_dssim  # noqa: E402
from d3talker.train.pose import PoseCorrection  # noqa: E402
from d3talker.train.refiner import train_refiner  # noqa: E402
from d3talker.train.scene import boxes  # noqa: E402
from d3talker.train.settings import PoseSettings, RefinerSettings  # noqa: E402

REAL_GPU = torch.cuda.is_available()
if not REAL_GPU:
    LIBRARY = fake_gpu.install()
NARROW = StyleUNetConfig((4, 8), 1, 8, 1, unshuffle=2, residual=True)
SETTINGS = replace(
    SETTINGS,
    iterations=2,
    face_iterations=2,
    mouth_iterations=2,
    fuse_iterations=2,
    max_face=500,
    max_mouth=80,
    density=DensityControl(start=1, interval=1, gradient=0.0),
)


def person_with(rasterizer: str, encoding: str) -> Person:
    """The person of test_phases with these backends, all where they need it."""
    person = make_person()
    person.avatar.use_backends(rasterizer, encoding)
    device = person.avatar.device
    poses = PoseCorrection(FRAMES, 1e-4, 1e-5, device)
    poses.values[:] = person.poses.values.to(device)
    return replace(person, drive=person.drive.to(device), poses=poses)


def head_of(rasterizer: str, encoding: str) -> dict:
    """Losses, poses and rendered frames of a person who goes through all that is trained."""
    person = person_with(rasterizer, encoding)
    avatar, device = person.avatar, person.avatar.device
    rows = []
    for phase in adapt_phases(SETTINGS):
        rows += train([person], avatar.general, SETTINGS, phase, seed=3)
    # Two people, for the losses between them.
    pair = [person, person_with(rasterizer, encoding)]
    settings = replace(SETTINGS, contrast_start=0, ema=0.9, densify=False)
    rows += train(pair, avatar.general, settings, adapt_phases(SETTINGS)[2], seed=3)
    refiner = StyleUNet(NARROW).to(device)
    rows += train_refiner(refiner, pair, RefinerSettings(iterations=2), "c2f", seed=3)
    poses = refine_poses(
        avatar, person.scene, np.zeros((478, 3)), np.zeros(6, np.float32), PoseSettings(steps=2)
    )
    signals = avatar.all_signals(person.drive)
    frames = render_frames(
        avatar,
        refiner.eval(),
        person.scene,
        boxes(person.scene.heads, SIZE),
        range(FRAMES),
        [signals.at(t) for t in range(FRAMES)],
        Clock(),
    )
    return {
        "losses": np.array([row.loss for row in rows]),
        "gaussians": [row.gaussians for row in rows],
        "poses": poses,
        "frames": np.stack(list(frames)).astype(float),
    }


@pytest.fixture(scope="module")
def expected():
    return head_of("cpu", "cpu")


def assert_same_head(head: dict, expected: dict, rtol: float = 1e-3) -> None:
    np.testing.assert_allclose(head["losses"], expected["losses"], rtol=rtol)
    np.testing.assert_allclose(head["poses"], expected["poses"], atol=1e-2 * rtol)
    assert head["gaussians"] == expected["gaussians"]
    assert np.abs(head["frames"] - expected["frames"]).mean() < 50 * rtol


def test_the_default_backends_are_those_without_any_choice(expected):
    person, chosen = make_person(), person_with("cpu", "cpu")
    for each in (person, chosen):
        train([each], each.avatar.general, SETTINGS, adapt_phases(SETTINGS)[2], seed=3)
    first, second = avatar_tensors(person.avatar), avatar_tensors(chosen.avatar)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_plain_backends_come_to_the_same_head(expected):
    assert_same_head(head_of("reference", "torch"), expected)


@pytest.fixture
def gpu(monkeypatch):
    """A stand-in of the GPU, which every backend needs until the test ends."""
    if REAL_GPU:
        pytest.skip("there is a real GPU")
    monkeypatch.setattr(backends, "device", lambda chosen: fake_gpu.NAME)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    with fake_gpu.FakeGpu():
        yield fake_gpu.NAME


@pytest.mark.parametrize("pair", [("reference", "torch"), ("cpu", "cpu")])
def test_everything_is_trained_and_rendered_on_a_stand_in_of_the_gpu(gpu, pair, expected):
    assert_same_head(head_of(*pair), expected)


@pytest.mark.parametrize("rasterizer", ["gsplat", "diff_gaussian_rasterization"])
def test_the_adapters_of_gpu_packages_train_alike(monkeypatch, rasterizer):
    stand_ins.install(monkeypatch)
    monkeypatch.setattr("d3talker.backends.missing", lambda *_: None)
    monkeypatch.setattr(backends, "device", lambda chosen: "cpu")
    losses = []
    for pair in (("cpu", "cpu"), (rasterizer, "tinycudann")):
        person = person_with(*pair)
        (phase,) = (phase for phase in adapt_phases(SETTINGS) if phase.stage == "adapt")
        (row,) = train([person], person.avatar.general, SETTINGS, phase, seed=3)
        losses.append((row.loss, row.gaussians))
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


CUDA_PAIRS = [("reference", "torch"), ("gsplat", "tinycudann"), ("gsplat", "cpu")]
CUDA_PAIRS += [("diff_gaussian_rasterization", "torch"), ("cpu", "tinycudann")]


@pytest.mark.parametrize("pair", CUDA_PAIRS)
def test_everything_is_trained_and_rendered_on_the_gpu(monkeypatch, pair, expected):
    if not REAL_GPU:
        pytest.skip("torch sees no GPU here")
    for key, name in zip(("rasterizer", "encoding"), pair, strict=True):
        if problem := backends.explain(key, name):
            pytest.skip(problem)
    monkeypatch.setattr(backends, "device", lambda chosen: "cuda")
    assert_same_head(head_of(*pair), expected, rtol=0.02)  # its random numbers are others


def tensors_of(thing) -> dict[str, torch.Tensor]:
    """Every tensor that an avatar, a drive, a correction of poses or a view holds, by its name."""
    if isinstance(thing, Avatar):
        modules = {"general": thing.general, "individual": thing.individual}
        buffers = {
            f"{name}.{key}": value
            for name, module in modules.items()
            for key, value in module.named_buffers()
        }
        return avatar_tensors(thing) | buffers
    return {name: value for name, value in vars(thing).items() if isinstance(value, torch.Tensor)}


def test_every_tensor_is_on_the_device_of_the_backends(gpu):
    person = person_with("reference", "torch")
    avatar = person.avatar
    for thing in (avatar, person.drive, person.poses, GradientStats(5, avatar.device)):
        tensors = tensors_of(thing)
        assert len(tensors) >= 3
        assert {tensor.device.type for tensor in tensors.values()} == {gpu}
    view = person.scene.view(0).to(avatar.device)
    assert {image.device.type for image in view[1:]} == {gpu}


def test_a_checkpoint_is_written_from_any_device(gpu, tmp_path):
    from d3talker import artifacts

    avatar = person_with("reference", "torch").avatar
    artifacts.save_tensors(tmp_path / "avatar.safetensors", avatar_tensors(avatar))
    tensors, _ = artifacts.load_tensors(tmp_path / "avatar.safetensors")
    assert torch.equal(tensors["face.means"], avatar.face.means.detach().cpu())


def test_the_image_loss_is_the_same_on_every_device(gpu):
    image, target = torch.rand(24, 33, 3, requires_grad=True), torch.rand(24, 33, 3)
    there = image.detach().to(gpu).requires_grad_()
    losses = l1_dssim(image, target), l1_dssim(there, target.to(gpu))
    for loss in losses:
        loss.backward()
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-5)
    torch.testing.assert_close(there.grad.cpu(), image.grad, rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize(
    ("rasterizer", "encoding", "device"),
    [
        ("cpu", "cpu", "cpu"),
        ("reference", "torch", "cpu"),
        ("gsplat", "cpu", "cuda"),
        ("cpu", "tinycudann", "cuda"),
    ],
)
def test_one_backend_for_a_gpu_is_enough_to_need_it(rasterizer, encoding, device):
    assert backends.device({"rasterizer": rasterizer, "encoding": encoding}) == device

"""FAN and S3FD from files: other files are refused, points and boxes come back in pixels."""

import hashlib

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("face_alignment")

from face_alignment.detection.sfd.net_s3fd import s3fd as S3fd  # noqa: E402

from d3talker.artifacts import ArtifactError  # noqa: E402
from d3talker.metrics import check_weights, detectors  # noqa: E402

BRIGHT = (301, 222)  # column and row of a white spot


class Spot(torch.nn.Module):
    """A stand-in of FAN: all 68 heat maps show how bright the picture is."""

    def forward(self, x):
        return torch.nn.functional.avg_pool2d(x.mean(dim=1, keepdim=True), 4).repeat(1, 68, 1, 1)


class Boxes(torch.nn.Module):
    def forward(self, x):
        return x[:, :1]


@pytest.fixture(scope="module")
def s3fd(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "s3fd.pth"
    torch.save({n: torch.zeros_like(t) for n, t in S3fd().state_dict().items()}, path)
    return path


@pytest.fixture(scope="module")
def fan(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "fan.zip"
    torch.jit.script(Spot()).save(str(path))
    return path


@pytest.fixture
def frame():
    image = np.full((512, 512, 3), 20, np.uint8)
    image[BRIGHT[1] - 6 : BRIGHT[1] + 7, BRIGHT[0] - 6 : BRIGHT[0] + 7] = 255
    return image


def test_points_are_in_pixels_of_the_frame_and_of_the_last_face(fan, s3fd, frame, monkeypatch):
    network = detectors.Fan(fan, s3fd)
    faces = [np.array([0.0, 0, 90, 90, 0.99]), np.array([180.0, 120, 380, 340, 0.6])]
    frames = [frame, frame, np.roll(frame, 40, axis=1)]
    answers = iter([faces, [], faces])
    monkeypatch.setattr(network.face_detector, "detect_from_image", lambda image: next(answers))
    points, valid = detectors.fan_points(network, frames)
    assert points.shape == (3, 68, 2) and valid.tolist() == [True, False, True]
    # A heat map has 64 places for about 430 px.
    assert np.abs(points[0] - BRIGHT).max() < 10 and (points[1] == 0).all()
    assert np.abs(points[2] - points[0] - [40, 0]).max() < 10


def test_they_are_those_that_the_package_finds_by_itself(fan, s3fd, frame, monkeypatch):
    network = detectors.Fan(fan, s3fd)
    faces = [np.array([0.0, 0, 90, 90, 0.99]), np.array([180.0, 120, 380, 340, 0.6])]
    monkeypatch.setattr(network.face_detector, "detect_from_image", lambda image: faces)
    expected = network.get_landmarks(frame)[-1]
    assert (detectors.fan_points(network, [frame])[0][0] == expected).all()


def test_a_detector_that_is_sure_of_nothing_finds_nothing(s3fd, frame):
    assert detectors.syncnet_boxes(detectors.load_s3fd(s3fd), frame).shape == (0, 4)


def test_boxes_of_syncnet_are_sure_apart_and_of_the_whole_frame(s3fd, frame, monkeypatch):
    detector, sizes = detectors.load_s3fd(s3fd), []
    found = [
        [10, 10, 40, 40, 0.95],
        [12, 10, 42, 40, 0.99],  # the same face, surer
        [60, 10, 90, 40, 0.89],  # not sure
        [33, 30, 60, 60, 0.92],  # overlaps a little: less than a tenth of the union
        [33, 12, 63, 42, 0.91],  # more than a tenth
    ]

    def detect(network, image, device):
        sizes.append(image.shape)
        return np.array([found])

    monkeypatch.setattr(detectors.detect, "detect", detect)
    boxes = detectors.syncnet_boxes(detector, frame)
    assert sizes == [(128, 128, 3)]
    assert boxes.tolist() == [[48, 40, 168, 160], [132, 120, 240, 240]]


def test_the_published_names_hold_digests(fan, tmp_path):
    content = fan.read_bytes()
    right = tmp_path / f"2DFAN4-{hashlib.sha256(content).hexdigest()[:10]}.zip"
    right.write_bytes(content)
    detectors.load_fan(right)
    right.write_bytes(content + b"\0")
    with pytest.raises(ArtifactError, match=r"sha256 begins with .* cut off"):
        detectors.load_fan(right)


@pytest.mark.parametrize("damage", ["missing", "cut", "another", "no archive"])
def test_another_fan_is_refused_with_the_source(fan, tmp_path, damage):
    path = tmp_path / "fan.zip"
    if damage == "another":
        torch.jit.script(Boxes()).save(str(path))
    elif damage != "missing":
        path.write_bytes(fan.read_bytes()[:900] if damage == "cut" else b"nothing")
    with pytest.raises(ArtifactError, match=r"fan\.zip: not the weights of fan .*python-fan"):
        detectors.load_fan(path)


@pytest.mark.parametrize("damage", ["missing", "cut", "another"])
def test_another_s3fd_is_refused_with_the_source(s3fd, tmp_path, damage):
    path = tmp_path / "s3fd.pth"
    if damage == "another":
        torch.save({"conv1_1.weight": torch.zeros(64, 3, 3, 3)}, path)
    elif damage == "cut":
        path.write_bytes(s3fd.read_bytes()[:100_000])
    with pytest.raises(ArtifactError, match=r"s3fd\.pth: not the weights of s3fd .*python-fan"):
        detectors.load_s3fd(path)


def test_all_given_files_are_looked_into_before_a_run(fan, s3fd, tmp_path):
    assert check_weights.problems({"fan": str(fan), "s3fd": str(s3fd)}) == []
    (tmp_path / "syncnet_v2.model").write_bytes(b"")
    (tmp_path / "a.safetensors").write_bytes(b"")
    answer = check_weights.problems(
        {"alexnet": str(tmp_path / "a.safetensors"), "syncnet": str(tmp_path / "syncnet_v2.model")}
    )
    assert [line.split(":")[0] for line in answer] == ["models.alexnet", "models.syncnet"]

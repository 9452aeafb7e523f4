"""The stage bisenet, and parse with its labels in place of its own: each in its environment."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from d3talker.artifacts import load_image, load_images, save_arrays, save_images  # noqa: E402
from d3talker.cli import run  # noqa: E402
from d3talker.face import bisenet, easyportrait  # noqa: E402
from d3talker.face.parsing import BACKGROUND, CLOTH, FACE, TEETH  # noqa: E402
from d3talker.video import read_frames, write_video  # noqa: E402
from stages import bisenet as stage  # noqa: E402

ROOT = Path(__file__).parents[2]
MEDIA = ROOT / ".envs" / "media" / "bin" / "python"
FRAMES, SIZE = 9, 96


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A clip, weights of the released shapes, and the landmarks that parse counts.

    BiSeNet's weights are random, but its last layer knows skin, inner mouth and cloth only;
    EasyPortrait sees teeth everywhere.
    """
    folder = tmp_path_factory.mktemp("bisenet")
    write_video(folder / "clip.mp4", clip(), crf=10)
    torch.manual_seed(0)
    network = bisenet.BiSeNet()
    scores = network.conv_out.conv_out.weight.data
    scores[[c for c in range(19) if c not in (0, 1, 11, 16)]] = -10.0
    torch.save(network.state_dict(), folder / "bisenet.pth")
    state = easyportrait.EasyPortrait().state_dict()
    state["decode_head.conv_seg.bias"][easyportrait.TEETH_CLASS] = 1e4
    torch.save({"state_dict": state}, folder / "easyportrait.pth")
    points = np.zeros((FRAMES, 478, 3), np.float32)
    save_arrays(folder / "landmarks.npz", {"size": SIZE}, points=points)
    return folder


def clip() -> np.ndarray:
    """A bright square that wanders over a grey wall."""
    frames = np.full((FRAMES, SIZE, SIZE, 3), 90, np.uint8)
    for number, frame in enumerate(frames):
        frame[20:60, 5 * number : 5 * number + 40] = (220, 150, 120)
    return frames


def label(folder: Path, monkeypatch, out: str, *more: str | Path) -> np.ndarray:
    """The labels that the stage makes, looking at small pictures."""
    for module in (bisenet, easyportrait):
        monkeypatch.setattr(module, "SIDE", 64)
    words = ["bisenet.py", "--video", folder / "clip.mp4", "--out", folder / out, *more]
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    run(stage.main)
    return load_images(folder / out)


def parse(folder: Path, labels: Path) -> subprocess.CompletedProcess:
    if not MEDIA.exists():
        pytest.skip("parse needs the environment media")
    command = [MEDIA, ROOT / "stages" / "parse.py", "--video", folder / "clip.mp4"]
    command += ["--landmarks", folder / "landmarks.npz", "--labels", labels]
    command += ["--out-labels", folder / "parsing.zip", "--out-background", folder / "plate.png"]
    command += ["--out-torso", folder / "torso.zip"]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True)


def test_every_frame_is_labelled_and_teeth_are_added(folder, monkeypatch):
    weights = ["--bisenet", folder / "bisenet.pth"]
    labels = label(folder, monkeypatch, "plain.zip", *weights)
    assert labels.shape == (FRAMES, SIZE, SIZE) and TEETH not in labels
    network = bisenet.load_bisenet(folder / "bisenet.pth")
    again = bisenet.label(network, read_frames(folder / "clip.mp4")[-1:])
    assert (labels[-1] == again[0]).all() and len(np.unique(labels)) > 1
    more = ["--easyportrait", folder / "easyportrait.pth"]
    with_teeth = label(folder, monkeypatch, "teeth.zip", *weights, *more)
    in_face = (labels == FACE) | (labels == 3)
    assert in_face.any() and (with_teeth == np.where(in_face, TEETH, labels)).all()


def test_parse_takes_the_labels_and_makes_the_rest_of_them(folder):
    labels = np.full((FRAMES, SIZE, SIZE), BACKGROUND, np.uint8)
    for number, image in enumerate(labels):
        image[20:60, 5 * number : 5 * number + 40] = FACE
        image[60:70, 5 * number : 5 * number + 40] = CLOTH
    save_images(folder / "labels.zip", labels)
    done = parse(folder, folder / "labels.zip")
    assert done.returncode == 0, done.stderr
    assert (load_images(folder / "parsing.zip") == labels).all()
    plate = load_image(folder / "plate.png").astype(int)
    assert np.abs(plate - 90).max() < 12  # nothing of the square, which covered every column
    torso = load_images(folder / "torso.zip")
    assert (torso[..., 3] >= 255 * (labels == CLOTH)).all() and not torso[:, 80:, :, 3].any()


def test_labels_of_a_shorter_clip_are_refused(folder):
    save_images(folder / "short.zip", np.zeros((FRAMES - 2, SIZE, SIZE), np.uint8))
    done = parse(folder, folder / "short.zip")
    assert done.returncode == 2 and "short.zip: not a complete image archive" in done.stderr


def test_a_damaged_file_is_an_error_for_people(folder, monkeypatch, capsys):
    (folder / "cut.pth").write_bytes((folder / "bisenet.pth").read_bytes()[:5000])
    with pytest.raises(SystemExit):
        label(folder, monkeypatch, "none.zip", "--bisenet", folder / "cut.pth")
    assert "cut.pth: not the weights of bisenet" in capsys.readouterr().err
    assert not (folder / "none.zip").exists()

"""fan and syncnet through their command lines, with networks that this test makes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("face_alignment")
pytest.importorskip("python_speech_features")

from face_alignment.detection.sfd.net_s3fd import s3fd as S3fd  # noqa: E402

from d3talker.artifacts import load_arrays, load_json, save_json  # noqa: E402
from d3talker.metrics.syncnet import SyncNet  # noqa: E402
from d3talker.video import write_video, write_wav  # noqa: E402
from stages import fan  # noqa: E402

STAGES = Path(__file__).resolve().parents[2] / "stages"
# S3FD's third scale has places 16 px apart and boxes of 64 px; these see a face at all of them.
SURE = {"conv5_3_norm_mbox_conf.bias": torch.tensor([-4.0, 4.0])}
UNSURE = {f"{layer}_mbox_conf.bias" for layer in ("conv4_3_norm", "fc7", "conv6_2", "conv7_2")}


class Middle(torch.nn.Module):
    """A stand-in of FAN: all points in the middle of the face."""

    def forward(self, x):
        maps = torch.zeros(x.shape[0], 68, 64, 64)
        maps[:, :, 32, 32] = 1.0
        return maps


def stage(name, *arguments):
    command = [sys.executable, STAGES / f"{name}.py", *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Weights, a clip of 12 frames with 4 test frames, and a render of those, without a face."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    torch.save(SyncNet().state_dict(), folder / "syncnet.pth")
    torch.jit.script(Middle()).save(str(folder / "fan.zip"))
    state = {name: torch.zeros_like(tensor) for name, tensor in S3fd().state_dict().items()}
    torch.save(state, folder / "blind.pth")
    state |= SURE | dict.fromkeys(UNSURE, torch.tensor([4.0, -4.0]))
    state["conv3_3_norm_mbox_conf.bias"] = torch.tensor([4.0, 4.0, 4.0, -4.0])
    torch.save(state, folder / "s3fd.pth")
    frames = [np.full((128, 128, 3), 20 * n, np.uint8) for n in range(12)]
    write_video(folder / "video.mp4", frames)
    write_video(folder / "render.mp4", frames[8:])
    write_wav(folder / "audio.wav", np.zeros(12 * 640, np.float32))
    save_json(folder / "ingest.json", {"test": [8, 12]})
    about = {"drive": "self", "first_frame": 8, "frames": 4}
    save_json(folder / "render.json", about)
    return folder


def test_fan_finds_points_in_a_render_and_in_the_test_frames_of_a_clip(folder, monkeypatch):
    weights = ["--fan", folder / "fan.zip", "--s3fd", folder / "s3fd.pth"]
    truth = ["--video", folder / "video.mp4", "--ingest", folder / "ingest.json"]
    for video, out in ((truth, "truth.npz"), (["--video", folder / "render.mp4"], "render.npz")):
        words = ["fan.py", *video, *weights, "--out", folder / out]
        monkeypatch.setattr(sys, "argv", [str(word) for word in words])
        fan.main()  # in this process, in which the package compiles its code once
    (truth, about), (render, about_render) = (
        load_arrays(folder / name) for name in ("truth.npz", "render.npz")
    )
    assert (about["first_frame"], about_render["first_frame"]) == (8, 0)
    assert truth["points"].shape == render["points"].shape == (4, 68, 2)
    assert truth["valid"].all() and np.array_equal(truth["points"], render["points"])


def test_a_render_without_a_face_has_a_reason_and_no_sync(folder):
    files = ["--render", folder / "render.mp4", "--render-json", folder / "render.json"]
    files += ["--audio", folder / "audio.wav", "--syncnet", folder / "syncnet.pth"]
    done = stage("syncnet", *files, "--s3fd", folder / "blind.pth", "--out", folder / "s.json")
    assert done.returncode == 0, done.stderr
    assert load_json(folder / "s.json")["tracks"] == 0
    assert "follows no face" in load_json(folder / "s.json")["missing"]


def test_a_damaged_file_is_an_error_for_people(folder):
    (folder / "cut.zip").write_bytes((folder / "fan.zip").read_bytes()[:300])
    weights = ["--fan", folder / "cut.zip", "--s3fd", folder / "s3fd.pth"]
    done = stage("fan", "--video", folder / "render.mp4", *weights, "--out", folder / "n.npz")
    assert done.returncode == 2 and "cut.zip: not the weights of fan" in done.stderr
    assert not (folder / "n.npz").exists()

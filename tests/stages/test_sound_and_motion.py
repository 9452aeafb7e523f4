"""The paper's parts of sound, motion and geometry through their stages, with generated weights."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("python_speech_features")
pytest.importorskip("numba")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

import scipy.io.wavfile  # noqa: E402
from real3dportrait import checkpoint, write_mat  # noqa: E402
from speech_weights import NARROW, deepspeech_tensors, graph  # noqa: E402

from d3talker.artifacts import (  # noqa: E402
    ArtifactError,
    load_arrays,
    save_arrays,
    save_image,
    save_images,
    save_json,
)
from d3talker.avatar import Drive  # noqa: E402
from d3talker.cli import InputError  # noqa: E402
from d3talker.face import sapiens as networks  # noqa: E402
from d3talker.face.parsing import BACKGROUND, FACE  # noqa: E402
from d3talker.fields.architecture import Architecture  # noqa: E402
from d3talker.fields.deformation import IndividualField, individual_part  # noqa: E402
from d3talker.fields.signals import AudioSignal  # noqa: E402
from d3talker.speech.deepspeech_pytorch import DeepSpeech2  # noqa: E402
from d3talker.train.geometry import load_geometry  # noqa: E402
from d3talker.video import write_video  # noqa: E402
from stages import convert_weights, motion_real3dportrait, sapiens, speech  # noqa: E402

FRAMES, SIDE = 12, 64


@pytest.fixture
def wav(tmp_path):
    samples = np.random.default_rng(0).normal(0, 3000, 640 * FRAMES).astype(np.int16)
    scipy.io.wavfile.write(tmp_path / "a.wav", 16000, samples)
    return tmp_path / "a.wav"


def test_the_graph_of_deepspeech_is_converted_and_hears(run, wav, tmp_path):
    (tmp_path / "graph.pb").write_bytes(graph(deepspeech_tensors(**NARROW)))
    weights = tmp_path / "deepspeech.safetensors"
    run(convert_weights, "deepspeech", tmp_path / "graph.pb", weights)
    words = ["--audio", wav, "--extractor", "deepspeech", "--out", tmp_path / "s.npz"]
    run(speech, *words, "--weights", weights)
    arrays, meta = load_arrays(tmp_path / "s.npz")
    assert arrays["features"].shape == (FRAMES, 16, 29) and meta["extractor"] == "deepspeech"
    with pytest.raises(InputError, match=r"needs --weights: .*convert_weights\.py deepspeech"):
        run(speech, *words)
    with pytest.raises(ArtifactError, match=r"graph\.pb: .*to be converted once"):
        run(speech, *words, "--weights", tmp_path / "graph.pb")
    with pytest.raises(InputError, match=r"must end with \.safetensors"):
        run(convert_weights, "deepspeech", tmp_path / "graph.pb", tmp_path / "out.npz")


def test_a_checkpoint_of_deepspeech_pytorch_hears(run, wav, tmp_path):
    torch.save({"state_dict": DeepSpeech2(8, 2).state_dict()}, tmp_path / "d.ckpt")
    words = ["--audio", wav, "--extractor", "deepspeech_pytorch", "--out", tmp_path / "s.npz"]
    run(speech, *words, "--weights", tmp_path / "d.ckpt")
    arrays, meta = load_arrays(tmp_path / "s.npz")
    assert arrays["features"].shape == (FRAMES, 16, 29)
    assert meta["extractor"] == "deepspeech_pytorch"


@pytest.mark.parametrize(
    ("rows", "channels", "first"), [(16, 29, 32), (16, 44, 32), (2, 1024, 128)]
)
def test_the_audio_net_is_as_wide_as_the_features(rows, channels, first):
    motion = {"pncc": np.zeros((9, 3, 8, 8), np.uint8), "canonical": np.zeros((3, 8, 8), np.uint8)}
    features = np.ones((9, rows, channels), np.float32)
    drive = Drive.from_artifacts(motion, {"features": features}, np.zeros((9, 6)))
    assert drive.speech_channels == channels
    field = individual_part(Architecture(speech_channels=drive.speech_channels))
    assert isinstance(field, IndividualField)
    assert field.face_signal.convolutions[0].weight.shape[:2] == (first, channels)
    assert field.face_signal(drive.speech).shape == (9, 32)
    assert AudioSignal().convolutions[0].in_channels == 29


def test_sound_becomes_expressions_of_the_front_face_and_their_pictures(run, tmp_path):
    checkpoint(tmp_path / "vae.ckpt")
    write_mat(tmp_path / "front.mat")
    run(convert_weights, "bfm_front", tmp_path / "front.mat", tmp_path / "front.npz")
    rng = np.random.default_rng(0)
    rows = 2 * FRAMES - 1
    heard = {"hubert": rng.normal(size=(rows, 1024)).astype(np.float32), "pitch": np.ones(rows)}
    save_arrays(tmp_path / "voice.npz", {"frames": FRAMES}, **heard)
    words = ["--voice", tmp_path / "voice.npz", "--audio2secc-vae", tmp_path / "vae.ckpt"]
    words += ["--out", tmp_path / "motion.npz", "--bfm-front"]
    run(motion_real3dportrait, *words, tmp_path / "front.npz", "--settings", '{"temperature": 0.2}')
    motion, meta = load_arrays(tmp_path / "motion.npz")
    assert motion["expression"].shape == (FRAMES, 64) and motion["expression"].dtype == np.float32
    assert motion["pncc"].shape == (FRAMES, 3, 128, 128) and motion["pncc"].dtype == np.uint8
    assert (motion["pncc"] != motion["canonical"]).any()
    assert meta["backend"] == "real3dportrait" and meta["settings"]["temperature"] == 0.2
    speech = {"features": np.zeros((FRAMES, 16, 29), np.float32)}
    drive = Drive.from_artifacts(motion, speech, np.zeros((FRAMES, 6)))
    assert drive.motion.shape == (FRAMES, 3, 128, 128) and drive.motion.abs().max() <= 1
    with pytest.raises(ArtifactError, match=r"vae\.ckpt: not the weights of bfm_front"):
        run(motion_real3dportrait, *words, tmp_path / "vae.ckpt")
    save_arrays(tmp_path / "voice.npz", {}, pitch=np.ones(3))
    with pytest.raises(ArtifactError, match=r"voice\.npz: not made by stages/voice\.py"):
        run(motion_real3dportrait, *words, tmp_path / "front.npz")


class Depth(torch.nn.Module):
    """A stand-in of Sapiens: brightness, in a quarter of the size."""

    def forward(self, x):
        return torch.nn.functional.avg_pool2d(x.mean(dim=1, keepdim=True), 4)


class Normal(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.avg_pool2d(x, 4) + 10.0


@pytest.fixture
def prior(tmp_path):
    """A clip and both networks, as options of the stage."""
    frames = [np.full((SIDE, SIDE, 3), 10 * n, np.uint8) for n in range(FRAMES)]
    write_video(tmp_path / "video.mp4", frames)
    labels = np.full((SIDE, SIDE), FACE, np.uint8)
    labels[:, : SIDE // 2] = BACKGROUND
    save_images(tmp_path / "parsing.zip", [labels] * FRAMES)
    save_image(tmp_path / "background.png", np.full((SIDE, SIDE, 3), 250, np.uint8))
    save_json(tmp_path / "ingest.json", {"test": [9, FRAMES], "size": SIDE})
    words = ["--video", tmp_path / "video.mp4", "--labels", tmp_path / "parsing.zip"]
    words += ["--background", tmp_path / "background.png", "--ingest", tmp_path / "ingest.json"]
    for kind, network in (("depth", Depth()), ("normal", Normal())):
        path = tmp_path / f"{kind}.pt2"
        torch.jit.script(network).save(str(path))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        words += [f"--sapiens-{kind}", path, f"--sha256-{kind}", digest]
    return [*words, "--out", tmp_path / "geometry.npz"]


def test_sapiens_sees_the_training_frames_before_the_clean_room(run, prior, tmp_path):
    run(sapiens, *prior)
    found, meta = load_arrays(tmp_path / "geometry.npz")
    assert found["depth"].shape == (9, SIDE, SIDE) and found["normals"].shape == (9, SIDE, SIDE, 3)
    assert found["frames"].tolist() == list(range(9)) and meta["source"] == "sapiens"
    norms = np.linalg.norm(found["normals"].astype(np.float32), axis=-1)
    np.testing.assert_allclose(norms, 1, atol=2e-3)
    # Brightness, normalised as the networks are used to it: 250 in the room, 10 n on the face.
    mean, std = np.array(networks.MEAN), np.array(networks.STD)
    room = ((250 - mean) / std).mean()
    np.testing.assert_allclose(found["depth"][:, 5, 5].astype(float), room, atol=0.01)
    faces = found["depth"][:, 5, -5].astype(float)
    np.testing.assert_allclose(faces, [((10 * n - mean) / std).mean() for n in range(9)], atol=0.06)

    class Scene:
        size, indices = SIDE, np.arange(9)
        origins, heads = np.zeros((9, 2), int), np.zeros((9, 32, 32), np.uint8)

    geometry = load_geometry(tmp_path / "geometry.npz", Scene())
    assert geometry.depth.shape == (9, 32, 32)


def test_a_program_of_another_digest_is_not_opened(run, prior, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: opened.append(1))
    place = prior.index("--sha256-normal") + 1
    wrong = [*prior[:place], "0" * 64, *prior[place + 1 :]]
    place = prior.index("--sha256-depth") + 1
    with pytest.raises(ArtifactError, match=r"depth\.pt2: .*its sha256 is .*sha256\.sapiens_depth"):
        run(sapiens, *wrong[:place], "f" * 64, *wrong[place + 1 :])
    assert not opened


def test_a_network_of_another_kind_is_told(run, prior, tmp_path):
    swapped = [str(word) for word in prior]
    depth, normal = (swapped.index(f"--sapiens-{kind}") for kind in ("depth", "normal"))
    swapped[depth + 1], swapped[normal + 1] = swapped[normal + 1], swapped[depth + 1]
    swapped[depth + 3], swapped[normal + 3] = swapped[normal + 3], swapped[depth + 3]
    with pytest.raises(ArtifactError, match=r"sapiens_depth: .*makes \(1, 3, 256, 192\), not"):
        run(sapiens, *swapped)
    (tmp_path / "depth.pt2").write_bytes(b"cut off")
    with pytest.raises(ArtifactError, match=r"depth\.pt2: not the weights of sapiens_depth"):
        networks.load_sapiens("sapiens_depth", tmp_path / "depth.pt2")

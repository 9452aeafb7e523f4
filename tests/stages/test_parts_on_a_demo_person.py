"""The paper's own parts, one after the other on a demo person, with generated weights."""

import hashlib
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("face_alignment")
pytest.importorskip("python_speech_features")

from d3talker.artifacts import (  # noqa: E402
    load_arrays,
    load_images,
    save_arrays,
    save_image,
    save_json,
)
from d3talker.face import bfm_tracking, bisenet, easyportrait  # noqa: E402
from d3talker.face.model import IBUG_68  # noqa: E402
from d3talker.face.parsing import FACE, TEETH  # noqa: E402
from d3talker.metrics.openface import UNITS  # noqa: E402
from stages import bisenet as bisenet_stage  # noqa: E402
from stages import convert_weights, fan, motion_real3dportrait, sapiens, speech, track  # noqa: E402
from tests.stages.test_sound_and_motion import Depth, Normal  # noqa: E402
from tests.stages.test_weights_stages import SURE, UNSURE, Middle, S3fd  # noqa: E402
from tests.unit.bfm_models import basel_like  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))
from real3dportrait import checkpoint, write_mat  # noqa: E402
from speech_weights import NARROW, deepspeech_tensors, graph  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
MEDIA, SPEECH = (ROOT / ".envs" / name / "bin" / "python" for name in ("media", "speech"))
SIZE, FRAMES = 96, 30
MAKE_HUBERT = """
import sys, torch, transformers
config = transformers.HubertConfig(hidden_size=1024, conv_dim=(16,) * 7, num_hidden_layers=1,
    num_attention_heads=2, intermediate_size=32, num_conv_pos_embeddings=4,
    num_conv_pos_embedding_groups=2, feat_extract_norm="layer")
transformers.HubertModel(config).save_pretrained(sys.argv[1])
transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(sys.argv[1])
"""


def outside(python: Path, script: str, *words: str | Path) -> None:
    """Run a script of stages/ in another environment."""
    command = [python, ROOT / "stages" / script, *words]
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


@pytest.fixture(scope="module")
def person(tmp_path_factory) -> Path:
    """ada.mp4, her sound and her landmarks, as the other stages see her."""
    if not MEDIA.exists():
        pytest.skip("demo people are made in the environment media")
    folder = tmp_path_factory.mktemp("ada")
    size, seconds = str(SIZE), str(FRAMES / 25)
    words = ["--out", folder, "--size", size, "--seconds", seconds, "--people", "1"]
    outside(MEDIA, "make_demo_people.py", *words)
    outside(MEDIA, "ingest_audio.py", "--audio", folder / "ada.mp4", "--out", folder / "ada.wav")
    outside(MEDIA, "landmarks.py", "--video", folder / "ada.mp4", "--out", folder / "landmarks.npz")
    save_json(folder / "ingest.json", {"test": [20, FRAMES], "size": SIZE, "jump_cuts": []})
    return folder


def test_she_is_parsed_and_seen_in_depth(person, run, monkeypatch):
    for module in (bisenet, easyportrait):
        monkeypatch.setattr(module, "SIDE", 64)
    torch.manual_seed(0)
    torch.save(bisenet.BiSeNet().state_dict(), person / "bisenet.pth")
    state = easyportrait.EasyPortrait().state_dict()
    state["decode_head.conv_seg.bias"][easyportrait.TEETH_CLASS] = 1e4
    torch.save({"state_dict": state}, person / "easyportrait.pth")
    words = ["--video", person / "ada.mp4", "--bisenet", person / "bisenet.pth"]
    words += ["--easyportrait", person / "easyportrait.pth", "--out", person / "labels.zip"]
    run(bisenet_stage, *words)
    labels = load_images(person / "labels.zip")
    assert labels.shape == (FRAMES, SIZE, SIZE)
    assert TEETH in labels and FACE not in labels  # this EasyPortrait sees teeth everywhere

    save_image(person / "background.png", np.full((SIZE, SIZE, 3), 90, np.uint8))
    words = ["--video", person / "ada.mp4", "--labels", person / "labels.zip"]
    words += ["--background", person / "background.png", "--ingest", person / "ingest.json"]
    for kind, network in (("depth", Depth()), ("normal", Normal())):
        torch.jit.script(network).save(str(person / f"{kind}.pt2"))
        digest = hashlib.sha256((person / f"{kind}.pt2").read_bytes()).hexdigest()
        words += [f"--sapiens-{kind}", person / f"{kind}.pt2", f"--sha256-{kind}", digest]
    run(sapiens, *words, "--out", person / "geometry.npz")
    prior, _ = load_arrays(person / "geometry.npz")
    assert prior["depth"].shape == (20, SIZE, SIZE) and np.ptp(prior["depth"][0]) > 0.1


def test_she_is_tracked_by_the_basel_face_model_with_openfaces_units(person, run, monkeypatch):
    torch.jit.script(Middle()).save(str(person / "fan.zip"))
    state = {name: torch.zeros_like(tensor) for name, tensor in S3fd().state_dict().items()}
    state |= SURE | dict.fromkeys(UNSURE, torch.tensor([4.0, -4.0]))
    state["conv3_3_norm_mbox_conf.bias"] = torch.tensor([4.0, 4.0, 4.0, -4.0])
    torch.save(state, person / "s3fd.pth")
    words = ["--fan", person / "fan.zip", "--s3fd", person / "s3fd.pth", "--face", "first"]
    run(fan, "--video", person / "ada.mp4", *words, "--out", person / "fan.npz")
    found, _ = load_arrays(person / "fan.npz")
    assert found["points"].shape == (FRAMES, 68, 2) and found["valid"].all()

    landmarks, _ = load_arrays(person / "landmarks.npz")  # where a trained FAN would put them
    points = landmarks["points"][:, IBUG_68, :2]
    save_arrays(person / "points.npz", {}, points=points, valid=landmarks["valid"])
    save_arrays(person / "bfm.npz", {}, **asdict(basel_like()))
    units = ", ".join(f"AU{unit}_r" for unit in UNITS)
    row = ", ".join("0.5" for _ in UNITS)
    (person / "au.csv").write_text("\n".join([units, *[row] * FRAMES]) + "\n")
    lengths = {"search_pose": 40, "search_all": 10, "coarse_pose": 80, "coarse_all": 20}
    short = bfm_tracking.BfmSettings(focals=(800, 1200), fine_iterations=3, **lengths)
    monkeypatch.setattr(bfm_tracking, "BfmSettings", lambda: short)
    words = ["--landmarks", person / "landmarks.npz", "--ingest", person / "ingest.json"]
    words += ["--face-model", ROOT / "resources" / "face_model.npz", "--bfm", person / "bfm.npz"]
    words += ["--fan-landmarks", person / "points.npz", "--openface", person / "au.csv"]
    run(track, *words, "--out", person / "track.npz")
    tracked, meta = load_arrays(person / "track.npz")
    assert meta["face_model"] == "bfm" and (tracked["au"] == 0.5).all()
    assert np.nanmean(tracked["reprojection_error"]) < 0.1 * SIZE
    assert (tracked["R"][:, 2, 2] < -0.8).all() and (tracked["t"][:, 2] > 0.2).all()


def test_her_speech_is_heard_by_deepspeech(person, run):
    (person / "graph.pb").write_bytes(graph(deepspeech_tensors(**NARROW)))
    weights = person / "deepspeech.safetensors"
    run(convert_weights, "deepspeech", person / "graph.pb", weights)
    words = ["--audio", person / "ada.wav", "--extractor", "deepspeech", "--weights", weights]
    run(speech, *words, "--out", person / "speech.npz")
    features = load_arrays(person / "speech.npz")[0]["features"]
    assert features.shape == (FRAMES, 16, 29) and features.std(axis=0).max() > 0


def test_her_voice_moves_the_front_face(person, run):
    if not SPEECH.exists():
        pytest.skip("HuBERT and Praat need the environment speech")
    hubert = person / "hubert"
    subprocess.run([SPEECH, "-c", MAKE_HUBERT, hubert], check=True, capture_output=True)
    words = ["--audio", person / "ada.wav", "--hubert", hubert / "model.safetensors"]
    outside(SPEECH, "voice.py", *words, "--out", person / "voice.npz")
    checkpoint(person / "vae.ckpt")
    write_mat(person / "front.mat")
    run(convert_weights, "bfm_front", person / "front.mat", person / "front.npz")
    words = ["--voice", person / "voice.npz", "--audio2secc-vae", person / "vae.ckpt"]
    words += ["--bfm-front", person / "front.npz", "--out", person / "motion.npz"]
    run(motion_real3dportrait, *words)
    motion, _ = load_arrays(person / "motion.npz")
    assert motion["expression"].shape == (FRAMES, 64)
    assert motion["expression"].std(axis=0).max() > 0
    assert motion["pncc"].shape == (FRAMES, 3, 128, 128)

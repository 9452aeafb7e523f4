"""HuBERT, wav2vec 2.0 and the pitch, in the environment `speech` (`make speech`)."""

import json
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers", reason="only in the environment speech")
pytest.importorskip("parselmouth", reason="only in the environment speech")

import scipy.io.wavfile  # noqa: E402

from d3talker.artifacts import ArtifactError, load_arrays  # noqa: E402
from d3talker.speech import transformer  # noqa: E402
from d3talker.speech.extractors import extract  # noqa: E402
from d3talker.speech.pitch import pitch  # noqa: E402
from stages import voice  # noqa: E402

SMALL = {
    "conv_dim": (16,) * 7,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "feat_extract_norm": "layer",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders of a small HuBERT and a small wav2vec, as transformers writes them."""
    folder = tmp_path_factory.mktemp("networks")
    torch.manual_seed(0)
    hubert = transformers.HubertConfig(hidden_size=1024, **SMALL)
    transformers.HubertModel(hubert).save_pretrained(folder / "hubert")
    letters = transformers.Wav2Vec2Config(hidden_size=32, vocab_size=44, **SMALL)
    transformers.Wav2Vec2ForCTC(letters).save_pretrained(folder / "wav2vec")
    for name in ("hubert", "wav2vec"):
        normalise = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
        normalise.save_pretrained(folder / name)
    return folder


def noise(frames, seed=0):
    samples = np.random.default_rng(seed).normal(0, 0.1, 640 * frames)
    return samples.astype(np.float32)


def test_hubert_large_has_the_width_that_its_users_expect():
    large = transformers.HubertConfig(
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        conv_bias=True,
    )
    with torch.device("meta"):
        network = transformers.HubertModel(large)
    shapes = {name: tuple(p.shape) for name, p in network.named_parameters()}
    assert shapes["feature_projection.projection.weight"] == (1024, 512)
    assert shapes["encoder.layers.23.final_layer_norm.weight"] == (1024,)
    assert 310e6 < sum(p.numel() for p in network.parameters()) < 320e6


@pytest.mark.parametrize("frames", [1, 30, 31])
def test_hubert_gives_two_rows_to_every_frame(folders, frames):
    weights = folders / "hubert" / "model.safetensors"
    features, about = extract("hubert", noise(frames), weights)
    assert features.shape == (frames, 2, 1024) and features.dtype == np.float32
    assert about["extractor"] == "hubert"


def test_wav2vec_gives_windows_of_letters(folders):
    weights = folders / "wav2vec" / "model.safetensors"
    features, _ = extract("wav2vec", noise(30), weights)
    assert features.shape == (30, 16, 44)
    # Row 8 of window i is row 2 i of the sound, row 10 that of the next frame.
    np.testing.assert_array_equal(features[4, 10], features[5, 8])
    assert (features[0, :8] == 0).all() and (features[0, 8] != 0).any()


def test_long_sound_is_heard_in_parts_that_join(folders, monkeypatch):
    hubert = transformer.load_hubert(folders / "hubert")
    monkeypatch.setattr(transformer, "PART", 20 * 320)
    samples = noise(33)
    rows = transformer.hubert_rows(samples, hubert)
    assert len(rows) == (len(samples) - 80) // 320 == 65
    normal = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    part = torch.from_numpy(normal[20 * 320 : 40 * 320 + 80])[None]
    with torch.no_grad():
        wanted = hubert.network(part).last_hidden_state[0].numpy()
    np.testing.assert_allclose(rows[20:40], wanted, atol=1e-4)


def test_praat_finds_the_pitch_of_a_voice_and_none_in_noise():
    time = np.arange(16000) / 16000
    voiced = sum(np.sin(2 * np.pi * 200 * k * time) / k for k in range(1, 8)).astype(np.float32)
    found = pitch(0.1 * voiced, 49)
    assert found.shape == (49,) and np.abs(found[5:-5] - 200).max() < 1
    assert (pitch(noise(25), 49) > 0).mean() < 0.2
    assert len(pitch(0.1 * voiced, 60)) == 60 and len(pitch(0.1 * voiced, 20)) == 20


def test_the_stage_writes_what_the_motion_network_hears(folders, tmp_path, monkeypatch):
    wav = (noise(20) * 32767).astype(np.int16)
    scipy.io.wavfile.write(tmp_path / "a.wav", 16000, wav)
    weights = folders / "hubert" / "model.safetensors"
    words = ["voice.py", "--audio", tmp_path / "a.wav", "--hubert", weights]
    monkeypatch.setattr(sys, "argv", [str(w) for w in [*words, "--out", tmp_path / "v.npz"]])
    voice.main()
    arrays, about = load_arrays(tmp_path / "v.npz")
    assert arrays["hubert"].shape == (39, 1024) and arrays["pitch"].shape == (39,)
    assert about["frames"] == 20


def test_weights_that_do_not_fit_their_config_are_refused(folders, tmp_path):
    for file in (folders / "hubert").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:5000])
    with pytest.raises(ArtifactError, match=r"not the weights of hubert .*hubert-large-ls960"):
        transformer.load_hubert(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(whole)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2}))
    with pytest.raises(ArtifactError, match=r"lacks .*encoder\.layers\.1"):
        transformer.load_hubert(tmp_path)

"""Checkpoints of deepspeech.pytorch without that package."""

import sys
import types

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from d3talker.artifacts import ArtifactError  # noqa: E402
from d3talker.speech import deepspeech_pytorch as own  # noqa: E402


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(0)
    network = own.DeepSpeech2(hidden=12, layers=3)
    return network.state_dict()


@pytest.fixture
def checkpoint(tmp_path, state, monkeypatch):
    """A Lightning checkpoint with settings of a class that is gone when it is read."""
    module = types.ModuleType("deepspeech_pytorch.configs.train_config")
    monkeypatch.setitem(sys.modules, "deepspeech_pytorch", types.ModuleType("deepspeech_pytorch"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    settings = type("SpectConfig", (), {"__module__": module.__name__})
    module.SpectConfig = settings
    made = settings()
    made.sample_rate = 16000
    path = tmp_path / "librispeech.ckpt"
    torch.save({"state_dict": state, "hyper_parameters": {"spect_cfg": made}}, path)
    monkeypatch.delitem(sys.modules, module.__name__)
    return path


def test_a_checkpoint_is_read_without_the_package_whose_settings_it_holds(checkpoint, state):
    network = own.load_deepspeech_pytorch(checkpoint)
    assert not network.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[name])


def test_foreign_functions_in_a_checkpoint_are_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("executed",)

    torch.save({"state_dict": {}, "hyper_parameters": Evil()}, tmp_path / "evil.ckpt")
    with pytest.raises(ArtifactError, match=r"evil\.ckpt: not the weights"):
        own.load_deepspeech_pytorch(tmp_path / "evil.ckpt")


def test_published_widths_have_the_published_names_and_shapes():
    with torch.device("meta"):
        network = own.DeepSpeech2(hidden=1024, layers=5)
    shapes = {name: tuple(p.shape) for name, p in network.named_parameters()}
    assert shapes["rnns.0.rnn.weight_ih_l0"] == (4096, 1312)
    assert shapes["rnns.4.batch_norm.module.weight"] == (1024,)
    assert shapes["fc.0.module.1.weight"] == (29, 1024)
    assert shapes["conv.seq_module.3.weight"] == (32, 32, 21, 11)
    assert "rnns.0.batch_norm.module.weight" not in shapes


def test_a_sound_is_heard_in_the_windows_around_its_frame(state):
    network = own.DeepSpeech2(hidden=12, layers=3)
    network.load_state_dict(state)
    frames, click = 60, 30
    silence = 0.01 * np.random.default_rng(0).normal(size=frames * 640).astype(np.float32)
    clicked = silence.copy()
    clicked[640 * click : 640 * click + 160] += 0.5
    plain, changed = (own.features(s, network) for s in (silence, clicked))
    assert plain.shape == (60, 16, 29)
    # Row 8 of a window is at its frame. LSTMs and the standardisation carry a little anywhere.
    difference = np.abs(changed - plain)[:, 8].max(axis=1)
    assert abs(int(difference.argmax()) - click) <= 2


def test_the_spectrum_peaks_at_the_tone():
    time = np.arange(16000) / 16000
    found = own.spectrum(np.sin(2 * np.pi * 1000 * time).astype(np.float32))
    assert found.shape == (161, 101)
    assert (found[:, 5:-5].argmax(dim=0) == 20).all()  # 50 Hz to a bin
    assert abs(found.mean()) < 1e-5 and abs(found.std() - 1) < 1e-4


def test_other_files_are_named_with_their_source(tmp_path, checkpoint, state):
    whole = checkpoint.read_bytes()
    (tmp_path / "short.ckpt").write_bytes(whole[: len(whole) // 2])
    without = {name: tensor for name, tensor in state.items() if "fc" not in name}
    torch.save({"state_dict": without}, tmp_path / "less.ckpt")
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "other.ckpt")
    gru = state | {"rnns.0.rnn.weight_hh_l0": torch.zeros(36, 12)}
    torch.save({"state_dict": gru}, tmp_path / "gru.ckpt")
    for name in ("short", "less", "other", "gru", "none"):
        with pytest.raises(ArtifactError, match=rf"{name}\.ckpt: .*librispeech.*MIT"):
            own.load_deepspeech_pytorch(tmp_path / f"{name}.ckpt")

"""DeepSpeech 0.1.0 without TensorFlow: its graph, its network and its features."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("python_speech_features")

from speech_weights import NARROW, const_node, deepspeech_tensors, graph  # noqa: E402

from d3talker.artifacts import ArtifactError, save_tensors  # noqa: E402
from d3talker.speech import deepspeech  # noqa: E402
from d3talker.speech.graphdef import constants  # noqa: E402

TENSORS = deepspeech_tensors(**NARROW)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, kernel, bias):
    """TensorFlow's BasicLSTMCell over rows, as its documentation writes it."""
    cells = len(bias) // 4
    c, h, out = np.zeros(cells), np.zeros(cells), []
    for row in x:
        i, j, f, o = np.split(np.concatenate([row, h]) @ kernel + bias, 4)
        c = c * sigmoid(f + 1.0) + sigmoid(i) * np.tanh(j)
        h = np.tanh(c) * sigmoid(o)
        out.append(h)
    return np.array(out)


def by_hand(rows, t):
    """The network in plain NumPy."""
    x = rows
    for n in "123":
        x = np.clip(x @ t[f"h{n}"] + t[f"b{n}"], 0, 20)
    both = []
    for direction, order in (("fw", 1), ("bw", -1)):
        kernel, bias = (t[deepspeech.recurrent(direction, p)] for p in ("kernel", "bias"))
        both.append(lstm(x[::order], kernel, bias)[::order])
    x = np.clip(np.concatenate(both, axis=1) @ t["h5"] + t["b5"], 0, 20)
    return x @ t["h6"] + t["b6"]


def network():
    return deepspeech.from_graph_tensors({n: torch.from_numpy(a) for n, a in TENSORS.items()})


def test_constants_of_a_graph_come_out_as_they_went_in(tmp_path):
    path = tmp_path / "graph.pb"
    path.write_bytes(graph(TENSORS))
    found = constants(path)
    assert list(found) == list(TENSORS)  # neither other nodes nor whole numbers
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(found[name], array)


def test_the_last_value_of_a_constant_stands_for_those_that_follow(tmp_path):
    node = const_node("zeros", np.zeros((2, 3), np.float32), listed=True)
    short = const_node("one", np.full(1, 7.0, np.float32), listed=True)
    # Dimensions of the first, values of the second.
    node = node.replace(np.zeros(6, "<f4").tobytes(), b"")
    path = tmp_path / "graph.pb"
    path.write_bytes(short)
    np.testing.assert_array_equal(constants(path)["one"], [7.0])
    path.write_bytes(node)
    with pytest.raises(ArtifactError, match="cut off"):
        constants(path)


@pytest.mark.parametrize("part", [0.3, 0.9, 0.999])
def test_a_graph_that_is_cut_off_is_refused(tmp_path, part):
    whole = graph(TENSORS)
    path = tmp_path / "graph.pb"
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(ArtifactError, match=r"graph\.pb: not "):
        deepspeech.read_graph(path)


def test_another_file_under_the_published_name_is_refused(tmp_path):
    path = tmp_path / "deepspeech-0_1_0-b90017e8.pb"
    path.write_bytes(graph(TENSORS))
    with pytest.raises(ArtifactError, match=r"SHA-1 is .*, not b90017e8"):
        deepspeech.read_graph(path)


def test_the_network_computes_what_the_graph_does():
    rows = np.random.default_rng(1).normal(size=(40, 494)).astype(np.float32)
    found = network()(torch.from_numpy(rows)).numpy()
    wanted = by_hand(rows.astype(float), TENSORS)
    assert wanted.std() > 0.1
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_the_published_widths_make_the_published_shapes():
    with torch.device("meta"):
        published = deepspeech.DeepSpeech(2048, 2048, 4096, 2048, 2048)
    shapes = {name: tuple(p.shape) for name, p in published.named_parameters()}
    assert shapes["dense.1.weight"] == (2048, 494) and shapes["dense.6.weight"] == (29, 2048)
    assert shapes["recurrent.weight_ih_l0_reverse"] == (4 * 2048, 4096)
    tensors = {}
    for n, size in (("1", (494, 2048)), ("2", (2048, 2048)), ("3", (2048, 4096))):
        tensors |= {f"h{n}": torch.empty(size, device="meta")}
    tensors |= {"b5": torch.empty(2048, device="meta")}
    tensors |= {deepspeech.recurrent("fw", "kernel"): torch.empty((6144, 8192), device="meta")}
    wanted = deepspeech.shapes(tensors)
    assert wanted[deepspeech.recurrent("bw", "kernel")] == (6144, 8192)
    assert wanted["h5"] == (4096, 2048) and wanted["h6"] == (2048, 29)
    assert set(wanted) == set(deepspeech.NAMES)


@pytest.mark.parametrize("frames", [4, 50, 101])
def test_there_is_a_window_of_sixteen_for_every_frame(frames):
    samples = np.random.default_rng(0).normal(0, 0.1, frames * 640 + 300).astype(np.float32)
    features = deepspeech.deepspeech_features(samples, network())
    assert features.shape == (frames, 16, 29) and features.dtype == np.float32
    rows = deepspeech.context_rows(samples[: frames * 640])
    assert rows.shape == (2 * frames, 494)
    assert abs(rows.mean()) < 1e-5 and abs(rows.std() - 1) < 1e-5  # of the whole matrix
    logits = network()(torch.from_numpy(rows)).numpy()
    heard = np.pad(logits, ((4, 0), (0, 0)))[:11]
    np.testing.assert_allclose(features[2][:11], heard, atol=1e-5)
    # The last row of 50 Hz is dropped: zeros from its place on.
    assert (features[-1][9:] == 0).all() and (features[-1][8] != 0).all()


def test_a_row_of_context_has_its_own_cepstra_in_the_middle():
    samples = np.random.default_rng(0).normal(0, 0.1, 640 * 30).astype(np.float32)
    rows = deepspeech.context_rows(samples).reshape(-1, 19, 26)
    np.testing.assert_allclose(rows[20, 9], rows[21, 8])
    np.testing.assert_allclose(rows[0, :9], np.broadcast_to(rows[0, 0], (9, 26)))  # zeros before


def test_what_is_not_the_converted_file_is_named_with_its_source(tmp_path):
    tensors = {n: torch.from_numpy(a) for n, a in TENSORS.items()}
    cases = {"graph.pb": None, "short.safetensors": None}
    (tmp_path / "graph.pb").write_bytes(graph(TENSORS))
    save_tensors(tmp_path / "whole.safetensors", tensors)
    deepspeech.load_deepspeech(tmp_path / "whole.safetensors")
    whole = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "short.safetensors").write_bytes(whole[:-100])
    save_tensors(tmp_path / "other.safetensors", tensors | {"h6": torch.zeros(10, 30)})
    save_tensors(tmp_path / "less.safetensors", {"h1": tensors["h1"]})
    for name in (*cases, "other.safetensors", "less.safetensors", "none.safetensors"):
        with pytest.raises(ArtifactError, match=rf"{name}: .*deepspeech-0_1_0.*MPL-2\.0"):
            deepspeech.load_deepspeech(tmp_path / name)

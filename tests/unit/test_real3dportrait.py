"""Real3D-Portrait's audio-to-motion network and the PNCC of the Basel Face Model."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("numba")

from real3dportrait import EYE, checkpoint, write_mat  # noqa: E402

from d3talker.artifacts import ArtifactError, save_arrays  # noqa: E402
from d3talker.face import bfm_front as bfm  # noqa: E402
from d3talker.motion import audio2secc  # noqa: E402
from d3talker.motion.settings import Real3dPortraitSettings  # noqa: E402
from d3talker.speech.pitch import coarse  # noqa: E402

STILL = Real3dPortraitSettings()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real3d")
    checkpoint(folder / "vae.ckpt")
    write_mat(folder / "BFM_model_front.mat")
    return folder


@pytest.fixture(scope="module")
def network(folder):
    return audio2secc.load_audio2secc(folder / "vae.ckpt")


@pytest.fixture(scope="module")
def face(folder):
    return bfm.read_mat(folder / "BFM_model_front.mat")


def heard(rows, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, 1024)).astype(np.float32), rng.uniform(0, 400, rows)


def test_the_manifest_is_that_of_the_network():
    state = audio2secc.Audio2Secc().state_dict()
    names = {n.replace("weight_v", "weight") for n in audio2secc.manifest() if "weight_g" not in n}
    assert names == {name for name in state if not name.endswith("_tracked")}
    assert audio2secc.manifest()["vae.decoder.wn.in_layers.0.weight_v"] == (512, 256, 5)
    assert audio2secc.manifest()["vae.prior_flow.flows.6.enc.cond_layer.weight_v"] == (512, 128, 1)


@pytest.mark.parametrize("rows", [7, 40, 99])
def test_there_is_an_expression_for_every_frame_of_the_video(network, rows):
    frames = (rows + 1) // 2
    found = audio2secc.predict(network, *heard(rows), frames, STILL, seed=0)
    assert found.shape == (frames, 64) and np.isfinite(found).all() and found.std() > 0


def test_without_temperature_the_seed_does_not_matter_and_with_it_it_does(network):
    def motion(temperature, seed):
        settings = Real3dPortraitSettings(temperature=temperature)
        return audio2secc.predict(network, *heard(40), 20, settings, seed)

    np.testing.assert_array_equal(motion(0.0, 1), motion(0.0, 2))
    np.testing.assert_array_equal(motion(0.2, 1), motion(0.2, 1))
    assert np.abs(motion(0.2, 1) - motion(0.2, 2)).max() > 1e-4


def test_sound_pitch_and_mouth_amplitude_are_heard(network):
    hubert, pitch = heard(40)
    base = audio2secc.predict(network, hubert, pitch, 20, STILL, 0)
    wide = audio2secc.predict(network, hubert, pitch, 20, Real3dPortraitSettings(0.0, 0.9), 0)
    silent = audio2secc.predict(network, hubert, 0 * pitch, 20, STILL, 0)
    other = audio2secc.predict(network, -hubert, pitch, 20, STILL, 0)
    for changed in (wide, silent, other):
        assert np.abs(changed - base).max() > 1e-5


def test_the_flow_undoes_what_couplings_do_forwards(network):
    torch.manual_seed(0)
    z, g = torch.randn(1, 16, 5), torch.randn(1, 128, 5)
    x = z
    for flow in network.vae.prior_flow.flows:  # forwards: first + mean, then flipped
        if isinstance(flow, audio2secc.Flip):
            x = x.flip(1)
        else:
            first, second = x.chunk(2, 1)
            x = torch.cat([first, second + flow.post(flow.enc(flow.pre(first), g))], 1)
    assert (x - z).abs().max() > 1e-3
    torch.testing.assert_close(network.vae.prior_flow.backwards(x, g), z, atol=1e-5, rtol=0)


def test_weight_normalisation_is_multiplied_out(folder, network):
    state = torch.load(folder / "vae.ckpt", weights_only=True)["state_dict"]["model"]
    name = "vae.decoder.wn.in_layers.1"
    convolution = torch.nn.Conv1d(256, 512, 5)
    normed = torch.nn.utils.parametrizations.weight_norm(convolution)
    normed.parametrizations.weight.original0.data = state[f"{name}.weight_g"]
    normed.parametrizations.weight.original1.data = state[f"{name}.weight_v"]
    found = network.vae.decoder.wn.in_layers[1].weight
    torch.testing.assert_close(found, normed.weight.detach())


def test_pitch_is_equal_steps_of_mel():
    steps = coarse(np.array([0.0, 30, 50, 1100, 2000]))
    assert steps.tolist() == [1, 1, 1, 255, 255]
    middle = 700 * (np.exp((np.log1p(50 / 700) + np.log1p(1100 / 700)) / 2) - 1)
    assert coarse(np.array([middle]))[0] == 128


def test_other_checkpoints_are_named_with_their_source(tmp_path, folder):
    whole = (folder / "vae.ckpt").read_bytes()
    (tmp_path / "short.ckpt").write_bytes(whole[: len(whole) // 2])
    torch.save([1, 2], tmp_path / "list.ckpt")
    checkpoint(tmp_path / "less.ckpt", **{"cond_proj.weight": None})
    checkpoint(tmp_path / "eyes.ckpt", **{"cond_proj.weight": torch.zeros(128, 640)})
    for name in ("short", "list", "less", "eyes", "none"):
        with pytest.raises(ArtifactError, match=rf"{name}\.ckpt: .*audio2secc_vae.*MIT"):
            audio2secc.load_audio2secc(tmp_path / f"{name}.ckpt")


def test_the_face_is_centred_and_has_holes_for_eyes(face):
    assert np.abs(face.mean.mean(0)).max() < 1e-5
    canonical = bfm.render_pncc(face, np.zeros((1, 64), np.float32))[0]
    assert canonical.shape == (3, 128, 128)
    drawn = canonical.max(axis=0) > 0
    x, y, radius = EYE
    shift = face.mean[0] - np.array(
        [-0.9, 0.9, 0.8 - 0.6 * 2]
    )  # of the generated face, by centring
    for side in (-1, 1):
        spot = np.array([side * x, y, 0.8 - 0.6 * (x**2 + y**2)]) + shift
        column, row, _ = bfm.to_pixels(spot[None], 128)[0].astype(int)
        assert not drawn[row, column]
        outside = spot + np.array([1.3 * radius, 0, 0])
        column, row, _ = bfm.to_pixels(outside[None], 128)[0].astype(int)
        assert drawn[row, column]


def test_an_open_mouth_shows_as_a_hole(face):
    expression = np.zeros((2, 64), np.float32)
    expression[1, 0] = 1
    closed, opened = (image.max(axis=0) == 0 for image in bfm.render_pncc(face, expression))
    new = opened & ~closed
    assert new.sum() > 20
    rows, columns = np.nonzero(new)
    assert 64 < rows.mean() < 100 and abs(columns.mean() - 64) < 3


def test_the_camera_is_that_of_the_fit():
    # A point on the axis is in the middle; one 1 dm beside it, 10 dm away, is 101.5 px off.
    seen = bfm.to_pixels(np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 2]]), 224)
    np.testing.assert_allclose(seen[:, 0], [112, 213.5, 112, 112])
    np.testing.assert_allclose(seen[:, 1], [112, 112, 10.5, 112])
    np.testing.assert_allclose(seen[:, 2], [10, 10, 10, 8])


def test_the_converted_model_is_read_again_and_others_are_not(tmp_path, face, folder):
    bfm.save_front(tmp_path / "front.npz", face, {})
    again = bfm.load_front(tmp_path / "front.npz")
    np.testing.assert_array_equal(again.triangles, face.triangles)
    save_arrays(tmp_path / "other.npz", {}, mean=face.mean)
    (tmp_path / "short.npz").write_bytes((tmp_path / "front.npz").read_bytes()[:1000])
    for name in ("other.npz", "short.npz", "none.npz"):
        with pytest.raises(ArtifactError, match=rf"{name}: .*bfm_front.*by registration"):
            bfm.load_front(tmp_path / name)
    whole = (folder / "BFM_model_front.mat").read_bytes()
    (tmp_path / "short.mat").write_bytes(whole[: len(whole) // 2])
    for name in ("short.mat", "none.mat"):
        with pytest.raises(ArtifactError, match=rf"{name}: not BFM_model_front"):
            bfm.read_mat(tmp_path / name)
    small = np.zeros((3, 3))
    write_mat(tmp_path / "wrong.mat", exBase=small, idBase=None)
    with pytest.raises(ArtifactError, match="idBase is not there"):
        bfm.read_mat(tmp_path / "wrong.mat")

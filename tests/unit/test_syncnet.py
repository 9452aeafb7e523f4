"""SyncNet: the published shapes, its sound, its shifts, and a stand-in that knows who speaks."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("python_speech_features")

from d3talker.artifacts import ArtifactError  # noqa: E402
from d3talker.metrics import syncnet  # noqa: E402
from d3talker.metrics.scores import Undefined  # noqa: E402

# Convolutions as (in, out, places of the kernel), from the paper's tables of the v2 network.
HEARS = [(1, 64, 9), (64, 192, 9), (192, 384, 9), (384, 256, 9), (256, 256, 9), (256, 512, 20)]
SEES = [(3, 96, 5 * 49), (96, 256, 25), *[(256, 256, 9)] * 3, (256, 512, 36)]
PARAMETERS = 13_631_616  # counted by hand: 4 875 712 and 7 177 920, and twice 788 992 at the ends


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return syncnet.SyncNet()


def test_the_parameters_are_counted_by_hand(network):
    streams = (
        sum(inside * outside * places + 3 * outside for inside, outside, places in stream)
        for stream in (HEARS, SEES)
    )
    ends = 2 * (512 * 512 + 512 + 2 * 512 + 512 * 1024 + 1024)
    assert sum(streams) + ends == PARAMETERS
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS
    assert not any(p.requires_grad for p in network.parameters()) and not network.training


def test_tensors_are_named_as_in_the_published_file(network):
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    for name, shape in {
        "netcnnaud.0.weight": (64, 1, 3, 3),
        "netcnnaud.4.weight": (192, 64, 3, 3),
        "netcnnaud.8.weight": (384, 192, 3, 3),
        "netcnnaud.11.weight": (256, 384, 3, 3),
        "netcnnaud.14.weight": (256, 256, 3, 3),
        "netcnnaud.18.weight": (512, 256, 5, 4),
        "netcnnaud.19.running_mean": (512,),
        "netcnnlip.0.weight": (96, 3, 5, 7, 7),
        "netcnnlip.4.weight": (256, 96, 1, 5, 5),
        "netcnnlip.8.weight": (256, 256, 1, 3, 3),
        "netcnnlip.11.weight": (256, 256, 1, 3, 3),
        "netcnnlip.14.weight": (256, 256, 1, 3, 3),
        "netcnnlip.18.weight": (512, 256, 1, 6, 6),
        "netfcaud.0.weight": (512, 512),
        "netfcaud.3.weight": (1024, 512),
        "netfclip.1.running_var": (512,),
        "netfclip.3.bias": (1024,),
    }.items():
        assert shapes[name] == shape, name


def test_both_streams_end_in_1024_numbers(network):
    assert network.hear(torch.rand(2, 1, 13, 20)).shape == (2, 1024)
    assert network.see(255 * torch.rand(1, 3, 5, 224, 224)).shape == (1, 1024)


def test_the_file_is_read_with_and_without_counters_of_batches(network, tmp_path):
    state = network.state_dict()
    old = {n: t for n, t in state.items() if not n.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.model", _use_new_zipfile_serialization=False)
    again = syncnet.load_syncnet(tmp_path / "old.model")
    sound = torch.rand(1, 1, 13, 20)
    assert torch.equal(again.hear(sound), network.hear(sound))


@pytest.mark.parametrize("damage", ["missing", "cut", "renamed", "other shape", "a model"])
def test_other_files_are_refused_with_the_source(network, tmp_path, damage):
    path = tmp_path / "other.model"
    state = dict(network.state_dict())
    if damage == "renamed":
        state["netcnnaud.0.w"] = state.pop("netcnnaud.0.weight")
    if damage == "other shape":
        state["netfclip.3.weight"] = torch.zeros(256, 512)
    torch.save(network if damage == "a model" else state, path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:1_000_000])
    if damage == "missing":
        path.unlink()
    match = r"other\.model: not the weights of syncnet .*robots\.ox\.ac\.uk"
    with pytest.raises(ArtifactError, match=match):
        syncnet.load_syncnet(path)


def test_the_first_cepstrum_is_the_log_energy_of_16_bit_numbers():
    sound = np.random.default_rng(0).uniform(-0.3, 0.3, 16000).astype(np.float32)
    columns = syncnet.mfcc_columns(sound)
    loud = np.round(sound.astype(float) * 32768)
    emphasised = np.concatenate([loud[:1], loud[1:] - 0.97 * loud[:-1]])
    window = emphasised[160 * 7 : 160 * 7 + 400]
    power = np.abs(np.fft.rfft(window, 512)) ** 2 / 512
    assert columns.shape == (13, 99) and columns.dtype == torch.float32
    assert columns[0, 7].item() == pytest.approx(np.log(power.sum()), rel=1e-5)
    # Twice as loud changes the energy alone.
    louder = syncnet.mfcc_columns(2 * np.round(sound * 32768) / 32768)
    assert (louder - columns)[0].numpy() == pytest.approx(np.log(4), abs=1e-4)
    assert (louder - columns)[1:].abs().max() < 1e-3


def test_distances_are_averaged_over_time_and_the_ends_are_zeros():
    seen, heard = torch.randn(2, 40, 1024, generator=torch.Generator().manual_seed(0))
    distances = syncnet.distances_by_shift(seen, heard)
    assert distances.shape == (31,)
    for shift in (-15, -2, 0, 9):
        expected = []
        for t in range(40):
            sound = heard[t + shift] if 0 <= t + shift < 40 else torch.zeros(1024)
            expected.append((seen[t] - sound + 1e-6).square().sum().sqrt().item())
        assert distances[shift + 15] == pytest.approx(np.mean(expected), rel=1e-5)


def test_confidence_is_the_median_less_the_least():
    distances = np.arange(31.0)[::-1] + 6
    distances[20] = 1.5
    agreement = syncnet.Agreement(distances)
    assert (agreement.sync_d, agreement.sync_c) == (1.5, 21 - 1.5)
    assert agreement.offset == 15 - 20
    other = syncnet.Agreement(np.where(np.arange(31) == 15, 3.0, 9.0))
    means = syncnet.mean_agreement([agreement, other])
    assert means == {"sync_c": (19.5 + 6) / 2, "sync_d": 2.25, "offset": -2.5}
    with pytest.raises(Undefined, match="no face"):
        syncnet.mean_agreement([])


class Speaker:
    """Hears how loud each frame is and sees how bright it is."""

    def see(self, clips):
        assert clips.shape[1:] == (3, 5, 224, 224)
        assert (clips[:, 2] == clips[:, 0] + 1).all()  # BGR: the red one, last, is brighter by 1
        return 40 * clips[:, 0].mean(dim=(2, 3)).div(200).repeat(1, 200)

    def hear(self, columns):
        assert columns.shape[1:] == (1, 13, 20)
        loudness = columns[:, 0, 0].reshape(-1, 5, 4)[:, :, :2].mean(dim=2)
        return 40 * (loudness.exp() / 4e9).sqrt().repeat(1, 200)


def speaker(late):
    """80 frames of a face that brightens with the sound, `late` frames after it."""
    rng = np.random.default_rng(5)
    loudness = 0.1 + 0.9 * rng.uniform(size=80)
    sound = np.repeat(loudness, 640) * np.sign(rng.normal(size=80 * 640)) * 0.1
    bright = np.roll(loudness, late) * 200
    faces = np.repeat(bright.astype(np.uint8)[:, None, None, None], 224, 1).repeat(224, 2)
    return np.concatenate([faces + 1, faces, faces], axis=3), sound.astype(np.float32)


@pytest.mark.parametrize("late", [-3, 0, 3])
def test_lips_that_are_late_ask_for_later_sound(late):
    agreement = syncnet.measure(Speaker(), *speaker(late))
    assert agreement.offset == late
    assert agreement.sync_c > 0.3 * agreement.sync_d


def test_the_sound_of_somebody_else_is_less_sure():
    faces, sound = speaker(0)
    right = syncnet.measure(Speaker(), faces, sound)
    wrong = syncnet.measure(Speaker(), faces[np.random.default_rng(7).permutation(80)], sound)
    assert wrong.sync_d > right.sync_d and wrong.sync_c < 0.5 * right.sync_c


def test_a_clip_without_five_frames_of_sound_has_a_reason():
    faces, sound = speaker(0)
    with pytest.raises(Undefined, match="5 frames with sound"):
        syncnet.measure(Speaker(), faces, sound[: 640 * 5 + 100])

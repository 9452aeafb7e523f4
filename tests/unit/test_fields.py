"""The deformation fields have the shapes of the method's specification."""

import pytest

torch = pytest.importorskip("torch")

from d3talker.compiled import set_threads  # noqa: E402
from d3talker.fields import deformation, signals  # noqa: E402


def count(module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_parameter_counts_follow_the_specification():
    audio = count(signals.AudioSignal())
    assert audio == 30_720 + 2_149
    assert count(signals.DifferenceEncoder()) == 165_120
    # The universal fields of the specification hold their audio nets, ours live beside them.
    general = deformation.GeneralField("audio")
    assert count(general.face) + count(general.face_signal) == 73_805
    assert count(general.mouth) + count(general.mouth_signal) == 179_261
    assert count(general) == 73_805 + 179_261
    # In InsTaG an aligner shares the encoder of its field.
    aligner, individual = deformation.IndividualAligner(), deformation.IndividualField()
    personal = {
        part: count(getattr(individual, part))
        + count(getattr(individual, f"{part}_signal"))
        + count(getattr(aligner, part).network)
        for part in ("face", "mouth")
    }
    assert personal == {"face": 69_357, "mouth": 65_565}
    by_motion = deformation.GeneralField(), deformation.IndividualField("motion")
    motion = count(signals.MotionSignal())
    assert count(by_motion[0]) == count(general) - 2 * audio + motion
    assert count(by_motion[1]) == count(individual) - 2 * audio


def test_point_outside_the_bound_is_not_deformed():
    field = deformation.FaceField(hidden=64)
    outside = torch.tensor([[0.2, 0.2, 0.0], [0.0, -0.3, 0.3]])
    change = field(outside, torch.randn(32), torch.rand(6))
    assert all(part.abs().max() == 0 for part in change.changes().values())


def test_temporal_convolution_sees_nine_frames():
    network = signals.TemporalConvolution()
    features = torch.randn(1, 9, 32, requires_grad=True)
    assert network(features).shape == (1, 32)
    with torch.no_grad():
        whole = signals.windows(torch.randn(40, 32), 9, 4)
    assert whole.shape == (40, 9, 32)
    assert torch.equal(whole[0, 0], whole[0, 4]), "edge frames are repeated"


def test_sequence_and_single_windows_agree():
    signal = signals.MotionSignal()
    differences = torch.randn(12, 3, 128, 128)
    whole = signal.sequence(differences)
    window = signals.windows(differences, 9, 4)[6]
    assert torch.allclose(whole[6], signal(window[None])[0], atol=1e-5)


def test_speech_window_of_a_frame_is_centred_on_it():
    features = torch.arange(20.0)[:, None, None].expand(20, 16, 29)
    windows = signals.speech_windows(features)
    assert windows.shape == (20, 8, 29, 16)
    assert windows[10, :, 0, 0].tolist() == [6, 7, 8, 9, 10, 11, 12, 13]
    assert windows[0, :4].abs().max() == 0, "zeros before the beginning"


def test_pncc_difference_lies_within_one():
    pncc = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    difference = signals.motion_differences(pncc, pncc[0])
    assert difference.min() == 0 and difference.max() == 1


def test_hook_reports_vertical_motion_in_centimetres():
    change = torch.zeros(100, 3)
    change[:20, 1] = -0.01  # a jaw that drops by 1 cm
    high, low, spread = deformation.face_mouth_hook(change).tolist()
    assert (high, round(low, 6), round(spread, 6)) == (0, -1, 1)


def test_individual_and_general_field_add_up():
    a = deformation.FaceDeformation(*(torch.ones(2, n) for n in (3, 4, 3)))
    assert all(torch.equal(part, 2 * torch.ones_like(part)) for part in (a + a).changes().values())
    means = deformation.FaceDeformation(torch.ones(2, 3))
    assert [part.sum().item() for part in (a + means).changes().values()] == [12, 8, 6]


def test_weight_decay_applies_to_the_tables_only():
    tables, nets = deformation.parameter_groups(deformation.FaceField(32), 1e-3, 1e-4)
    assert tables["weight_decay"] == 0.01 and nets["weight_decay"] == 0
    assert sum(p.numel() for p in tables["params"]) == 3 * 9_464


def network_inputs(points, dtype=torch.float32):
    """code, signal and eyes of `points` points, with gradients."""
    generator = torch.Generator().manual_seed(0)
    shapes = (points, 36), (32,), (deformation.AU_DIM,)
    return [torch.randn(s, generator=generator).to(dtype).requires_grad_() for s in shapes]


@pytest.mark.parametrize(
    ("hidden", "attributes"), [(64, ["means"]), (32, ["means"]), (32, ["means", "colors"])]
)
@pytest.mark.parametrize("points", [1, 17, 1000])  # chunks and rows that are not full
def test_compiled_networks_equal_the_plain_ones(hidden, attributes, points):
    torch.manual_seed(0)
    field = deformation.FaceField(hidden, attributes)
    results, gradients = [], []
    for dtype, networks in (
        (torch.float32, field.networks),
        (torch.float64, field.networks_reference),
    ):
        field.to(dtype)
        inputs = network_inputs(points, dtype)
        parts = (field.attention, field.eye_attention, field.decoder)
        weights = [weight for part in parts for weight in part.parameters()]
        out = networks(*inputs)
        upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
        gradients.append(torch.autograd.grad(out, [*inputs, *weights], upstream.to(dtype)))
        results.append(out)
    torch.testing.assert_close(results[0].double(), results[1], rtol=1e-4, atol=1e-5)
    for fast, exact in zip(*gradients, strict=True):
        assert (fast - exact).norm() <= 1e-4 * exact.norm() + 1e-7


def test_networks_give_the_same_bits_with_one_and_two_threads():
    torch.manual_seed(0)
    field = deformation.FaceField(hidden=32)
    results = []
    for threads in (1, 2):
        set_threads(threads)
        inputs = network_inputs(700)
        out = field.networks(*inputs)
        results.append([out, *torch.autograd.grad(out.square().sum(), inputs)])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_no_points_are_no_error():
    field = deformation.FaceField(hidden=32)
    change = field(torch.zeros(0, 3), torch.randn(32), torch.rand(6))
    assert change.means.shape == (0, 3)
    sum(part.sum() for part in change.changes().values()).backward()

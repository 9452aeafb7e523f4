"""Terms that need more of the face than its picture: attention, geometry, patches."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from test_phases import SETTINGS, SIZE, make_person, make_scene, phase_named, run, state  # noqa: E402

from d3talker import artifacts  # noqa: E402
from d3talker.cli import InputError  # noqa: E402
from d3talker.metrics.alexnet import AlexNet  # noqa: E402
from d3talker.train import face_terms  # noqa: E402
from d3talker.train.geometry import load_geometry  # noqa: E402
from d3talker.train.scene import lip_squares  # noqa: E402

FACE = phase_named("adapt_face")
FUSE = phase_named("adapt_fuse")


def drawn(person, i=0):
    """View, deformed face and change of item `i`."""
    avatar, view = person.avatar, person.scene.view(i)
    signals = avatar.signals(person.drive, i)
    change = avatar.face_change(signals)
    return view, avatar.moved_face(change), change


def prior(scene, tilt=0.0):
    """A prior of a plane that faces the camera, or one turned about the vertical by `tilt`."""
    columns = np.tile(np.arange(SIZE, dtype=np.float32), (SIZE, 1))
    normal = np.float32([np.sin(tilt), 0, np.cos(tilt)])
    frames = len(scene.indices)
    return {
        "depth": np.repeat(columns[None], frames, 0),
        "normals": np.tile(normal, (frames, SIZE, SIZE, 1)).astype(np.float16),
        "frames": scene.indices,
    }


def saved(tmp_path, arrays):
    artifacts.save_arrays(tmp_path / "prior.npz", **arrays)
    return tmp_path / "prior.npz"


def test_attention_is_asked_of_the_fields_alone_and_only_where_it_should_not_be():
    person = make_person()
    view, face, change = drawn(person)
    for lips, hair in ((1.0, 0.0), (0.0, 1.0)):
        settings = replace(SETTINGS, lips_attention=lips, hair_attention=hair)
        term = face_terms.attention_term(person, 0, view, face, change, settings, 0)
        assert term > 0
        term.backward()
        assert person.avatar.face.means.grad is None
        for field in (person.avatar.general.face, person.avatar.individual.face):
            moved = field.attention[0].weight.grad
            assert field.eye_attention[0].weight.grad.abs().sum() > 0
            assert (moved is not None and bool(moved.abs().sum() > 0)) == bool(hair)
        person.avatar.general.zero_grad()
        person.avatar.individual.zero_grad()
    person.scene.hairs[:] = False
    settings = replace(SETTINGS, hair_attention=1.0)
    assert face_terms.attention_term(person, 0, view, face, change, settings, 0) == 0


def test_attention_that_is_drawn_in_every_fourth_iteration_counts_four_times():
    person = make_person()
    view, face, change = drawn(person)
    settings = replace(SETTINGS, lips_attention=1.0, attention_every=4)
    always = replace(settings, attention_every=1)
    seldom, often = (
        face_terms.attention_term(person, 0, view, face, change, chosen, 8)
        for chosen in (settings, always)
    )
    assert torch.isclose(seldom, 4 * often)
    assert face_terms.attention_term(person, 0, view, face, change, settings, 7) == 0


def test_attention_norms_are_lengths_of_the_fields_attention():
    field = make_person().avatar.general.face
    means = 0.05 * torch.randn(7, 3)
    norms = face_terms.attention_norms(field, means)
    code = field.encoder(means)
    assert torch.allclose(norms[:, 0], field.attention(code).square().sum(1).sqrt())
    eyes = field.eye_attention(code).clamp_min(0)
    assert torch.allclose(norms[:, 1], eyes.square().sum(1).sqrt(), atol=1e-6)
    assert norms[:, 2].abs().max() == 0


def test_without_weights_nothing_is_computed():
    person = make_person()
    person.geometry = None
    view, face, change = drawn(person)
    person.avatar.rasterize = None  # calling it would raise
    assert face_terms.attention_term(person, 0, view, face, change, SETTINGS, 0) == 0.0
    assert face_terms.geometry_term(person, 0, view, face, SETTINGS, it=10) == 0.0
    assert face_terms.perceptual_term(person, 0, None, None, SETTINGS, FACE, 1.0) == 0.0


def test_weights_of_the_geometry_prior_follow_the_papers_iterations():
    settings = replace(SETTINGS, geometry_start=5000)
    weights = {it: face_terms.geometry_weights(settings, it) for it in (5000, 5001, 6000, 6100)}
    assert weights[5000] == (0, 0)
    assert weights[5001] == (0.01, 0.01)
    assert weights[6000] == weights[6100] == (0, 0.01)
    assert face_terms.geometry_weights(settings, 6101) == (0.01, 0.01)


def test_a_prior_moves_shape_but_not_colour(tmp_path):
    person = make_person()
    person.geometry = load_geometry(saved(tmp_path, prior(person.scene, 0.5)), person.scene)
    view, face, _ = drawn(person)
    settings = replace(SETTINGS, geometry_start=0)
    face_terms.geometry_term(person, 0, view, face, settings, it=200).backward()
    gaussians = person.avatar.face
    assert gaussians.quats.grad.abs().sum() > 0 and gaussians.means.grad.abs().sum() > 0
    assert gaussians.colors.grad is None or not gaussians.colors.grad.any()


def test_training_with_a_prior_turns_the_normals_towards_it(tmp_path):
    settings = replace(
        SETTINGS, face_iterations=40, densify=False, geometry_start=-1, depth=0.0, normal=1.0
    )
    settings = replace(settings, quats_lr=0.02)
    costs = []
    for weight in (0.0, 1.0):
        person = make_person()
        person.geometry = load_geometry(saved(tmp_path, prior(person.scene, 0.7)), person.scene)
        torch.nn.init.normal_(person.avatar.face.scales, -6.0, 0.5)  # so that there is a normal
        from d3talker.train.loop import train
        from d3talker.train.phases import adapt_phases

        chosen = replace(settings, normal=weight)
        train([person], person.avatar.general, chosen, adapt_phases(chosen)[0], seed=0)
        view, face, _ = drawn(person)
        costs.append(face_terms.geometry_term(person, 0, view, face, settings, it=200).item())
    assert 2 <= costs[1] < costs[0] - 0.05


def test_a_prior_of_other_frames_or_another_size_is_refused(tmp_path):
    scene = make_scene()
    arrays = prior(scene)
    with pytest.raises(InputError, match=r"prior\.npz: holds none of the training frames"):
        load_geometry(saved(tmp_path, arrays | {"frames": arrays["frames"] + 900}), scene)
    with pytest.raises(InputError, match=r"depth must be .*96, 96.* it is .*48, 96"):
        load_geometry(saved(tmp_path, arrays | {"depth": arrays["depth"][:, ::2]}), scene)
    with pytest.raises(InputError, match="normals has values that are not finite"):
        load_geometry(saved(tmp_path, arrays | {"normals": arrays["normals"] * np.nan}), scene)
    with pytest.raises(InputError, match="lacks normals"):
        load_geometry(saved(tmp_path, {k: arrays[k] for k in ("depth", "frames")}), scene)


def test_a_prior_is_cut_to_the_crops_and_known_by_frame(tmp_path):
    scene = make_scene()
    arrays = prior(scene)
    arrays = {name: array[[1, 3]] for name, array in arrays.items()}
    windows = scene.cut(np.arange(3), np.tile([8, 16], (3, 1)), 64, 32)
    geometry = load_geometry(saved(tmp_path, arrays), windows)
    assert geometry.of(0, "cpu") is None and geometry.of(3, "cpu") is None
    depth, normals = geometry.of(1, "cpu")
    assert depth.shape == (32, 64) and normals.shape == (32, 64, 3)
    assert depth[0, 0] == 8 and normals.dtype == torch.float32


def test_patches_leave_out_the_lips_while_the_shape_is_trained():
    person = make_person()
    torch.manual_seed(0)
    person.alexnet = AlexNet()
    target = torch.rand(SIZE, SIZE, 3)
    image = target.clone()
    image[person.scene.lips_window(0)] = 0
    settings = replace(SETTINGS, perceptual=1.0, fuse_perceptual=1.0)
    arguments = person, 0, image, target, settings
    assert face_terms.perceptual_term(*arguments, FACE, 0.9) == 0
    assert face_terms.perceptual_term(*arguments, FUSE, 0.6) > 0
    assert face_terms.perceptual_term(*arguments, FUSE, 0.4) == 0.0
    assert face_terms.perceptual_term(*arguments, phase_named("adapt_mouth"), 0.9) == 0.0


def test_all_terms_work_in_all_phases(tmp_path):
    person = make_person()
    person.geometry = load_geometry(saved(tmp_path, prior(person.scene)), person.scene)
    torch.manual_seed(0)
    person.alexnet = AlexNet()
    settings = replace(
        SETTINGS, lips_attention=1e-4, hair_attention=1e-4, geometry_start=-1, depth_pause=-1,
        perceptual=0.01, perceptual_start=0.0, fuse_perceptual=0.05, fuse_perceptual_start=0.0,
    )  # fmt: skip
    for stage in ("adapt_face", "adapt_mouth", "adapt", "adapt_fuse"):
        assert np.isfinite(run(person, stage, settings)[-1].loss)
    assert all(torch.isfinite(tensor).all() for tensor in state(person).values())


def test_the_square_around_the_lips_holds_them_and_an_open_mouth():
    outline = np.array([[-0.03, 0, 0.0], [0.03, 0, 0], [0, 0.01, 0], [0, -0.01, 0]])
    rotations = np.diag([1.0, -1, -1])[None].repeat(2, 0)
    translations = np.tile([0.0, 0, 0.6], (2, 1))
    mouths = np.zeros((2, 100, 100), bool)
    mouths[1, 45:75, 48:52] = True
    shut, wide = lip_squares(outline, rotations, translations, 200.0, mouths)
    assert shut.tolist() == [40, 40, 60, 60]
    left, top, right, bottom = wide.tolist()
    assert right - left == bottom - top == 30 and top == 45 and bottom == 75

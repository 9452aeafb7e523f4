"""Rules of the ancestors in the training loop: density, frames that are drawn, hair, green."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from test_phases import FRAMES, SETTINGS, make_person, make_scene, phase_named  # noqa: E402

from d3talker.splat.density import DensityControl  # noqa: E402
from d3talker.train.density import control_density, new_stats, shows_green_screen  # noqa: E402
from d3talker.train.loop import train  # noqa: E402
from d3talker.train.person import Person  # noqa: E402
from d3talker.train.scene import Scene  # noqa: E402
from d3talker.train.settings import Curriculum, TrainSettings  # noqa: E402
from d3talker.train.uncounted import before_green_screen, uncounted  # noqa: E402

FACE, MOUTH, BOTH = ("face",), ("mouth",), ("face", "mouth")


def density_after(it: int, control: DensityControl, change=None, **others) -> Person:
    """A person of 400 and 60 Gaussians of opacity 0.5 after the density control of `it`."""
    person = make_person()
    for gaussians in (person.avatar.face, person.avatar.mouth):
        gaussians.make_optimizer(dict.fromkeys(("means", "quats", "scales", "colors"), 0.0) | {
            "opacities": 0.0
        })  # fmt: skip
    person.density = new_stats(person.avatar)
    if change is not None:
        with torch.no_grad():
            change(person)
    settings = replace(SETTINGS, density=control, **others)
    control_density(person, it, settings, replace(phase_named("adapt"), iterations=10_000))
    return person


def count(person: Person) -> tuple[int, int]:
    return len(person.avatar.face), len(person.avatar.mouth)


def set_opacities(person: Person) -> None:
    person.avatar.face.opacities[:100] = float(np.log(0.15 / 0.85))


# 0.05 + 0.25 it / 9000 (spec 3.4) passes 0.15 at iteration 3600.
@pytest.mark.parametrize(("it", "left"), [(3500, 400), (3700, 300), (3650, 400)])
def test_the_limit_of_opacity_grows(it, left):
    control = DensityControl(interval=100, stop=0.9, min_opacity=0.05, opacity_growth=0.25)
    assert count(density_after(it, control, set_opacities)) == (left, 60)


@pytest.mark.parametrize(("it", "left"), [(3000, 400), (3100, 390), (9000, 400)])
def test_what_is_large_on_the_screen_goes_after_3000_iterations(it, left):
    control = DensityControl(
        interval=100, stop=0.9, max_radius=20.0, large_start=3000, max_size=1.0
    )

    def grow(person: Person) -> None:
        radius = 20 * person.scene.size / 512  # px at 512
        person.density[0].radius[:] = 0.9 * radius
        person.density[0].radius[:10] = 1.1 * radius

    assert count(density_after(it, control, grow)) == (left, 60)


def test_face_and_mouth_have_thresholds_of_their_own():
    """A gradient between both lets the mouth grow alone (5e-4 and 2e-4, spec 3.4)."""

    def gather(person: Person) -> None:
        for stats in person.density:
            stats.visible += 2
            stats.gradient_norm += 2 * 3e-4

    control = DensityControl(interval=100, gradient=5e-4, mouth_gradient=2e-4, max_size=1.0)
    face, mouth = count(density_after(1000, control, gather))
    assert face == 400 and mouth == 120


@pytest.mark.parametrize(("it", "highest"), [(3000, 0.01), (6000, 0.01), (4000, 0.5), (9000, 0.5)])
def test_opacities_are_reset_at_3000_and_6000(it, highest):
    control = DensityControl(start=20_000, stop=0.9, reset_interval=3000)
    person = density_after(it, control)
    for gaussians in (person.avatar.face, person.avatar.mouth):
        assert gaussians.opacity().max().item() == pytest.approx(highest)


def test_gaussians_that_show_the_green_screen_go():
    colors = torch.tensor([[0.05, 0.95, 0.05], [0.1, 0.9, 0.1], [0.2, 0.95, 0.05], [0, 0.8, 0]])
    assert shows_green_screen(colors, "face").tolist() == [True, True, False, False]
    assert shows_green_screen(colors, "mouth").tolist() == [True, False, False, False]

    def paint(person: Person) -> None:
        person.avatar.face.colors[:7] = torch.tensor([0.0, 1.0, 0.0])

    control = DensityControl(interval=100, max_size=1.0)
    assert count(density_after(1000, control, paint, green=True)) == (393, 60)
    assert count(density_after(1000, control, paint)) == (400, 60)


def drawn(monkeypatch, person: Person, stage: str, rule: Curriculum) -> list[int]:
    """Frames of the clip that a phase of 20 iterations draws."""
    frames = []
    view = Scene.view
    with monkeypatch.context() as patch:
        patch.setattr(
            Scene, "view", lambda scene, i: frames.append(scene.indices[i]) or view(scene, i)
        )
        settings = replace(SETTINGS, curriculum=rule, densify=False)
        phase = replace(phase_named(stage), iterations=20)
        train([person], person.avatar.general, settings, phase, seed=0)
    return frames


def test_a_curriculum_decides_which_frames_are_drawn(monkeypatch):
    person = make_person()
    person.drive.au[:, 5] = torch.tensor([0.0, 0, 0, 0, 2])  # the last frame blinks
    rule = Curriculum(span=20, warm=0, face_interval=5, blink_below=0.0, blink_above=0.3)
    frames = drawn(monkeypatch, person, "adapt_face", rule)
    assert [frames[it] for it in (15,)] == [4]  # from 0.75 to 1.05 of a full blink
    assert {frames[it] for it in (0, 5)} <= {0, 1, 2, 3}
    assert set(frames) == set(range(FRAMES))
    assert drawn(monkeypatch, person, "adapt_fuse", rule) == drawn(
        monkeypatch, person, "adapt_fuse", Curriculum()
    )


def test_frames_that_may_not_be_drawn_keep_their_turn():
    person = make_person()
    rng = np.random.default_rng(0)
    allowed = np.arange(FRAMES) == 2
    assert person.next_frame(rng, allowed) == 2
    others = {person.next_frame(rng) for _ in range(FRAMES - 1)}
    assert others == set(range(FRAMES)) - {2}
    person.next_frame(rng, ~allowed)
    assert [person.next_frame(rng, allowed) for _ in range(3)] == [2, 2, 2]


def test_hair_teaches_in_one_of_seven_iterations():
    view = make_scene().view(0)
    settings = TrainSettings(hair_interval=7)
    assert view.hair.any() and not (view.hair & view.mouth).any()
    for it in (0, 3000, 6500, 3500):  # before, at the bounds, and 3500 = 7 * 500
        assert uncounted(view, BOTH, it, settings) is None
        assert torch.equal(uncounted(view, FACE, it, settings), view.mouth)
    assert torch.equal(uncounted(view, BOTH, 3501, settings), view.hair)
    assert torch.equal(uncounted(view, FACE, 3501, settings), view.hair | view.mouth)
    assert torch.equal(uncounted(view, MOUTH, 3501, settings), ~view.mouth)
    assert uncounted(view, BOTH, 3501, TrainSettings()) is None
    to_the_end = replace(settings, hair_off_stop=0)
    assert torch.equal(uncounted(view, BOTH, 9999, to_the_end), view.hair)


def test_before_green_only_what_is_drawn_is_left():
    view = make_scene().view(0)
    green = torch.tensor([0.0, 1.0, 0.0])
    shown = {FACE: view.head & ~view.mouth, MOUTH: view.mouth, BOTH: view.head}
    for sets, pixels in shown.items():
        seen = before_green_screen(view, sets)
        assert torch.equal(seen.image[pixels], view.image[pixels])
        assert (seen.image[~pixels] == green).all() and (seen.backdrop == green).all()
    # Green is asked of the face where the inner mouth is, so that it leaves the mouth.
    assert uncounted(view, FACE, 0, TrainSettings(green=True)) is None


def test_a_face_is_trained_before_green_and_fused_before_the_real_backdrop():
    """Before green its Gaussians over the inner mouth turn green; else nothing is asked of them."""
    greenness, fused = [], []
    for green in (False, True):
        person = make_person()
        settings = replace(SETTINGS, green=green, densify=False)
        fuse = phase_named("adapt_fuse")
        fused += train([person], person.avatar.general, settings, fuse, seed=0)
        person = make_person()
        x, y, _ = person.avatar.face.means.detach().T
        over_mouth = (x.abs() < 0.01) & ((y + 0.03).abs() < 0.01)
        phase = replace(phase_named("adapt_face"), iterations=20)
        train([person], person.avatar.general, settings, phase, seed=0)
        red, green_part, _ = person.avatar.face.colors.detach()[over_mouth].mean(0)
        greenness.append(float(green_part - red))
    assert fused[0] == fused[1]
    assert greenness[1] > greenness[0] + 0.01

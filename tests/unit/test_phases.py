"""Phases of training: what each may change, and what it looks at."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from d3talker.avatar import Avatar, Drive  # noqa: E402
from d3talker.fields.architecture import Architecture  # noqa: E402
from d3talker.fields.deformation import general_field, individual_part  # noqa: E402
from d3talker.splat.gaussians import Gaussians  # noqa: E402
from d3talker.train.checkpoint import avatar_tensors  # noqa: E402
from d3talker.train.loop import train  # noqa: E402
from d3talker.train.person import Person  # noqa: E402
from d3talker.train.phases import adapt_phases, in_phase  # noqa: E402
from d3talker.train.pose import PoseCorrection  # noqa: E402
from d3talker.train.scene import Scene  # noqa: E402
from d3talker.train.settings import AdaptSettings  # noqa: E402

SIZE, FRAMES = 96, 5
CLOSED = 3  # the frame whose mouth is closed
SETTINGS = AdaptSettings(
    iterations=4,
    face_iterations=4,
    mouth_iterations=4,
    fuse_iterations=4,
    fields_warmup=0,
    individual_start=0,
    pose_start=0,
    contrast_points=32,
)


def make_scene() -> Scene:
    """A bright disc with a dark mouth that moves down from frame to frame."""
    y, x = np.mgrid[:SIZE, :SIZE]
    head = (x - 48) ** 2 + (y - 48) ** 2 < 30**2
    mouths = np.stack([(abs(x - 48) < 6) & (abs(y - 56 - i) < 3) for i in range(FRAMES)])
    mouths[CLOSED] = False
    images = np.full((FRAMES, SIZE, SIZE, 3), 90, np.uint8)
    images[:, head], images[mouths] = (200, 150, 120), (60, 20, 20)
    return Scene(
        indices=np.arange(FRAMES),
        size=SIZE,
        focal=2.0 * SIZE,
        rotations=np.tile(np.diag([1.0, -1, -1]), (FRAMES, 1, 1)).astype(np.float32),
        translations=np.tile([0.0, 0, 0.6], (FRAMES, 1)).astype(np.float32),
        origins=np.zeros((FRAMES, 2), int),
        images=images,
        backdrops=np.full_like(images, 90),
        heads=np.tile(head, (FRAMES, 1, 1)),
        mouths=mouths,
        hairs=head & (y < 30) & np.ones((FRAMES, 1, 1), bool),
        lips=np.tile([38, 46, 58, 66], (FRAMES, 1)),
    )


def make_person(architecture: Architecture = Architecture()) -> Person:  # noqa: B008
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    disc = rng.uniform(-1, 1, (400, 3)) * (0.07, 0.07, 0.01)
    mouth = rng.uniform(-1, 1, (60, 3)) * (0.015, 0.015, 0.005) - (0, 0.03, 0.02)
    face, mouth = (
        Gaussians.from_points(points, np.full(points.shape, 0.5), opacity=0.5)
        for points in (disc, mouth)
    )
    drive = Drive(
        torch.randn(FRAMES, 3, 128, 128) / 20,
        torch.randn(FRAMES, 8, 29, 16),
        torch.rand(FRAMES, 6),
    )
    avatar = Avatar(face, mouth, general_field(architecture), individual_part(architecture))
    for field in (avatar.general, avatar.individual):  # as after some training: nothing is still
        for part in (field.face, field.mouth) if field is not None else ():
            torch.nn.init.normal_(part.encoder.table, std=0.1)
    poses = PoseCorrection(FRAMES, 1e-4, 1e-5)
    poses.values[:] = 1e-3 * torch.randn(FRAMES, 6)
    return Person(make_scene(), avatar, drive, poses)


def phase_named(stage: str):
    (phase,) = (phase for phase in adapt_phases(SETTINGS) if phase.stage == stage)
    return phase


def state(person: Person) -> dict[str, torch.Tensor]:
    tensors = avatar_tensors(person.avatar) | {"poses": person.poses.values}
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def run(person: Person, stage: str, settings: AdaptSettings = SETTINGS) -> list:
    return train([person], person.avatar.general, settings, phase_named(stage), seed=0)


def groups(names) -> set[str]:
    """The first two parts of tensor names: face.means, general.mouth ..."""
    return {".".join(name.split(".")[:2]) for name in names}


GAUSSIANS = {"means", "quats", "scales", "opacities", "colors"}
FACE = {f"face.{name}" for name in GAUSSIANS}
MOUTH = {f"mouth.{name}" for name in GAUSSIANS}
FACE_FIELDS = {"general.signal", "general.face", "individual.face_signal", "individual.face"}
MOUTH_FIELDS = {"general.mouth", "individual.mouth_signal", "individual.mouth"}


@pytest.mark.parametrize(
    ("stage", "changed"),
    [
        ("adapt_face", FACE | FACE_FIELDS | {"poses"}),
        ("adapt_mouth", MOUTH | MOUTH_FIELDS),
        ("adapt", FACE | MOUTH | FACE_FIELDS | MOUTH_FIELDS | {"poses"}),
        ("adapt_fuse", {"face.colors", "face.opacities", "mouth.colors"}),
    ],
)
def test_a_phase_changes_what_it_trains_and_nothing_else(stage, changed):
    person = make_person()
    before = state(person)
    rows = run(person, stage, replace(SETTINGS, densify=False))
    after = state(person)
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert groups(moved) == changed
    assert rows[-1].stage == stage and rows[-1].iteration == 4


def test_phases_of_no_iterations_are_left_out():
    assert [phase.stage for phase in adapt_phases(AdaptSettings())] == ["adapt"]
    stages = [phase.stage for phase in adapt_phases(SETTINGS)]
    assert stages == ["adapt_face", "adapt_mouth", "adapt", "adapt_fuse"]


def test_all_phases_are_the_same_for_the_same_seed():
    people = make_person(), make_person()
    for person in people:
        for phase in adapt_phases(SETTINGS):
            train([person], person.avatar.general, SETTINGS, phase, seed=3)
    first, second = map(state, people)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_mouth_phase_leaves_out_frames_with_a_closed_mouth():
    seen = in_phase(make_person(), phase_named("adapt_mouth"))
    assert seen.scene.indices.tolist() == [i for i in range(FRAMES) if i != CLOSED]


def test_a_person_who_never_opens_the_mouth_has_no_mouth_phase():
    person = make_person()
    person.scene.mouths[:] = False
    assert run(person, "adapt_mouth") == []


@torch.no_grad()
def test_the_hook_of_the_mouth_phase_is_the_one_of_the_deformed_face():
    person = make_person()
    seen = in_phase(person, phase_named("adapt_mouth"))
    for i, frame in enumerate(seen.scene.indices.tolist()):
        signals = person.avatar.signals(person.drive, frame)
        hook = person.avatar.hook(person.avatar.face_change(signals))
        assert hook.abs().max() > 0
        assert torch.allclose(seen.hooks[i], hook, rtol=1e-4, atol=1e-6)
        assert torch.allclose(seen.motion[frame], signals.general_mouth, rtol=1e-4, atol=1e-5)


def test_a_mouth_window_is_a_part_of_the_crop():
    scene = make_scene()
    windows = scene.mouth_windows()
    assert windows.mouths.sum() == scene.mouths.sum()
    height, width = windows.mouths.shape[1:]
    assert width % 32 == 0 and height % 32 == 0 and width < SIZE
    x, y = windows.origins[-1]
    part, whole = windows.view(len(windows) - 1), scene.view(FRAMES - 1)
    inside = np.s_[y : y + height, x : x + width]
    assert torch.equal(part.image, whole.image[inside])
    assert (part.camera.cx, part.camera.cy) == (whole.camera.cx - x, whole.camera.cy - y)


def test_face_gaussians_leave_the_inner_mouth_without_its_colour_being_asked_of_them():
    person = make_person()
    scene = person.scene
    scene.mouths[:] = scene.mouths[0]
    scene.mouths[:, 46:66, 34:62] = True  # larger than a Gaussian
    scene.images[scene.mouths] = 255  # a colour that would be easy to learn
    settings = replace(SETTINGS, face_iterations=100, densify=False, opacities_lr=0.1, hole=0.1)
    (phase, *_) = adapt_phases(settings)
    train([person], person.avatar.general, settings, phase, seed=0)
    assert person.avatar.face.colors.max() < 0.95
    assert mouth_alpha(make_person()) > 0.8 > 0.5 > mouth_alpha(person)


@torch.no_grad()
def mouth_alpha(person: Person) -> float:
    """Mean alpha of the face over the inner mouth of the first frame."""
    from d3talker.splat.rasterize import rasterize

    view = person.scene.view(0)
    return float(
        rasterize(**person.avatar.face.activated(), camera=view.camera).alpha[view.mouth].mean()
    )

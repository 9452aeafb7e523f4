"""The variants' fields: what each follows, changes and trains, and how each is kept."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from test_phases import (  # noqa: E402
    FACE,
    FACE_FIELDS,
    GAUSSIANS,
    MOUTH,
    MOUTH_FIELDS,
    SETTINGS,
    groups,
    make_person,
    run,
    state,
)

from d3talker import artifacts  # noqa: E402
from d3talker.avatar import Signals  # noqa: E402
from d3talker.cli import InputError  # noqa: E402
from d3talker.fields import architecture  # noqa: E402
from d3talker.fields.architecture import Architecture  # noqa: E402
from d3talker.fields.deformation import (  # noqa: E402
    Aligner,
    GeneralField,
    general_field,
    individual_part,
)
from d3talker.render import FIELDS, FrozenAvatar  # noqa: E402
from d3talker.train.checkpoint import (  # noqa: E402
    avatar_from_tensors,
    avatar_tensors,
    load_general,
)
from d3talker.train.loop import train  # noqa: E402
from d3talker.train.phases import adapt_phases  # noqa: E402

ALL = ("means", "quats", "scales", "opacities", "colors")
VARIANTS = {
    "d3talker": Architecture(),
    "wo_fm": Architecture(general_signal="audio"),
    "fm_only": Architecture(individual_signal="motion"),
    "individual_means": Architecture(individual_attributes=("means",)),
    "individual_all": Architecture(individual_attributes=ALL),
    "instag": Architecture(general_signal="audio", individual="aligner"),
    "talkinggaussian": Architecture(general_signal="audio", individual="none"),
}
each_variant = pytest.mark.parametrize("name", VARIANTS)


@torch.no_grad()
def changed_by(person, signals: Signals) -> tuple[dict, dict]:
    """Changes of the attributes of face and mouth Gaussians from the rest pose."""
    rest, moved = person.avatar.deform(None), person.avatar.deform(signals)
    return tuple(
        {name: after[name] - before[name] for name in after}
        for before, after in zip(rest, moved, strict=True)
    )


@each_variant
def test_every_field_changes_its_attributes_and_no_others(name):
    person = make_person(VARIANTS[name])
    face, mouth = changed_by(person, person.avatar.all_signals(person.drive).at(1))
    changed = {attribute for attribute, change in face.items() if change.abs().max() > 0}
    assert changed == set(ALL if name == "individual_all" else ALL[:3])
    assert {attribute for attribute, change in mouth.items() if change.any()} == {"means"}


@each_variant
def test_the_individual_field_changes_what_its_attributes_say(name):
    person = make_person(VARIANTS[name])
    change = person.avatar.face_change(person.avatar.all_signals(person.drive).at(0))
    own = {} if change.individual is None else change.individual.changes()
    expected = VARIANTS[name].individual_attributes if VARIANTS[name].individual == "field" else ()
    assert tuple(own) == expected


@each_variant
def test_gaussians_outside_the_bound_are_not_deformed(name):
    person = make_person(VARIANTS[name])
    with torch.no_grad():
        person.avatar.face.means[:] = torch.tensor([0.2, -0.2, 0.0])
    face, _ = changed_by(person, person.avatar.all_signals(person.drive).at(1))
    assert all(change.abs().max() == 0 for change in face.values())


def silent(drive):
    return replace(drive, speech=torch.zeros_like(drive.speech))


def still(drive):
    return replace(drive, motion=torch.zeros_like(drive.motion))


@pytest.mark.parametrize(
    ("name", "by_sound", "by_motion"),
    [
        ("d3talker", True, True),
        ("wo_fm", True, False),
        ("fm_only", False, True),
        ("instag", True, False),
        ("talkinggaussian", True, False),
    ],
)
def test_a_variant_follows_the_sound_the_motion_or_both(name, by_sound, by_motion):
    person = make_person(VARIANTS[name])
    avatar = person.avatar
    means = [
        avatar.deform(avatar.all_signals(drive).at(0))[0]["means"]
        for drive in (person.drive, silent(person.drive), still(person.drive))
    ]
    assert [not torch.equal(means[0], other) for other in means[1:]] == [by_sound, by_motion]


def test_an_aligner_stays_within_its_range():
    torch.manual_seed(0)
    aligner = Aligner(hidden=32)
    with torch.no_grad():
        aligner.encoder.table.normal_(std=100)
        means = 0.3 * torch.rand(5000, 3) - 0.15
        out = aligner.network(aligner.encoder(means))
        offset, factor = aligner(means)
    assert 0.75 <= factor.min() < 0.76 and 1.24 < factor.max() <= 1.25
    torch.testing.assert_close(offset, 0.01 * out[:, :3])


def test_an_aligner_asks_the_general_field_elsewhere_and_scales_the_face():
    avatar = make_person(VARIANTS["instag"]).avatar
    signals = Signals(torch.randn(32), torch.randn(32), None, None, torch.rand(6))
    offset, factor = avatar.individual.face(avatar.face.means)
    asked = avatar.general.face(avatar.face.means + offset, signals.general_face, signals.au)
    change = avatar.face_change(signals).total()
    torch.testing.assert_close(change.means, factor * asked.means)
    torch.testing.assert_close(change.scales, asked.scales)
    places = avatar.mouth.means + avatar.individual.mouth(avatar.mouth.means)[0]
    mouth = avatar.general.mouth(places, signals.general_mouth, torch.ones(3))
    moved = avatar.moved_mouth(signals, torch.ones(3))["means"]
    torch.testing.assert_close(moved, avatar.mouth.means + mouth)


def test_an_untrained_aligner_hardly_matters():
    person = make_person(VARIANTS["instag"])
    signals = person.avatar.all_signals(person.drive).at(0)
    person.avatar.individual = individual_part(VARIANTS["instag"])
    aligned = person.avatar.face_change(signals).total().means
    person.avatar.individual = None
    alone = person.avatar.face_change(signals).total().means
    assert (aligned - alone).norm() < 1e-3 * alone.norm()


AUDIO = {"face": {"general.face_signal"}, "mouth": {"general.mouth_signal"}}
TRAINED = {  # of the fields: by the phase of the face, by that of the mouth
    "d3talker": (FACE_FIELDS, MOUTH_FIELDS),
    "wo_fm": (
        FACE_FIELDS - {"general.signal"} | AUDIO["face"],
        MOUTH_FIELDS | AUDIO["mouth"],
    ),
    "fm_only": (
        FACE_FIELDS - {"individual.face_signal"},
        MOUTH_FIELDS - {"individual.mouth_signal"},
    ),
    "instag": (
        {"general.face", "individual.face"} | AUDIO["face"],
        {"general.mouth", "individual.mouth"} | AUDIO["mouth"],
    ),
    "talkinggaussian": ({"general.face"} | AUDIO["face"], {"general.mouth"} | AUDIO["mouth"]),
}


@pytest.mark.parametrize("name", TRAINED)
def test_every_phase_trains_all_of_an_architecture_that_it_draws(name):
    face, mouth = TRAINED[name]
    poses = {"poses"}
    for stage, expected in {
        "adapt_face": FACE | face | poses,
        "adapt_mouth": MOUTH | mouth,
        "adapt": FACE | MOUTH | face | mouth | poses,
        "adapt_fuse": {"face.colors", "face.opacities", "mouth.colors"},
    }.items():
        person = make_person(VARIANTS[name])
        before = state(person)
        run(person, stage, replace(SETTINGS, densify=False, aligner_start=0))
        after = state(person)
        moved = groups(key for key in before if not torch.equal(before[key], after[key]))
        assert moved == expected, stage


def test_an_aligner_is_still_before_its_start():
    person = make_person(VARIANTS["instag"])
    before = state(person)
    run(person, "adapt", replace(SETTINGS, densify=False, aligner_start=4))
    after = state(person)
    moved = groups(key for key in before if not torch.equal(before[key], after[key]))
    assert not {"individual.face", "individual.mouth"} & moved
    assert {f"face.{name}" for name in GAUSSIANS} | {"general.face"} <= moved


@pytest.mark.parametrize("name", ["wo_fm", "fm_only", "individual_means", "individual_all"])
def test_people_are_told_apart_in_pretraining(name):
    """Every variant that is pre-trained has the contrastive terms between people."""
    people = [make_person(VARIANTS[name]) for _ in range(2)]
    people[1].avatar.general = people[0].avatar.general
    settings = replace(SETTINGS, contrast_start=0, densify=False, similarity_contrast=1.0)
    *_, adapt, _ = adapt_phases(settings)
    with_contrast = train(people, people[0].avatar.general, settings, adapt, seed=0)
    people = [make_person(VARIANTS[name]) for _ in range(2)]
    people[1].avatar.general = people[0].avatar.general
    settings = replace(settings, contrast_start=10)
    without = train(people, people[0].avatar.general, settings, adapt, seed=0)
    assert with_contrast[-1].loss > without[-1].loss + 0.1  # about ln 2 for two people alike


@each_variant
def test_a_saved_avatar_says_what_it_is_and_comes_back(name, tmp_path):
    person = make_person(VARIANTS[name])
    path = tmp_path / "avatar.safetensors"
    meta = architecture.to_meta(VARIANTS[name])
    artifacts.save_tensors(path, avatar_tensors(person.avatar), meta)
    tensors, meta = artifacts.load_tensors(path)
    assert architecture.from_meta(meta) == VARIANTS[name]
    loaded = avatar_from_tensors(tensors, architecture.from_meta(meta))
    signals = person.avatar.all_signals(person.drive).at(2)
    for part, expected in zip(loaded.deform(signals), person.avatar.deform(signals), strict=True):
        assert all(torch.equal(part[key], values) for key, values in expected.items())


def test_a_checkpoint_that_says_nothing_is_the_default():
    assert architecture.from_meta({"frames": 250}) == Architecture()


def test_a_general_field_that_follows_something_else_is_refused(tmp_path):
    path = tmp_path / "general.safetensors"
    artifacts.save_tensors(path, GeneralField().state_dict())
    assert isinstance(load_general(path, VARIANTS["individual_all"]), GeneralField)
    with pytest.raises(artifacts.ArtifactError, match=r"follows motion, .* to follow audio"):
        load_general(path, VARIANTS["wo_fm"])


@each_variant
def test_a_frozen_avatar_deforms_like_the_avatar_in_training(name):
    person = make_person(VARIANTS[name])
    person.avatar.face.mobility = torch.linspace(0, 1, len(person.avatar.face))
    signals = person.avatar.all_signals(person.drive).at(3)
    expected = person.avatar.deform(signals)
    for part, values in zip(FrozenAvatar(person.avatar).deform(signals), expected, strict=True):
        for key, value in values.items():
            torch.testing.assert_close(part[key], value.detach(), rtol=1e-5, atol=1e-6)


@each_variant
def test_each_field_alone_can_be_shown(name):
    person = make_person(VARIANTS[name])
    signals = person.avatar.all_signals(person.drive).at(3)
    rest = person.avatar.deform(None)[0]["means"]
    moved = {
        fields: not torch.equal(
            FrozenAvatar(person.avatar, fields).deform(signals)[0]["means"], rest
        )
        for fields in FIELDS
    }
    alone = VARIANTS[name].individual == "field"
    assert moved == {"both": True, "general": True, "individual": alone}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"general_signal": "video"}', "general_signal: must be of motion, audio"),
        ('{"individual_attributes": ["means", "sizes"]}', "individual_attributes: must be of"),
        ('{"individual_attributes": ["quats"]}', "means at least"),
        ('{"general_signal": "audio", "individual_signal": "motion"}', "E_diff and TCN"),
        ('{"aligner": true}', "unknown setting 'aligner'"),
    ],
)
def test_what_makes_no_avatar_is_refused(text, problem):
    with pytest.raises(InputError, match=problem):
        architecture.parse(text)


def test_people_of_pretraining_have_a_field_whatever_the_target_has():
    pretrained = {name: VARIANTS[name].of_pretraining() for name in VARIANTS}
    assert pretrained["instag"] == pretrained["talkinggaussian"] == pretrained["wo_fm"]
    assert len(set(pretrained.values())) == 5
    assert general_field(pretrained["instag"]).signal is None


def test_the_order_of_attributes_is_no_difference():
    assert Architecture(individual_attributes=ALL[::-1]) == VARIANTS["individual_all"]

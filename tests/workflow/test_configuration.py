"""The configuration's check and the order in which settings override each other."""

import json

import pytest

pytest.importorskip("jsonschema")

from d3talker import settings as stage_settings
from d3talker.train.schedule import gaussians_factor, general_factor
from d3talker.train.settings import AdaptSettings, PretrainSettings
from workflow import configuration, models


@pytest.fixture
def config():
    return configuration.load([], {})


def test_the_demo_configuration_is_right():
    demo = configuration.DEFAULT_CONFIG.with_name("demo.yaml")
    configuration.check(configuration.load([demo], {}))


def test_the_fields_learn_from_named_people_or_from_all(config):
    configuration.check(config | {"pretrain": {"identities": "all"}})
    configuration.check(config | {"pretrain": {"identities": ["all", "carl"]}})
    with pytest.raises(configuration.ConfigProblem, match=r"pretrain\.identities: 'carl'"):
        configuration.check(config | {"pretrain": {"identities": "carl"}})


def test_every_wrong_key_is_named(config):
    config |= {"sedd": 1, "size": "big", "preset": "quick"}
    config["train"] = {"adpt": {}}
    with pytest.raises(configuration.ConfigProblem) as problem:
        configuration.check(config)
    assert "unknown key 'sedd'; did you mean 'seed'?" in str(problem.value)
    assert "unknown key 'train.adpt'; did you mean 'adapt'?" in str(problem.value)
    assert 'size: must be integer, not "big"' in str(problem.value)


def test_the_refiner_is_light_or_of_the_papers_width(config):
    configuration.check(config | {"refiner": "paper"})
    with pytest.raises(configuration.ConfigProblem, match=r"refiner: 'wide' is not one of"):
        configuration.check(config | {"refiner": "wide"})


@pytest.mark.parametrize("key", ["preset", "variants"])
def test_unknown_choices_list_the_known(config, key):
    config[key] = "swift" if key == "preset" else ["swift"]
    with pytest.raises(configuration.ConfigProblem, match=r"no .* 'swift'; known: "):
        configuration.check(config)


def test_numbers_of_the_command_line_are_numbers(config):
    config["secs"] = ["5", "10"]
    configuration.check(config)
    assert config["secs"] == [5, 10]


def test_the_variant_overrides_the_user_who_overrides_the_preset(config):
    config["presets"]["quick"]["train"] = {"adapt": {"a": 1, "b": 1, "c": 1}}
    config["train"] = {"adapt": {"b": 2, "c": 2}}
    config["variant_definitions"]["d3talker"]["train"] = {"adapt": {"c": 3}}
    merged = json.loads(configuration.settings(config, "adapt", "d3talker"))
    assert merged == {"a": 1, "b": 2, "c": 3}


def test_groups_of_settings_are_overridden_name_by_name(config):
    config["presets"]["quick"]["train"] = {"adapt": {"density": {"start": 1, "stop": 0.5}}}
    config["train"] = {"adapt": {"density": {"start": 2}}}
    configuration.check(config)
    merged = json.loads(configuration.settings(config, "adapt", "d3talker"))
    assert merged == {"density": {"start": 2, "stop": 0.5}}
    assert config["presets"]["quick"]["train"]["adapt"]["density"]["start"] == 1
    config["train"] = {"adapt": {"density": {"begin": 2}}}
    with pytest.raises(configuration.ConfigProblem, match=r"'begin' of DensityControl; known: "):
        configuration.check(config)
    config["train"] = {"adapt": {"density": 3}}
    with pytest.raises(configuration.ConfigProblem, match="DensityControl must be"):
        configuration.check(config)


def test_the_papers_preset_has_the_ancestors_schedule(config):
    config |= {"preset": "paper"}
    config["variants"] = ["d3talker", "green_screen"]
    configuration.check(config)
    pretrain, adapt = (
        stage_settings.parse(cls, configuration.settings(config, stage, "d3talker"))
        for stage, cls in (("pretrain", PretrainSettings), ("adapt", AdaptSettings))
    )
    assert general_factor(100_000, pretrain.iterations, pretrain) == pytest.approx(0.2154, abs=1e-4)
    assert general_factor(3000, adapt.face_iterations, adapt) == pytest.approx(0.8123, abs=1e-4)
    assert gaussians_factor("means", 45_000, pretrain.iterations, pretrain) == pytest.approx(0.01)
    last_changes = [
        settings.density.stop * iterations
        for settings, iterations in ((pretrain, 150_000), (adapt, adapt.face_iterations))
    ]
    assert last_changes == pytest.approx([145_000, 9000], rel=1e-4)
    assert adapt.density.reset_interval == 3000 and not pretrain.density.reset_interval
    assert not adapt.green
    green = configuration.settings(config, "adapt", "green_screen")
    assert stage_settings.parse(AdaptSettings, green).green


def test_a_loss_weight_reaches_every_stage_that_has_the_term(config):
    config["loss"] = {"dssim": 0.5, "similarity_contrast": 0.01}
    configuration.check(config)
    pretrain = json.loads(configuration.settings(config, "pretrain", "d3talker"))
    refiner = json.loads(configuration.settings(config, "finetune_c2f", "d3talker"))
    poses = json.loads(configuration.settings(config, "refine_pose"))
    assert pretrain == config["loss"] and refiner == {"dssim": 0.5} and poses == {}


def test_a_setting_that_no_stage_knows_is_found_before_anything_runs(config):
    config["train"] = {"adapt": {"iterationz": 3}}
    with pytest.raises(configuration.ConfigProblem, match=r"train\.adapt: .*'iterationz'"):
        configuration.check(config)


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        (
            {"architecture": {"general_signal": "video"}},
            r"v\.architecture\.general_signal: 'video'",
        ),
        (
            {"architecture": {"general": "audio"}},
            r"'variant_definitions\.v\.architecture\.general'",
        ),
        ({"architecture": {"individual_attributes": ["quats"]}}, r"does not contain"),
        (
            {"architecture": {"general_signal": "audio", "individual_signal": "motion"}},
            r"v\.architecture: individual_signal: .* needs general_signal: motion",
        ),
        ({"pretrained": False}, r"definitions\.v: the refiner is pre-trained .* c2f: false"),
        (
            {"avatar": "d3talker", "architecture": {}},
            r"v\.architecture: .* 'd3talker' trains nothing",
        ),
    ],
)
def test_a_variant_that_cannot_be_is_found_before_anything_runs(config, definition, problem):
    config["variant_definitions"]["v"] = {"meaning": "a try"} | definition
    with pytest.raises(configuration.ConfigProblem, match=problem):
        configuration.check(config)


def test_every_variant_of_the_default_configuration_is_right(config):
    configuration.check(config | {"variants": list(config["variant_definitions"])})


def test_variants_are_pretrained_together_that_differ_in_nothing_that_pretraining_reads(config):
    shared = configuration.pretrainings(config)
    assert all(len(names) == 1 for names in shared.values())
    assert "instag" in shared and "talkinggaussian" not in shared and "oracle" not in shared
    config["variant_definitions"] |= {
        "aligned": {"meaning": "", "architecture": {"individual": "aligner"}},
        "refined_longer": {"meaning": "", "train": {"finetune_c2f": {"iterations": 9}}},
        "pretrained_longer": {"meaning": "", "train": {"pretrain": {"iterations": 9}}},
    }
    shared = configuration.pretrainings(config)
    assert shared["d3talker"] == ["d3talker", "aligned", "refined_longer"]
    assert shared["pretrained_longer"] == ["pretrained_longer"]


def test_whom_to_take_how_to_read_videos_and_when_to_move_sound_is_checked(config):
    configuration.check(config | {"person": {"a": "left", "b": 2, "c": "3"}})
    with pytest.raises(configuration.ConfigProblem, match=r"person\.a: 'middle' does not match"):
        configuration.check(config | {"person": {"a": "middle"}})
    with pytest.raises(configuration.ConfigProblem, match=r"ingest: .*'max_secs'"):
        configuration.check(config | {"ingest": {"max_secs": 60}})
    with pytest.raises(configuration.ConfigProblem, match=r"sync: .*'correkt'"):
        configuration.check(config | {"sync": {"correkt": False}})


def test_both_presets_hold_settings_that_the_stages_know(config):
    for preset in config["presets"]:
        configuration.check(config | {"preset": preset})


def test_the_folder_of_openface_must_be_there(config, tmp_path):
    models.check(config | {"openface": str(tmp_path)})
    with pytest.raises(configuration.ConfigProblem, match=r"openface: there is no folder .*none"):
        models.check(config | {"openface": str(tmp_path / "none")})


def test_a_missing_geometry_prior_is_named(config, tmp_path):
    configuration.check_geometry(config, ["anna"])
    config["geometry"] = str(tmp_path)
    (tmp_path / "anna.npz").touch()
    configuration.check_geometry(config, ["anna"])
    with pytest.raises(configuration.ConfigProblem, match=r"geometry: there is no .*berta\.npz"):
        configuration.check_geometry(config, ["anna", "berta"])


def test_the_stages_are_told_every_backend(config):
    assert configuration.backend_options(config) == "--rasterizer cpu --encoding cpu"
    config["backends"]["encoding"] = "torch"
    assert configuration.backend_options(config) == "--rasterizer cpu --encoding torch"
    assert configuration.training_environment(config) == "torch"


def test_an_unknown_backend_lists_the_known(config):
    config["backends"]["rasterizer"] = "fast"
    with pytest.raises(configuration.ConfigProblem, match=r"backends\.rasterizer.*'fast'; known: "):
        configuration.check(config)


def test_what_differs_from_the_default_is_told_by_its_key(config):
    assert configuration.changed(config) == {"preset": "quick"}
    config |= {"videos": "elsewhere", "threads": 4, "seed": 3}
    config["train"] = {"adapt": {"iterations": 7, "density": {"start": 5}}}
    assert configuration.changed(config) == {
        "preset": "quick",
        "seed": 3,
        "train.adapt.iterations": 7,
        "train.adapt.density.start": 5,
    }
    assert configuration.meanings(config)["d3talker"] == "the method in full"


def test_jobs_know_which_tables_are_targets(monkeypatch):
    monkeypatch.setenv(configuration.TABLES, "table4")
    assert configuration.table_targets(["--cores", "2", "table2", "all"]) == {"table2"}
    assert configuration.table_targets(None) == {"table2"}
    assert configuration.table_targets([]) == set() == configuration.table_targets(None)
    monkeypatch.delenv(configuration.TABLES)
    assert configuration.table_targets(None) == {"table1", "table2", "table3", "table4"}

"""Which runs a configuration and each table of the paper ask for."""

import pytest

pytest.importorskip("snakemake")

from d3talker.artifacts import save_json
from workflow import base, configuration, people, plan


@pytest.fixture
def folder(tmp_path):
    """Two targets, nobody to learn from."""
    (tmp_path / "videos").mkdir()
    for name in ("anna", "berta"):
        (tmp_path / "videos" / f"{name}.mp4").touch()
    return tmp_path


def made(folder, **changes):
    """Configuration and cast of a run on `folder`."""
    places = {"videos": str(folder / "videos"), "results": str(folder / "results")}
    config = configuration.load([], places | changes)
    configuration.check(config)
    return config, people.gather(config)


def add_teacher(folder):
    (folder / "videos" / "pretrain").mkdir()
    (folder / "videos" / "pretrain" / "carl.mp4").touch()


def read(folder, name, seconds):
    """Say that the clip of a person has been read and has so much to train on."""
    frames = 25 * seconds
    clip = {"frames": frames + 300, "test": [frames, frames + 300]}
    save_json(folder / "results" / name / "ingest.json", clip)


def of(runs, name="anna"):
    return [(run.variant, run.secs) for run in runs if run.identity == name]


def test_every_variant_of_the_tables_is_defined():
    known = configuration.load([], {})["variant_definitions"]
    for table in configuration.tables():
        assert set(configuration.table_variants(table)) <= set(known)


def test_table1_is_its_methods_floor_and_ceiling_at_ten_seconds(folder):
    add_teacher(folder)
    config, cast = made(folder, tables=["table1"], secs=[5], variants=["wo_c2f"])
    wanted = {"d3talker", "instag", "talkinggaussian", "static", "oracle"}
    assert set(of(plan.shown(config, cast, "table1"))) == {(name, 10) for name in wanted}
    assert ("wo_c2f", 5) in of(plan.runs(config, cast))
    assert set(of(plan.shown(config | {"tables": []}, cast, "table1"))) == {("wo_c2f", 5)}


def test_table2_leaves_out_lengths_that_a_clip_does_not_have(folder):
    add_teacher(folder)
    read(folder, "anna", 13)
    read(folder, "berta", 47)
    config, cast = made(folder, tables=["table2"])
    runs = plan.of_table(config, cast, "table2")
    assert set(of(runs)) == {(name, secs) for name in ("d3talker", "instag") for secs in (5, 10)}
    assert {secs for _, secs in of(runs, "berta")} == {5, 10, 15, 20}
    assert plan.about(config, cast, "table2")["notes"]["table2"] == [
        "anna: not at 15, 20 s: its clip has 13.0 s before the test part."
    ]


def test_a_table_of_one_length_takes_what_a_short_clip_has_and_says_so(folder):
    read(folder, "anna", 13)
    config, cast = made(folder, tables=["table4"])
    assert ("d3talker", 20) in of(plan.of_table(config, cast, "table4"))
    assert plan.about(config, cast, "table4")["notes"]["table4"] == [
        "anna: trained on 13.0 s, all that its clip has before the test part."
    ]


def test_table3_is_driven_by_every_sound_and_never_by_the_own_voice(folder):
    add_teacher(folder)
    (folder / "audio").mkdir()
    for name in ("speech", "song"):
        (folder / "audio" / f"{name}.wav").touch()
    config, cast = made(folder, tables=["table3"], audios=str(folder / "audio"))
    plan.check(config)
    runs = [run for run in plan.of_table(config, cast, "table3") if run.identity == "anna"]
    assert {run.drive for run in runs} == {"speech", "song"}
    assert {run.variant for run in runs} == {"d3talker", "instag", "talkinggaussian"}
    with pytest.raises(configuration.ConfigProblem, match=r"table3: .*AUDIOS=folder"):
        plan.check(config | {"audios": None})


def test_table4_is_the_ablation_at_twenty_seconds(folder):
    add_teacher(folder)
    config, cast = made(folder, tables=["table4"])
    expected = {"d3talker", "wo_fm", "wo_scloss", "wo_c2f", "fm_only", "general_only"}
    expected |= {"individual_only", "scloss_only", "no_contrast", "individual_means"}
    expected |= {"individual_all"}
    assert set(of(plan.of_table(config, cast, "table4"))) == {(name, 20) for name in expected}


def test_tables_share_the_runs_that_both_need(folder):
    add_teacher(folder)
    config, cast = made(folder, tables=["table1", "table2"])
    runs = of(plan.runs(config, cast))
    assert len(runs) == len(set(runs)) == 5 + 2 * 3


def test_without_people_to_learn_from_a_table_goes_without_what_needs_them(folder):
    config, cast = made(folder, tables=["table1"])
    base.require_people(config, cast)
    variants = {variant for variant, _ in of(plan.of_table(config, cast, "table1"))}
    assert variants == {"d3talker", "talkinggaussian", "static", "oracle"}
    assert "put videos of other people into" in plan.about(config, cast)["not_run"]["instag"]
    (told,) = base.remarks(config, list(cast.targets), base.unteachable(config, cast))
    assert told.startswith("variants: instag are not run")
    config, cast = made(folder, variants=["instag"])
    with pytest.raises(configuration.ConfigProblem, match="instag cannot start from the base"):
        base.require_people(config, cast)


def test_what_starts_from_the_base_and_what_does_not_is_told(folder):
    add_teacher(folder)
    config, cast = made(folder, tables=["table1"])
    about = plan.about(config, cast)
    assert about["pretraining"]["d3talker"] == "the base in resources (11 people)"
    assert about["pretraining"]["instag"] == "this run's pre-training on carl"
    assert "from scratch" in about["pretraining"]["talkinggaussian"]
    assert about["differs"] == ["instag"]
    fair, cast = made(folder, tables=["table1"], pretrain={"base": None})
    about = plan.about(fair, cast)
    assert about["differs"] == []
    assert about["pretraining"]["d3talker"] == about["pretraining"]["instag"]


def test_a_person_may_have_a_training_length_of_its_own(folder):
    (folder / "videos" / "identities.tsv").write_text("identity\tseconds\nanna\t7\n")
    config, cast = made(folder, tables=["table2"], secs=[5, 10], variants=["static"])
    assert of(plan.of_table(config, cast, "table1"))[0] == ("talkinggaussian", 7)
    assert ("static", 7) in of(plan.runs(config, cast)) and not cast.left_alone
    assert {secs for _, secs in of(plan.runs(config, cast), "berta")} == {5, 10, 15, 20}
    assert {secs for _, secs in of(plan.of_table(config, cast, "table2"))} == {5, 10, 15, 20}


def test_tables_that_the_configuration_fills():
    config = configuration.load([], {})
    assert plan.filled(config) == ["table1"]
    config |= {"secs": [5, 10], "audios": "audio", "variants": ["d3talker", "wo_c2f"]}
    assert plan.filled(config) == ["table1", "table2", "table3", "table4"]
    config |= {"secs": [10], "audios": None, "variants": ["static"], "tables": ["table2"]}
    assert plan.filled(config) == ["table1", "table2"]


def test_results_of_other_programs_stand_beside_ours_of_the_same_person(folder):
    (folder / "videos" / "external" / "ER-NeRF").mkdir(parents=True)
    (folder / "videos" / "external" / "ER-NeRF" / "anna.mp4").touch()
    config, cast = made(folder, secs=[5], variants=["d3talker"])
    assert of(plan.runs(config, cast)) == [("d3talker", 5), ("external_ER-NeRF", 5)]
    assert of(plan.runs(config, cast), "berta") == [("d3talker", 5)]
    assert ("external_ER-NeRF", 10) in of(plan.of_table(config, cast, "table1"))
    assert ("external_ER-NeRF", 20) not in of(plan.of_table(config, cast, "table4"))
    (folder / "videos" / "external" / "ER-NeRF" / "zoe.mp4").touch()
    with pytest.raises(people.NameProblem, match=r"zoe.mp4: .* there are anna, berta"):
        made(folder)


def test_an_unknown_table_is_named(folder):
    with pytest.raises(configuration.ConfigProblem, match="no table 'table9'; known: table1"):
        made(folder, tables=["table9"])

"""Tables as targets, results of other programs, and people of whom a job fails."""

import pytest

pytest.importorskip("snakemake")

from checkouts import jobs


def metrics_of(checkout, table):
    """Runs whose metrics a table was given, as their folders under results/."""
    words = (checkout.root / "results" / "tables" / f"{table}.md").read_text().split()
    paths = words[words.index("--metrics") + 1 : words.index("--paper")]
    return [path.removeprefix("results/").removesuffix("/metrics.json") for path in paths]


def test_table1_makes_its_methods_and_nothing_else(finished):
    _, output = finished.run("--target", "table1", "--args=-n")
    made = jobs(output)
    # d3talker, static and oracle are there; two methods more, one of which is pre-trained.
    for rule in ("adapt", "render", "landmarks_render", "evaluate"):
        assert made[rule] == 2, rule
    assert made["pretrain_fields_alone"] == made["tables"] == 1
    assert not {"finetune_c2f", "fit_static", "compare", "report", "ingest"} & set(made)


def test_table3_without_sounds_is_an_error_for_people(checkout):
    status, output = checkout.run("--target", "table3")
    assert status == 2 and not jobs(output)
    assert "table3: shows avatars that speak other sounds, and there are none" in output


def test_one_of_five_people_fails_and_four_are_complete(checkout):
    for name in ("berta", "dora", "emil", "fritz"):
        checkout.add(f"{name}.mp4")
    (checkout.root / "fail").write_text("adapt /dora/")
    variants = "--args=--config variants=[d3talker]"
    status, output = checkout.run("--target", "all", variants)
    assert status == 1, output
    others = ["anna", "berta", "emil", "fritz"]
    assert metrics_of(checkout, "table1") == [f"{name}/d3talker/10s/self" for name in others]
    log = "results/logs/dora/d3talker/10s/adapt.log"
    reason = f"dora: adapt failed: its Gaussians are gone; its log is {log}"
    assert checkout.read("dora/failed.json")["refused"] == reason
    assert f"Left out: {reason}." in (checkout.root / "results/tables/table1.md").read_text()
    report = (checkout.root / "results" / "report.html").read_text()
    assert "results/dora/failed.json" in report and "results/dora/ingest.json" not in report
    assert "people:  4 of 5 complete" in output
    assert f"failed:  {reason}\n         | error: its Gaussians are gone" in output

    (checkout.root / "fail").unlink()
    status, output = checkout.run("--target", "all", variants)
    assert status == 0, output
    assert jobs(output)["adapt"] == 1 and not checkout.exists("dora/failed.json")
    assert "dora/d3talker/10s/self" in metrics_of(checkout, "table1")
    assert "people:  5 of 5 complete" in output


def test_what_all_people_share_fails_for_all(finished):
    (finished.root / "fail").write_text("pretrain wo_fm")
    status, output = finished.run("--args=--config variants=[d3talker,wo_fm]")
    assert status == 1 and "error: not everything could be made" in output
    assert not list((finished.root / "results").glob("*/failed.json"))


def test_results_of_other_programs_are_scored_as_ours(finished):
    finished.add("external/ER-NeRF/anna.mp4")
    status, output = finished.run()
    assert status == 0, output
    made = jobs(output)
    scored = ("external", "landmarks_render", "evaluate", "compare", "tables", "report")
    assert [made[rule] for rule in scored] == [1] * 6 and sum(made.values()) == 6
    assert "anna/external_ER-NeRF/10s/self" in metrics_of(finished, "table1")

    # One that cannot be used leaves the person's own rows.
    finished.add("external/ER-NeRF/anna.mp4", "another one")
    (finished.root / "fail").write_text("external ER-NeRF")
    status, output = finished.run()
    assert status == 1 and "failed:  anna/external_ER-NeRF: external failed" in output
    assert metrics_of(finished, "table1")[0] == "anna/d3talker/10s/self"
    assert "people:  1 of 1 complete" in output
    assert "anna/external_ER-NeRF/10s/self" not in metrics_of(finished, "table1")

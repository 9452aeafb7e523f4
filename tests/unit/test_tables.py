"""Our runs stand beside the paper's rows, and nothing that was not measured gets a number."""

from pathlib import Path

import pytest

pytest.importorskip("pandas")
pytest.importorskip("yaml")

import yaml

from d3talker.cli import InputError
from d3talker.report import tables

PAPER = Path(__file__).resolve().parents[2] / "config" / "paper_tables.yaml"


@pytest.fixture(scope="module")
def config():
    return yaml.safe_load(PAPER.read_text(encoding="utf-8"))


def run(identity="anna", variant="d3talker", secs=10, drive="self", missing=None, **values):
    """Content of a metrics.json."""
    names = yaml.safe_load(PAPER.read_text(encoding="utf-8"))["metrics"]
    missing = {"lpips": "needs weights"} | (missing or {})
    metrics = dict.fromkeys(names, 1.0) | values | dict.fromkeys(missing)
    about = {"identity": identity, "variant": variant, "secs": secs, "drive": drive}
    return about | metrics | {"preset": "quick", "versions": {}, "missing": missing}


def ours(table, source="ours"):
    return table.rows[table.rows["source"] == source]


def test_the_papers_own_numbers_are_there(config):
    rows = tables.build("table1", config, [run()]).rows.set_index("method")
    assert rows.loc["D3-Talker", "psnr"] == 31.518
    assert rows.loc["InsTaG", "sync_c"] == 4.411
    assert len(rows) == 8 + 2


@pytest.mark.parametrize("name", ["table1", "table2", "table3", "table4"])
def test_every_published_row_has_only_known_columns(config, name):
    table = config["tables"][name]
    for row in table["paper"]:
        assert set(row) <= {"method", *table["keys"], *table["columns"]}
        assert all(isinstance(row[column], int | float) for column in set(row) & {"psnr", "sync_c"})


def test_a_mean_is_taken_over_identities(config):
    table = tables.build("table1", config, [run(psnr=30.0), run("bert", psnr=32.0)])
    assert ours(table)["psnr"].tolist() == [31.0]
    assert ours(table, "ours, one video")["identity"].tolist() == ["anna", "bert"]


def test_there_is_no_mean_when_one_person_lacks_the_metric(config):
    lacking = run("bert", missing={"mouth_corr": "constant"})
    table = tables.build("table1", config, [run(), lacking])
    assert ours(table)["mouth_corr"].isna().all()
    assert "Mouth corr. of bert d3talker 10 s self: constant." in table.footnotes
    assert "LPIPS: needs weights." in table.footnotes


def test_offsets_of_opposite_sign_do_not_cancel(config):
    runs = [run(av_offset_frames=4), run("bert", av_offset_frames=-4)]
    assert ours(tables.build("table1", config, runs))["av_offset_frames"].tolist() == [4]


def best_of(table, metric):
    return table.rows[table.best[metric]]["method"].tolist()


def test_the_best_variant_is_marked_but_never_the_ceiling_or_the_paper(config):
    runs = [run(psnr=30.0), run(variant="instag", psnr=29.0), run(variant="oracle", psnr=35.0)]
    table = tables.build("table1", config, runs)
    assert best_of(table, "psnr") == ["d3talker"]
    assert any("ceiling" in note for note in table.footnotes)


def test_lower_is_better_where_the_metric_says_so(config):
    runs = [run(lip_distance=3.0), run(variant="instag", lip_distance=2.0)]
    assert best_of(tables.build("table1", config, runs), "lip_distance") == ["instag"]


def test_variants_on_different_videos_are_not_ranked(config):
    runs = [run(psnr=30.0), run("bert", variant="instag", psnr=29.0)]
    assert best_of(tables.build("table1", config, runs), "psnr") == []


def test_table1_shows_ten_seconds_or_what_there_is(config):
    both = tables.build("table1", config, [run(), run(secs=5)])
    assert ours(both)["secs"].tolist() == [10]
    short = tables.build("table1", config, [run(secs=5)])
    assert ours(short)["secs"].tolist() == [5]


def test_another_voice_goes_to_the_cross_driven_table_only(config):
    runs = [run(), run(drive="speech")]
    assert ours(tables.build("table3", config, runs))["drive"].tolist() == ["speech"]
    assert len(ours(tables.build("table1", config, runs))) == 1


def test_markdown_shows_minutes_dashes_and_reasons(config):
    text = tables.markdown(tables.build("table1", config, [run(train_seconds=90.0)]))
    row = next(
        line for line in text.splitlines() if line.startswith("| d3talker | 10 | anna, quick |")
    )
    assert " 1.5 " in row and " – " in row
    assert "- LPIPS: needs weights." in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert len(widths) == 1


def test_a_table_without_runs_of_ours_says_so(config):
    table = tables.build("table3", config, [run()])
    assert "No run of ours" in table.footnotes[0]
    assert "nan" not in tables.markdown(table)


def test_an_unknown_table_names_the_known_ones(config):
    with pytest.raises(InputError, match="table4"):
        tables.build("table9", config, [])

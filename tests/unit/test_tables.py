"""Our runs stand beside the paper's rows, and nothing that was not measured gets a number."""

from pathlib import Path

import pytest

pytest.importorskip("pandas")
pytest.importorskip("yaml")

import yaml

from d3talker.cli import InputError
from d3talker.report import formats, tables

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


def ours(table, source="measured"):
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
        assert set(row) <= {"method", "variant", *table["keys"], *table["columns"]}
        assert all(isinstance(row[column], int | float) for column in set(row) & {"psnr", "sync_c"})


def test_a_mean_is_taken_over_identities(config):
    table = tables.build("table1", config, [run(psnr=30.0), run("bert", psnr=32.0)])
    assert ours(table)["psnr"].tolist() == [31.0]
    assert ours(table, "measured, one video")["identity"].tolist() == ["anna", "bert"]


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
    text = formats.markdown(tables.build("table1", config, [run(train_seconds=90.0)]))
    row = next(
        line for line in text.splitlines() if line.startswith("| d3talker | 10 | anna, quick [1] |")
    )
    assert " 1.5 " in row and " – " in row
    assert "- LPIPS: needs weights." in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert len(widths) == 1


def test_a_table_without_runs_of_ours_says_so(config):
    table = tables.build("table3", config, [run()])
    assert "No run of ours" in table.footnotes[0]
    assert "nan" not in formats.markdown(table)


def test_an_unknown_table_names_the_known_ones(config):
    with pytest.raises(InputError, match="table4"):
        tables.build("table9", config, [])


def below(table, method):
    """Source and method of the rows under a published one."""
    rows = table.rows.reset_index(drop=True)
    (start,) = rows.index[(rows["source"] == "paper") & (rows["method"] == method)]
    stop = next((n for n in rows.index if n > start and rows.at[n, "source"] == "paper"), len(rows))
    return [tuple(rows.loc[n, ["source", "method"]]) for n in range(start + 1, stop)]


MEAN, ONE = "measured", "measured, one video"


def test_our_rows_stand_below_the_papers(config):
    runs = [run(), run("bert"), run(variant="instag"), run(variant="static")]
    table = tables.build("table1", config, runs)
    assert below(table, "InsTaG") == [(MEAN, "instag"), (ONE, "instag")]
    others = [(MEAN, "static"), (ONE, "static")]  # which is no method of the paper's
    assert below(table, "D3-Talker") == [(MEAN, "d3talker"), *[(ONE, "d3talker")] * 2, *others]


def test_a_variant_stands_for_every_row_of_the_ablation_that_means_it(config):
    table = tables.build("table4", config, [run(variant="wo_fm", secs=20)])
    for method in ("w/o FM", "signals: Audio Only"):
        assert below(table, method) == [(MEAN, "wo_fm"), (ONE, "wo_fm")]
    assert below(table, "w/o SCLoss") == []


def test_a_sweep_has_each_length_beside_its_own(config):
    table = tables.build("table2", config, [run(secs=5), run(secs=20)])
    rows = table.rows[table.rows["method"].isin(["D3-Talker", "d3talker"])]
    assert list(zip(rows["method"], rows["secs"], strict=True)) == [
        ("D3-Talker", 5), ("d3talker", 5), ("d3talker", 5), ("D3-Talker", 10), ("D3-Talker", 15),
        ("D3-Talker", 20), ("d3talker", 20), ("d3talker", 20),
    ]  # fmt: skip
    status = dict(zip(rows["secs"], rows["status"], strict=True))
    assert status == {5: "", 10: "not run", 15: "not run", 20: ""}


def test_a_method_that_was_not_run_keeps_its_row_and_says_why(config):
    about = {"not_run": {"instag": "nobody to learn from"}}
    table = tables.build("table1", config | {"about": about}, [run()])
    rows = table.rows[table.rows["source"] == "paper"].set_index("method")
    assert rows.loc["DFRF", "psnr"] == 30.413
    assert rows.loc["DFRF", "status"] == rows.loc["InsTaG", "status"] == "not run"
    assert rows.loc["D3-Talker", "status"] == rows.loc["Ground Truth", "status"] == ""
    classes = [tables.row_class(row) for _, row in table.rows.iterrows()]
    assert classes == ["", *["notrun"] * 6, "", "ours", "ours"]
    assert "Not run: InsTaG: nobody to learn from." in table.footnotes
    assert "| DFRF | 10 | the paper's, not run | 30.413 |" in formats.markdown(table)


def test_our_rows_tell_preset_backends_and_hardware(config):
    made = {"backends": {"rasterizer": "cpu"}, "versions": {"hardware": "2 cores"}}
    table = tables.build("table1", config, [run() | made])
    row = ours(table).iloc[0]
    assert (row["preset"], row["backends"], row["hardware"]) == (
        "quick",
        "rasterizer cpu",
        "2 cores",
    )
    assert "[1] preset quick; rasterizer cpu; 2 cores." in table.footnotes


def test_every_number_leads_to_its_video(config):
    runs = [
        run(name) | {"metrics_file": f"{name}/metrics.json", "render_file": f"{name}/render.mp4"}
        for name in ("anna", "bert")
    ]
    rows = tables.build("table1", config, runs).rows
    assert rows[rows["source"] == ONE]["render_file"].tolist() == [
        "anna/render.mp4", "bert/render.mp4",
    ]  # fmt: skip
    assert rows[rows["source"] == MEAN]["metrics_file"].tolist() == [
        "anna/metrics.json; bert/metrics.json"
    ]


def external(identity="anna", **values):
    unknown = {"fps": "not told", "train_seconds": "not told"}
    made = run(identity, variant="external_er_nerf", missing=unknown, **values)
    return made | {"backends": {"external": "er-nerf"}}


def test_results_of_other_programs_stand_below_their_method_and_may_be_the_best(config):
    table = tables.build("table1", config, [run(psnr=30.0), external(psnr=31.0)])
    assert below(table, "ER-NeRF") == [(MEAN, "er-nerf"), (ONE, "er-nerf")]
    assert best_of(table, "psnr") == ["er-nerf"]
    text = formats.markdown(table)
    assert "| er-nerf | 10 | mean of 1, another program | **31.000** |" in text
    assert "FPS of anna external_er_nerf 10 s self: not told." in text


def order(table):
    return next((note for note in table.footnotes if "Kendall" in note), None)


def test_our_order_is_compared_with_the_papers(config):
    # PSNR: the paper has TalkingGaussian < InsTaG < D3-Talker; here two of three pairs agree.
    runs = [run(psnr=31.0), run(variant="instag", psnr=30.0)]
    runs.append(run(variant="talkinggaussian", psnr=30.5))
    note = order(tables.build("table1", config, runs))
    assert "Order of TalkingGaussian, InsTaG, D3-Talker here" in note and "PSNR 0.33" in note
    assert "LPIPS" not in note  # which was not measured
    assert order(tables.build("table1", config, runs[:1])) is None


def test_the_order_is_that_of_means_over_the_same_people(config):
    runs = [run(psnr=31.0), run(variant="instag", psnr=30.0)]
    runs.append(run("bert", variant="talkinggaussian", psnr=35.0))
    assert "Order of InsTaG, D3-Talker here" in order(tables.build("table1", config, runs))


def test_rows_of_another_pretraining_are_told_and_not_ranked(config):
    about = {
        "pretraining": {"d3talker": "the base", "static": "the base", "instag": "carl"},
        "differs": ["instag"],
    }
    runs = [run(psnr=30.0), run(variant="instag", psnr=31.0), run(variant="static")]
    table = tables.build("table1", config | {"about": about}, runs)
    assert best_of(table, "psnr") == []
    assert "Starts from the base: d3talker, static." in table.footnotes
    assert any(n.startswith("instag: pre-trained on other people") for n in table.footnotes)
    fair = tables.build("table1", config | {"about": about | {"differs": []}}, runs)
    assert best_of(fair, "psnr") == ["instag"]


def test_who_was_left_out_or_is_short_is_told(config):
    about = {"left_out": ["Left out: bert: adapt failed."], "notes": {"table1": ["anna: short."]}}
    notes = tables.build("table1", config | {"about": about}, [run()]).footnotes
    assert "Left out: bert: adapt failed." in notes and "anna: short." in notes


def test_latex_is_escaped_and_has_the_same_cells(config):
    runs = [run("a_b", psnr=30.0), run("a_b", variant="instag", psnr=29.0)]
    text = formats.latex(tables.build("table1", config, runs), "table1")
    assert r"d3talker & 10 & a\_b, quick {[}1{]} & 30.000" in text
    assert r"\textbf{30.000}" in text and r"PSNR, dB $\uparrow$" in text
    assert r"\textcolor{gray}{DFRF}" in text and r"\textcolor{gray}{D3-Talker}" not in text
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert {line.count(" & ") for line in rows} == {2 + 14}
    assert len(rows) == 1 + 8 + 4


def test_every_special_character_of_latex_is_escaped():
    assert formats.escape_latex("100% & $5 #1_a {x} ~^\\") == (
        r"100\% \& \$5 \#1\_a \{x\} \textasciitilde{}\textasciicircum{}\textbackslash{}"
    )

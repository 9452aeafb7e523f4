"""The report shows what it is given, and needs nothing but the files beside it."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")
pytest.importorskip("pandas")
pytest.importorskip("yaml")

import yaml

from d3talker.artifacts import ArtifactError
from d3talker.report import charts, costs, page

PAPER = Path(__file__).resolve().parents[2] / "config" / "paper_tables.yaml"
CONFIG = yaml.safe_load(PAPER.read_text(encoding="utf-8"))


def make_run(drive="self", variant="d3talker", **values):
    missing = {"lpips": "needs weights"}
    metrics = dict.fromkeys(CONFIG["metrics"], 0.5) | values | dict.fromkeys(missing)
    metrics |= {"identity": "anna", "variant": variant, "secs": 10, "drive": drive, "frames": 50}
    metrics |= values
    metrics |= {"train_seconds_by_stage": {"fit_static": 90.0, "adapt_face": 240.0}}
    metrics |= {"preset": "quick", "versions": {"torch": "2.13"}, "backends": {"speech": "mel"}}
    rows = "stage,iteration,loss,l1,dssim,psnr,gaussians\nadapt,50,0.2,,,28,9000\n"
    rows += "adapt,100,0.1,,,30,9500\nfinetune_c2f,50,0.05,,,31,\n"
    return page.Run(
        metrics=metrics | {"missing": missing},
        rendered={"first_frame": 100, "frames": 50, "milliseconds": {"refine": 12.34}},
        video=f"anna/{variant}/10s/{drive}/video.mp4",
        opening=np.linspace(0, 0.1, 50),
        curves=page.read_curves(rows) if drive == "self" else [],
    )


SYNC = {
    "verdict": "in step",
    "sound_moved_ms": 0,
    "lags_ms": [-10, 0, 10],
    "picture_after_sound": {
        "agreement_by_lag": [0.1, 0.5, 0.2],
        "best_ms": 0,
        "agreement": 0.5,
        "agreement_as_recorded": 0.5,
    },
}


def make_person(runs, sync=None, name="anna", **ingest):
    clip = {"identity": name, "source": "Anna <1>.mp4", "seconds": 6.0, "size": 512, "fps": 25}
    clip |= {"test": [100, 150], "note": None, "warnings": []} | ingest
    opening, sync = np.linspace(0, 0.2, 150), SYNC | (sync or {})
    return page.Person(clip, opening, f"{name}/track.png", sync, runs)


def make_page(runs, refused=(), origin=(), **person):
    origin = page.Origin({"git commit": "abc"}, **dict(origin))
    return page.render([make_person(runs, **person)], refused, CONFIG, origin)


def players(html):
    """What each player of the page is told."""
    return [json.loads(text) for text in re.findall(r'<script type="application/json">(.*)<', html)]


def test_training_time_is_told_stage_by_stage():
    assert "fit_static 1.5, adapt_face 4.0" in make_page([make_run()])


def test_videos_and_the_check_picture_are_linked_and_everything_else_is_inside():
    html = make_page([make_run(), make_run("speech")])
    addresses = re.findall(r'(?:src|href)="([^"#][^"]*)"', html)
    videos = [f"anna/d3talker/10s/{drive}/video.mp4" for drive in ("self", "speech")]
    # The players' own links to the videos are for browsers without scripts.
    assert set(addresses) == {"data:,", "anna/track.png", *videos}
    assert [[run["src"] for run in player["runs"]] for player in players(html)] == [
        [video] for video in videos
    ]
    outside = html.replace("http://www.w3.org/2000/svg", "").replace(
        "http://www.w3.org/1999/xlink", ""
    )
    assert "http" not in outside


def test_a_player_of_own_runs_has_films_of_three_and_knows_where_they_start():
    own, other = players(make_page([make_run(), make_run(variant="static"), make_run("speech")]))
    assert (own["truth"], own["start_frame"], own["frames"], own["fps"]) == (True, 100, 50, 25)
    assert [run["key"] for run in own["runs"]] == ["d3talker", "static"]
    assert (other["truth"], other["start_frame"]) == (False, 0)


def test_runs_are_told_apart_by_training_length_where_it_differs():
    runs = [make_run(secs=5), make_run(secs=10)]
    assert page.names(runs) == ["d3talker 5 s", "d3talker 10 s"]
    assert page.names(runs[:1]) == ["d3talker"]


def test_the_summary_says_the_scores_in_plain_words_beside_floor_and_ceiling():
    runs = [
        make_run(mouth_corr=0.57, mouth_corr_ci=[0.45, 0.67], psnr=32.86, train_seconds=528.0),
        make_run(variant="static", mouth_corr=0.05, psnr=32.5),
        make_run(variant="oracle", mouth_corr=None, psnr=33.2),
    ]
    said = " ".join(page.headline(make_person(runs), CONFIG))
    assert "correlation of 0.57 (1 is perfect; 95 %: 0.45 to 0.67; floor static 0.05)" in said
    assert "PSNR of 32.9 dB (more is nearer; floor static 32.5; ceiling oracle 33.2)" in said
    assert "took 8.8 min" in said and "speaks its last 2.0 s" in said
    assert page.headline(make_person(runs[1:]), CONFIG) == []


def test_every_table_with_a_row_of_ours_is_shown_and_no_other():
    titles = {name: spec["title"] for name, spec in CONFIG["tables"].items()}
    html = make_page([make_run()])
    assert f"<h3>{titles['table1']}</h3>" in html and f"<h3>{titles['table4']}</h3>" in html
    assert f"<h3>{titles['table3']}</h3>" not in html
    assert f"<h3>{titles['table3']}</h3>" in make_page([make_run("speech")])


def test_where_the_numbers_come_from_is_told():
    origin = {
        "changed": {"preset": "quick", "train.adapt.iterations": 7},
        "meanings": {"d3talker": "the method in full"},
        "remarks": ["anna: the base knows her"],
        "weights": {"base_c2f.safetensors": "e3b0c442"},
        "costs": [costs.Cost("pre-training", 1, 3600.0, 3600.0, 512.4)],
    }
    html = make_page([make_run()], origin=origin)
    for text in (
        "<dt>train.adapt.iterations</dt><dd><code>7</code>",
        "d3talker: the method in full.",
        '<li class="warn">anna: the base knows her</li>',
        "<dt>base_c2f.safetensors</dt><dd><code>e3b0c442</code>",
        "<td>3600</td><td>512</td>",
    ):
        assert text in html


def test_a_person_with_four_variants_weighs_a_fifth_of_a_light_page():
    rng, runs = np.random.default_rng(0), []
    for variant in ("d3talker", "static", "oracle", "instag"):
        rows = "stage,iteration,loss,psnr,gaussians\n" + "".join(
            f"adapt,{n * 50},{rng.uniform()},{20 + rng.uniform()},{n}\n" for n in range(1, 400)
        )
        run = make_run(variant=variant)
        rendered = dict(run.rendered) | {"frames": 300}
        curves = page.read_curves(rows)
        runs.append(page.Run(run.metrics, rendered, run.video, rng.uniform(size=300), curves))
    person = make_person(runs)
    opening = rng.uniform(size=1000)
    person = page.Person(person.ingest, opening, "track.png", person.sync, runs)
    html = page.render([person], [], CONFIG, page.Origin({}))
    assert html.count("<svg") == 2 + 1 + 4 * 3
    assert len(html.encode()) < 2e6 / 5


def test_whether_the_sound_is_in_step_is_told_and_drawn():
    html = make_page([make_run()])
    assert '<p class="soft">Sound and picture: in step.</p>' in html
    assert "sound delayed, ms" in html
    moved = {"verdict": "late; the sound is moved to fit", "sound_moved_ms": 120}
    html = make_page([make_run()], sync=moved | {"picture_after_sound": None})
    assert '<p class="warn">Sound and picture: late; the sound is moved to fit.</p>' in html
    assert "sound delayed, ms" not in html


def test_notes_warnings_and_refusals_are_shown():
    html = make_page(
        [make_run()], ["bad.mp4: has no audio stream"], warnings=["soft"], note="short"
    )
    for text in ("bad.mp4: has no audio stream", "Warning: soft", "short", "1 video left out"):
        assert text in html


def test_what_users_named_is_escaped():
    assert "Anna &lt;1&gt;.mp4" in make_page([make_run()])


def test_a_correlation_is_shown_with_its_interval():
    html = make_page([make_run(mouth_corr=0.59, mouth_corr_ci=[0.41, 0.713])])
    assert "0.59 (0.41 to 0.71)" in html


def test_metrics_that_no_run_has_are_only_named_with_their_reason():
    run = make_run()
    headings = [heading for heading, _, _ in page.scores([run], CONFIG["metrics"])]
    assert not any(heading.startswith("LPIPS") for heading in headings)
    assert "LPIPS: needs weights." in make_page([run])


def test_the_same_files_make_the_same_page():
    assert make_page([make_run()]) == make_page([make_run()])


def test_training_stages_follow_each_other_on_one_axis():
    x, parts = page.timeline(make_run().curves)
    assert x.tolist() == [50, 100, 150]
    assert parts == [(0.0, "adapt"), (100.0, "finetune_c2f")]


def test_a_person_without_any_render_has_no_empty_sections():
    html = make_page([])
    assert "Measured against" not in html and "<video" not in html


def test_a_chart_is_a_well_formed_part_of_the_page():
    lines = [charts.Line("a & b", np.arange(5.0), np.array([1, np.nan, 3, 4, 1e3]))]
    text = charts.chart("key", "<t>", "s", lines, 'says "so"', [(2.0, "part")], 400)
    root = ElementTree.fromstring(text.replace("xlink:", ""))
    assert root.get("aria-label") == 'says "so"' and root.get("viewBox") == "0 0 400 190"
    (curve,) = root.iterfind(".//g[@class='curve']")
    assert curve.get("data-name") == "a & b"
    path = curve.find("path").get("d")
    assert path.count("M") == 2  # lifted over the gap
    numbers = np.array(re.findall(r"([\d.]+) ([\d.]+)", path), float)
    assert (numbers >= 0).all() and (numbers <= [400, charts.HEIGHT]).all()
    words = {element.text for element in root.iter("text")}
    assert {"<t>", "s", "part"} <= words


def test_a_chart_says_where_its_axis_lies():
    x = np.array([10.0, 12.0, 20.0])
    text = charts.chart("key", "t", "s", [charts.Line("a", x, x)], "a", width=500)
    root = ElementTree.fromstring(text)
    (path,) = (group.find("path").get("d") for group in root.iterfind(".//g[@class='curve']"))
    drawn = [float(pair.split()[0]) for pair in re.findall(r"[\d.]+ [\d.]+", path)]
    left, right = float(root.get("data-left")) * 500, float(root.get("data-right")) * 500
    assert (float(root.get("data-from")), float(root.get("data-to"))) == (10, 20)
    assert drawn[0] == pytest.approx(left, abs=0.1) and drawn[-1] == pytest.approx(right, abs=0.1)
    assert left + (right - left) * 0.2 == pytest.approx(drawn[1], abs=0.1)


def test_a_chart_has_the_colours_of_the_page_and_no_id_of_another():
    line = charts.Line("a", np.arange(3.0), np.arange(3.0))
    one, other = (charts.chart(key, "t", "x", [line], "a") for key in ("one", "other"))
    assert not re.search(r"#[0-9a-f]{6}\b", one)
    used = set(re.findall(r"var\(--(\w+)\)", one))
    style = (Path(charts.__file__).with_name("report.css")).read_text()
    assert used <= set(re.findall(r"--(\w+):", style)) and "line1" in used
    ids = [set(re.findall(r'id="([^"]+)"', text)) for text in (one, other)]
    assert not ids[0] & ids[1]


@pytest.mark.parametrize("values", [[2.0, 2.0], [np.nan, np.nan]])
def test_a_flat_or_empty_line_still_has_an_axis(values):
    chart = charts.chart(
        "key", "flat", "s", [charts.Line("flat", np.arange(2.0), np.array(values))], "flat"
    )
    assert "nan" not in chart


def test_costs_are_summed_up_by_step(tmp_path):
    records = {"fit_static.10s": ("10.5", "300.0"), "fit_static.5s": ("5.5", "-")}
    records |= {"d3talker/10s/self/render": ("20.0", "100.5")}
    for name, (seconds, memory) in records.items():
        path = tmp_path / "anna" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:00\t{memory}\n")
    assert costs.of_person(tmp_path, "anna") == [
        costs.Cost("render", 1, 20.0, 20.0, 100.5),
        costs.Cost("fit_static", 2, 16.0, 10.5, 300.0),
    ]
    assert costs.of_person(tmp_path, "bea") == costs.of_all(tmp_path) == []


def test_what_is_no_record_is_named(tmp_path):
    (tmp_path / "anna").mkdir()
    (tmp_path / "anna" / "track.tsv").write_text("oops\n")
    with pytest.raises(ArtifactError, match=r"track\.tsv: not a record"):
        costs.of_person(tmp_path, "anna")

"""The report shows what it is given, and needs nothing but the files beside it."""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("jinja2")
pytest.importorskip("pandas")
pytest.importorskip("yaml")

import yaml

from d3talker.report import page, svg

PAPER = Path(__file__).resolve().parents[2] / "config" / "paper_tables.yaml"
CONFIG = yaml.safe_load(PAPER.read_text(encoding="utf-8"))


def make_run(drive="self", variant="d3talker", **values):
    missing = {"lpips": "needs weights"}
    metrics = dict.fromkeys(CONFIG["metrics"], 0.5) | values | dict.fromkeys(missing)
    metrics |= {"identity": "anna", "variant": variant, "secs": 10, "drive": drive}
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
    "picture_after_sound": {"agreement_by_lag": [0.1, 0.5, 0.2]},
}


def make_page(runs, refused=(), sync=None, **ingest):
    clip = {"identity": "anna", "source": "Anna <1>.mp4", "seconds": 6.0, "size": 512, "fps": 25}
    clip |= {"test": [100, 150], "note": None, "warnings": []} | ingest
    opening, sync = np.linspace(0, 0.2, 150), SYNC | (sync or {})
    person = page.Person(clip, opening, "anna/track.png", sync, runs)
    return page.render([person], refused, CONFIG, {"git commit": "abc"})


def test_training_time_is_told_stage_by_stage():
    assert "fit_static 1.5, adapt_face 4.0" in make_page([make_run()])


def test_videos_and_the_check_picture_are_linked_and_everything_else_is_inside():
    html = make_page([make_run(), make_run("speech")])
    addresses = re.findall(r'(?:src|href)="([^"#][^"]*)"', html)
    videos = [f"anna/d3talker/10s/{drive}/video.mp4" for drive in ("self", "speech")]
    assert addresses == ["anna/track.png", *videos]
    assert "http" not in html


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


def test_charts_are_well_formed_and_inside_their_frame():
    lines = [svg.Line("a & b", np.arange(5.0), np.array([1, np.nan, 3, 4, 1e3]))]
    root = ElementTree.fromstring(svg.chart("<t>", "s", lines, [(2.0, "part")], 400))
    path = root.find("path").get("d")
    assert path.count("M") == 2  # lifted over the gap
    numbers = np.array(re.findall(r"([\d.]+),([\d.]+)", path), float)
    assert (numbers >= 0).all() and (numbers <= [400, svg.HEIGHT]).all()


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.013, 0.021), (-3, 250_000), (31.2, 31.3)])
def test_ticks_are_round_and_cover_the_range(low, high):
    values = svg.ticks(low, high)
    assert values[0] <= low and values[-1] >= high and 3 <= len(values) <= 8
    assert {f"{value - values[0]:.1e}"[0] for value in values[1:2]} <= set("125")


@pytest.mark.parametrize("values", [[2.0, 2.0], [np.nan, np.nan]])
def test_a_flat_or_empty_line_still_has_an_axis(values):
    chart = svg.chart("flat", "s", [svg.Line("flat", np.arange(2.0), np.array(values))])
    assert "nan" not in chart

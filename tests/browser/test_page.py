"""The report in a browser: players in step, keys, charts that follow, no complaint."""

from urllib.parse import urlparse

import pytest
from conftest import focused

LAST = 74
SEVERAL = "several side by side"


def test_it_opens_from_disk_at_any_width_by_day_and_night_without_a_complaint(anywhere):
    page = anywhere.page
    page.locator("details").evaluate_all("all => all.forEach(one => (one.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") == anywhere.width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red = int(paper.removeprefix("rgb(").split(",")[0])
    assert red < 60 if anywhere.scheme == "dark" else red > 200
    assert {urlparse(url).scheme for url in anywhere.requests} <= {"file", "data"}
    anywhere.seek(20)
    assert anywhere.panel("truth") == anywhere.panel("d3talker") == 20
    assert anywhere.complaints == []


def test_tables_are_there_and_scroll_in_their_box(anywhere):
    tables = anywhere.page.locator("table")
    assert tables.count() >= 5
    assert anywhere.page.get_by_role("row", name="d3talker").count() >= 1
    for table in tables.all():
        box = table.locator("xpath=..")
        assert box.evaluate("box => getComputedStyle(box).overflowX") == "auto"


def test_every_figure_has_a_text(opened):
    for kind, attribute in (("svg", "aria-label"), ("canvas", "aria-label"), ("img", "alt")):
        texts = opened.page.locator(kind).evaluate_all(
            f"all => all.map(one => one.getAttribute('{attribute}'))"
        )
        assert texts and all(len(text or "") > 15 for text in texts), (kind, texts)
    unnamed = "all => all.filter(one => !one.labels.length && !one.ariaLabel).length"
    assert opened.page.locator("input, select").evaluate_all(unnamed) == 0


def test_by_default_one_file_shows_truth_render_and_error(opened):
    assert opened.labels() == ["truth", "d3talker", "error of d3talker"]
    assert opened.page.locator("video").count() == 1
    opened.player.get_by_role("button", name="static").click()
    opened.settle()
    assert opened.labels() == ["truth", "static", "error of static"]
    assert opened.page.locator("video").count() == 1


@pytest.mark.parametrize("frame", [LAST, 1, 37])
def test_players_side_by_side_are_in_step_after_seeking(opened, frame):
    opened.player.get_by_label(SEVERAL).check()
    opened.settle()
    opened.seek(frame)
    assert opened.page.locator("video").count() == 2
    shown = {label: opened.panel(label) for label in ("truth", "d3talker", "static")}
    assert shown == dict.fromkeys(shown, frame)


def test_keys_step_frame_by_frame(opened):
    opened.player.locator(".panels").focus()
    for key, frame in (
        ("ArrowRight", 1),
        (".", 2),
        (".", 3),
        (",", 2),
        ("ArrowLeft", 1),
        ("End", LAST),
        ("Home", 0),
        ("ArrowLeft", 0),
    ):
        opened.page.keyboard.press(key)
        opened.settle()
        assert (opened.told(), opened.panel("d3talker")) == (frame, frame), key
    opened.player.get_by_label("Next frame").click()
    opened.settle()
    assert opened.panel("truth") == 1


def test_every_control_can_be_reached_and_seen_by_keyboard(opened):
    names = ("several", "error", "panels", "play", "back", "on", "scrub", "speed", "loop", "sound")
    reached = set()
    opened.player.get_by_label(SEVERAL).focus()
    for _ in range(14):
        reached |= {focused(opened.page, "className"), focused(opened.page, "dataset.mode")}
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert opened.page.evaluate(outline) != "none"
        opened.page.keyboard.press("Tab")
    assert {"panels", "play", "back", "on", "scrub", "speed", "loop", "sound"} <= reached, names


def test_one_button_plays_all_with_one_sound_and_pauses_them_in_step(opened):
    opened.player.get_by_label(SEVERAL).check()
    opened.settle()
    opened.player.locator(".panels").focus()
    opened.page.keyboard.press("Space")
    opened.page.wait_for_function("document.querySelector('.player').player.frame > 8")
    muted = opened.page.locator("video").evaluate_all("all => all.map(one => one.muted)")
    assert sorted(muted) == [False, True]
    opened.player.get_by_role("button", name="Pause").click()
    opened.settle()
    assert opened.panel("truth") == opened.panel("static") == opened.told() > 8


def test_at_the_end_it_begins_anew_or_stops(opened):
    frame = "document.querySelector('.player').player.frame"
    opened.seek(LAST - 5)
    opened.player.locator(".play").click()
    opened.page.wait_for_function(f"{frame} > 2 && {frame} < {LAST - 10}")
    opened.player.get_by_label("loop").uncheck()
    opened.seek(LAST - 5)
    opened.player.get_by_role("button", name="Play", exact=True).wait_for()
    opened.settle()
    assert opened.told() == opened.panel("d3talker") == LAST


def test_curves_follow_the_video_and_a_click_seeks(opened):
    chart = opened.page.locator("figure.mouth svg.wide")
    assert chart.locator(".curve:not(.off)").evaluate_all(
        "all => all.map(x => x.dataset.name)"
    ) == [
        "truth",
        "d3talker",
    ]
    head = chart.locator(".playhead")
    opened.seek(0)
    first = float(head.get_attribute("x1"))
    opened.seek(LAST)
    last = float(head.get_attribute("x1"))
    box, width = chart.bounding_box(), chart.evaluate("one => one.viewBox.baseVal.width")
    middle = box["x"] + (first + last) / 2 / width * box["width"]
    opened.page.mouse.click(middle, box["y"] + box["height"] / 2)
    opened.settle()
    assert abs(opened.panel("d3talker") - LAST / 2) <= 1


def test_what_another_voice_drives_has_a_player_of_its_own(opened):
    opened.page.get_by_text("Driven by another voice: speech").click()
    other = opened.page.locator(".player").nth(1)
    other.scroll_into_view_if_needed()
    other.locator("canvas").wait_for()
    assert other.locator(".panels figcaption").all_inner_texts() == ["d3talker"]

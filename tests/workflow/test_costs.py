"""What jobs ask for, and what a dry run says they cost."""

import json
import logging
import re

import pytest

pytest.importorskip("snakemake")

from workflow import configuration, costs, estimate


@pytest.fixture
def config(tmp_path):
    return configuration.load([], {}) | {"results": str(tmp_path)}


def asked(config, rule, attempt=1, threads=1, **wildcards):
    resources = costs.Costs(config, ["carl"], ["carl"]).resources(rule)
    return (
        resources["mem_mb"](wildcards, attempt),
        resources["runtime"](wildcards, threads, attempt),
        resources["disk_mb"](wildcards),
    )


def cut(config, name, seconds):
    folder = costs.Path(config["results"], name)
    folder.mkdir(exist_ok=True)
    (folder / "ingest.json").write_text(json.dumps({"seconds": seconds}))


# Of benchmarks of full runs: seconds of the clip, CPU seconds, MB.
MEASURED = [
    ("landmarks", {"id": "x"}, 71, 21, 222),
    ("parse", {"id": "x"}, 71, 78, 466),
    ("track", {"id": "x"}, 71, 20, 323),
    ("motion_tracked", {"id": "x"}, 71, 12, 534),
    ("motion_tracked", {"id": "x"}, 17, 6, 403),
    ("fit_static", {"id": "x", "span": "10s"}, 71, 166, 1565),
    ("fit_static", {"id": "x", "span": "all"}, 17, 130, 2197),
    ("adapt", {"id": "x", "avatar": "d3talker", "secs": "10"}, 71, 450, 1780),
    ("finetune_c2f", {"id": "x", "avatar": "d3talker", "secs": "10"}, 71, 245, 2081),
    ("render", {"id": "x", "secs": "10"}, 71, 28, 2667),
]


@pytest.mark.parametrize(("rule", "wildcards", "clip", "seconds", "megabytes"), MEASURED)
def test_a_job_is_given_more_than_it_took(config, rule, wildcards, clip, seconds, megabytes):
    cut(config, "x", clip)
    work = costs.Costs(config, [], []).work(rule, wildcards)
    assert seconds / 2 < work.cpu_seconds < 2 * seconds
    mem_mb, runtime, _ = asked(config, rule, **wildcards)
    assert megabytes + 300 < mem_mb < 3 * megabytes + 700
    assert 2 * seconds < 60 * runtime


def test_the_next_attempt_has_more_memory_and_time(config):
    first, second = (
        asked(config, "adapt", n, id="x", avatar="d3talker", secs="10") for n in (1, 2)
    )
    assert second[0] == 2 * first[0] and second[1] == 2 * first[1]


def test_a_longer_clip_asks_for_more(config):
    cut(config, "short", 20)
    cut(config, "long", 600)
    short, long = (asked(config, "parse", id=name) for name in ("short", "long"))
    assert all(more > less for more, less in zip(long, short, strict=True))
    assert asked(config, "parse", id="unknown") == asked(config | {"seed": 1}, "parse", id="other")


def test_the_schedule_of_the_paper_takes_longer(config):
    wildcards = {"id": "x", "avatar": "d3talker", "secs": "10"}
    quick = costs.Costs(config, [], []).work("adapt", wildcards)
    paper = costs.Costs(config | {"preset": "paper"}, [], []).work("adapt", wildcards)
    assert paper.cpu_seconds > 5 * quick.cpu_seconds


def test_training_asks_for_a_gpu_where_a_backend_needs_one(config):
    config |= {"backends": {"rasterizer": "gsplat", "encoding": "torch"}}
    chosen = costs.Costs(config, [], [])
    assert chosen.resources("adapt")["gres"] == chosen.resources("render")["gres"] == "gpu:1"
    assert "gres" not in chosen.resources("evaluate")
    work = chosen.work("adapt", {"id": "x", "avatar": "d3talker", "secs": "10"})
    assert work.gpu_seconds > 60
    assert "gres" not in costs.Costs(config | {"backends": {}}, [], []).resources("adapt")


def test_every_rule_that_does_work_has_a_cost():
    rules = "".join(path.read_text() for path in (configuration.HERE / "rules").glob("*.smk"))
    named = set(re.findall(r'\*\*needs\("(\w+)"\)', rules))
    assert len(named) > 20
    assert {costs.canonical(rule) for rule in named} == set(costs.COSTS)
    described = re.findall(r"(?m)^ *rule (\w+):\n((?:.*\n)*?)(?=^\S|^ *rule |\Z)", rules)
    working = [rule for rule, text in described if "shell:" in text]
    assert sorted(set(working) - named) == []
    for rule, text in described:
        if "shell:" in text:
            assert all(f"    {word}:" in text for word in ("threads", "resources", "container")), (
                rule
            )


def test_a_dry_run_says_how_many_jobs_and_hours(config):
    tally = estimate.Tally(costs.Costs(config, [], []))
    for rule in ("adapt", "adapt", "adapt", "all"):
        wildcards = {"id": "x", "avatar": "d3talker", "secs": "10"}
        fields = {"event": "job_info", "rule_name": rule, "wildcards": wildcards}
        tally.emit(logging.makeLogRecord({"msg": "", **fields}))
    hours = 3 * (15 + 0.145 * 3000) / 3600
    assert tally.closing_words().startswith(f"dry run: 3 jobs, about {hours:.1f} CPU hours, ")

"""The table of what can run here and what cannot."""

import re
import sys

import pytest

pytest.importorskip("snakemake")

from d3talker.backends import BACKENDS, TRAINING, Backend, Package, default
from d3talker.metrics.weights import catalogue
from workflow import configuration, doctor


@pytest.fixture
def config(tmp_path):
    config = configuration.load([], {})
    config["models"]["folder"] = str(tmp_path / "models")
    return config | {"videos": str(tmp_path / "none"), "results": str(tmp_path / "results")}


@pytest.fixture
def envs(tmp_path, monkeypatch):
    """Environments whose Python is that of the workflow."""
    for name in ("workflow", "media", "torch"):
        python = tmp_path / "envs" / name / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
    monkeypatch.setattr(doctor, "ENVS", tmp_path / "envs")
    monkeypatch.setattr(doctor, "of_ffmpeg", lambda: doctor.Line(doctor.OK, "ffmpeg", "7"))
    monkeypatch.setattr(doctor, "memory_mb", lambda: 16_000.0)
    monkeypatch.setattr(doctor, "gpus", lambda: [])
    return tmp_path / "envs"


def table(config, capsys):
    """The status and the words of the table, each row on one line."""
    status = doctor.report(config)
    return status, re.sub(r"\n {8,}(?! )", " ", capsys.readouterr().out)


def test_the_default_can_run_and_needs_no_video(config, envs, capsys):
    status, words = table(config, capsys)
    assert status == 0 and "all that is chosen can run" in words and "NO" not in words
    assert re.search(r"ok +rasterizer +cpu \(default\)", words)
    for key in catalogue():
        assert f"+   {key}" in words
    assert "results of one person" in words


def test_every_backend_is_listed_with_what_it_lacks(config, envs, capsys):
    config["backends"]["rasterizer"] = "gsplat"
    status, words = table(config, capsys)
    assert status == 1
    assert re.search(r"NO +rasterizer +gsplat: .*`make gpu`.*Apache-2\.0", words)
    assert re.search(r"NO +gpu +not there: `make gpu`", words)
    assert re.search(r"NO +GPU +none", words)
    assert re.search(r"\+ +reference: ", words) and re.search(r"- +tinycudann: .*BSD-3", words)
    for known in BACKENDS.values():
        assert all(f" {name}" in words for name in known)


def test_packages_weights_and_other_keys_of_a_backend_are_looked_for(
    config, envs, capsys, monkeypatch
):
    needy = Backend(
        "needs much",
        packages=(Package("no_such_package", "example.com (MIT)"),),
        models=("fan", "s3fd"),
        keys=("openface",),
    )
    monkeypatch.setattr(doctor.environments, "_ask", lambda *_: "")
    monkeypatch.setitem(BACKENDS["encoding"], "needy", needy)
    config["models"]["s3fd"] = "fetch"
    status, words = table(config, capsys)
    assert status == 0
    assert re.search(r"- +needy: needs much; models\.fan is null.*`openface` is null", words)
    assert re.search(r"ok +s3fd +will be fetched from https://www\.adrianbulat", words)
    config["backends"]["encoding"] = "needy"
    status, words = table(config, capsys)
    assert status == 1
    assert re.search(
        r"NO +fan +null, but backends\.encoding: needy needs it\. Say models\.fan", words
    )


def test_what_an_environment_says_of_its_packages_is_told(config, envs, capsys, monkeypatch):
    lacking = Backend("lacks it", packages=(Package("no_such_package", "example.com (MIT)"),))
    monkeypatch.setitem(BACKENDS["encoding"], "lacking", lacking)
    said = "backends.encoding: 'lacking' cannot run: the package no_such_package is not installed"
    monkeypatch.setattr(doctor.environments, "_ask", lambda *_: said)
    _, words = table(config, capsys)
    assert re.search(r"- +lacking: lacks it; the package no_such_package is not installed", words)
    assert re.search(r"\+ +reference: ", words)
    monkeypatch.setattr(doctor.environments, "_ask", lambda *_: "Traceback\nImportError: numpy")
    status, words = table(config, capsys)
    assert status == 1 and re.search(r"NO +rasterizer +cpu .*; ImportError: numpy", words)


def test_too_little_memory_or_disk_is_a_reason(config, envs, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "memory_mb", lambda: 2000.0)
    usage = type("Usage", (), {"free": 10_000_000})
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    status, words = table(config, capsys)
    assert status == 1 and "2 of the above have to be mended" in words
    assert re.search(r"NO +memory +2\.0 GB; the largest job, \w+, takes about 2\.\d GB", words)
    assert re.search(r"NO +disk +0\.0 GB free", words)


def test_more_training_lengths_and_longer_ones_need_more(config):
    alone = doctor.disk_mb(config)
    assert doctor.disk_mb(config | {"secs": [5, 10]}) > alone > 100
    assert doctor.largest_job(config)[1] < doctor.largest_job(config | {"secs": [20]})[1]


def test_a_base_that_does_not_fit_is_told(config, envs, capsys):
    config["refiner"] = "paper"
    status, words = table(config, capsys)
    assert status == 1 and re.search(r"NO +pretrain\.base +refiner: paper: ", words)


def test_the_papers_parts_are_listed_with_all_that_they_lack(envs, tmp_path, capsys):
    parts = configuration.HERE.parent / "config" / "paper_parts.yaml"
    config = configuration.load([parts], {"videos": str(tmp_path), "results": str(tmp_path)})
    configuration.check(config)
    of_parts = [key for key in BACKENDS if key not in TRAINING]
    assert all(config["backends"][key] not in (None, default(key)) for key in of_parts)
    for key, value in config["models"].items():
        if value and value != "fetch" and key != "folder":
            config["models"][key] = str(tmp_path / value)
    config["models"]["folder"] = str(tmp_path / "models")
    status, words = table(config, capsys)
    assert status == 1 and re.search(r"NO +folders +openface: there is no folder", words)
    assert re.search(r"NO +audio_to_motion +real3dportrait: .*`make speech`", words)
    assert re.search(r"ok +parsing +bisenet: ", words)
    assert re.search(r"ok +teeth +easyportrait: .*; with parsing: bisenet", words)
    assert re.search(r"NO +bfm +models\.bfm: there is no file .*convert_bfm", words)
    assert re.search(r"NO +sapiens_depth +models\.sapiens_depth: there is no file", words)
    assert re.search(r"NO +aus +openface: .*; openface: there is no folder", words)
    assert re.search(r"ok +deepspeech_pytorch +will be fetched from .*unknown size", words)

"""What runs on a cluster call their jobs, and which jobs of a killed run they cancel."""

import os
import subprocess

import pytest

from workflow import cluster


def test_a_run_here_uses_cores_and_one_on_a_cluster_does_not(tmp_path):
    here = cluster.profile_arguments(cluster.HERE, tmp_path, "4")
    assert here[-2:] == ["--cores", "4"] and "slurm" not in " ".join(here)
    there = cluster.profile_arguments("slurm", tmp_path, "4")
    assert "--cores" not in there
    assert there[there.index("--slurm-logdir") + 1] == str(tmp_path / "logs" / "slurm")


def test_jobs_of_other_results_have_other_names(tmp_path):
    first, second = (cluster.job_prefix(tmp_path / name) for name in ("results", "other"))
    assert first != second and first.startswith("d3talker-")
    assert cluster.job_prefix(tmp_path / "other" / ".." / "results") == first


@pytest.mark.parametrize("profile", ["slurm", "gpu"])
def test_a_profile_is_what_its_file_says(profile):
    yaml = pytest.importorskip("yaml")
    text = (cluster.PROFILES / profile / "config.yaml").read_text()
    settings = yaml.safe_load(text)
    assert settings["default-resources"]["slurm_partition"] == "main"
    assert settings["retries"] == 3 and settings["slurm-status-command"] == "squeue"
    given = settings.get("set-resources", {})
    assert set(given) == ({"adapt", "render", *given} if profile == "gpu" else set())
    assert all(what == {"slurm_partition": "gpu"} for what in given.values())


def test_jobs_that_a_killed_run_left_are_cancelled(tmp_path, monkeypatch, capsys):
    mine = cluster.job_prefix(tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    squeue = f"echo 7 {mine}_abc; echo 8 {mine}_abc; echo 9 d3talker-00000000_abc; echo 10 bash"
    for name, text in {"squeue": squeue, "scancel": f'echo "$@" > {tmp_path}/cancelled'}.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    cluster.cancel_leftovers(tmp_path)
    assert (tmp_path / "cancelled").read_text() == "7 8\n"
    assert "cancelled: 2 jobs" in capsys.readouterr().out


def test_without_slurm_there_is_nothing_to_cancel(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: pytest.fail("called"))
    cluster.cancel_leftovers(tmp_path)


@pytest.mark.parametrize(("folder", "scratch"), [("/scratch/7", "/scratch/7"), ("/tmp", None)])
def test_artifacts_grow_where_the_cluster_says(monkeypatch, folder, scratch):
    monkeypatch.setenv("D3TALKER_SCRATCH", "")
    monkeypatch.delenv("D3TALKER_SCRATCH")
    monkeypatch.setenv("TMPDIR", folder)
    cluster.use_scratch()
    assert os.environ.get("D3TALKER_SCRATCH") == scratch

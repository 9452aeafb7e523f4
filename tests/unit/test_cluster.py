"""What runs on a cluster call their jobs, and which jobs of a killed run they cancel."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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


# Stands for the Snakemake of a job, with its own handler for SIGTERM: it runs a shell, which runs a
# stage that has a state to write, and one that has none.
JOB = """
import signal, subprocess, sys
from workflow import cluster
cluster.pass_on_signals()
signal.signal(signal.SIGTERM, lambda number, frame: None)
stage = "import pathlib, signal, sys, time\\n"
stage += "def stop(number, frame): sys.exit(128 + number)\\n"
stage += "{handlers}\\n"
stage += "pathlib.Path(sys.argv[1]).touch(); time.sleep(60 if {listens} else 0.3)"
shell = "trap : TERM USR1; " + sys.executable + ' -c "$0" "$1" || exit $?'
sys.exit(subprocess.run(["bash", "-c", shell, stage, sys.argv[1]]).returncode)
"""
HANDLERS = "signal.signal(signal.SIGTERM, stop); signal.signal(signal.SIGUSR1, stop)"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize("listens", [True, False])
def test_a_signal_to_the_snakemake_of_a_job_reaches_stages_that_listen(tmp_path, number, listens):
    job = JOB.format(handlers=HANDLERS if listens else "pass", listens=listens)
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen([sys.executable, "-c", job, tmp_path / "runs"], cwd=root)
    for _ in range(600):
        if (tmp_path / "runs").exists():
            break
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(timeout=30) == (128 + number if listens else 0)

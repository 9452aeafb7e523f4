"""A real person through real stages: on this machine, in images, and in images on SLURM."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from workflow import base

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("workflow", "config", "d3talker", "resources", "stages", "containers", "envs")
VARIANTS = ("d3talker", "static")
# What differs from run to run, and from the Python of one environment to that of another.
OF_THE_RUN = ("fps", "fps_coarse", "train_seconds", "train_seconds_by_stage", "versions")
# Rules that a cluster does not see.
LOCAL = {"all", "tables", "report", "ingest_audio", "speech_of_audio"}
QUICK = "--slurm-init-seconds-before-status-checks 3 --seconds-between-status-checks 2"
QUICK += " --max-status-checks-per-second 5 --latency-wait 10 --slurm-keep-successful-logs"


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> tuple[Path, Path]:
    """A folder with one video of five seconds, and a configuration as small as tiny.yaml."""
    folder = tmp_path_factory.mktemp("demo")
    media = ROOT / ".envs" / "media" / "bin" / "python"
    command = [media, ROOT / "stages" / "make_demo_people.py", "--out", folder / "videos"]
    subprocess.run([*command, "--size", "192", "--seconds", "5", "--people", "1"], check=True)
    config = yaml.safe_load((ROOT / "tests" / "workflow" / "tiny.yaml").read_text())
    for stage in base.STAGES:
        del config["train"][stage]
    # torch's convolutions may differ in the last bit with the number of threads.
    config |= {"pretrain": {"base": "resources"}, "threads": 1, "variants": list(VARIANTS)}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder / "videos", folder / "config.yaml"


def run(demo, folder: Path, *arguments: str, environments: bool) -> Path:
    """Run a copy of the project in `folder`; without `environments` only images can run a stage."""
    for name in FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__", "*.sif")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "Snakefile", folder)
    for image in (ROOT / "containers").glob("*.sif"):
        os.symlink(image, folder / "containers" / image.name)
    if environments:
        os.symlink(ROOT / ".envs", folder / ".envs")
    videos, config = demo
    command = [sys.executable, folder / "workflow" / "run.py", "--videos", videos]
    command += ["--configfile", config, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return folder / "results"


def scores(results: Path) -> dict[str, dict]:
    """metrics.json of every variant, without what differs from run to run."""
    found = {}
    for path in results.glob("*/*/3s/self/metrics.json"):
        metrics = json.loads(path.read_text())
        found[path.parts[-4]] = {k: v for k, v in metrics.items() if k not in OF_THE_RUN}
    assert set(found) == set(VARIANTS)
    return found


@pytest.fixture(scope="module")
def here(demo, slurm, tmp_path_factory) -> Path:
    """Results of the run on this machine."""
    return run(demo, tmp_path_factory.mktemp("here") / "project", environments=True)


def test_images_give_the_same_scores(demo, here, images, tmp_path):
    results = run(demo, tmp_path / "project", "--args=--sdm apptainer", environments=False)
    assert scores(results) == scores(here)


def test_slurm_and_images_give_the_same_scores(demo, here, images, slurm, tmp_path):
    arguments = ("--profile", "slurm", f"--args=--sdm apptainer {QUICK}")
    results = run(demo, tmp_path / "project", *arguments, environments=False)
    assert scores(results) == scores(here)

    ran = rules_in_jobs(results / "logs" / "slurm", slurm / "log" / "jobs.txt")
    assert ran >= {"ingest", "landmarks", "parse", "track", "fit_static", "refine_pose", "adapt"}
    assert ran >= {"finetune_c2f", "render", "compare", "landmarks_render", "evaluate", "sync"}
    assert not ran & LOCAL


def rules_in_jobs(logs: Path, ended: Path) -> set[str]:
    """Rules that ran in SLURM jobs, each of which has activated an image for each of them."""
    completed = re.findall(r"JobId=(\d+) .*JobState=COMPLETED", ended.read_text())
    rules = set()
    for log in logs.rglob("*.log"):
        assert log.stem in completed, f"job {log.stem} is not one that SLURM has completed"
        text = log.read_text()
        asked = re.search(r"--target-jobs (.+?) --allowed-rules", text)[1].split()
        ran = {target.split(":")[0] for target in asked}
        assert text.count("Activating singularity image") >= len(asked) > 0, text[-3000:]
        rules |= ran
    return rules


def test_an_image_runs_as_anybody_read_only_and_without_network(images):
    for name in ("workflow", "media", "torch"):
        program = "import numpy, sys\n"
        program += "open('/opt/env/x', 'w') if sys.argv[1:] else print(numpy.__version__)"
        command = ["unshare", "--net", "apptainer", "exec", "--containall"]
        command += [images / f"{name}.sif", "python", "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        pins = (ROOT / "envs" / f"{name}.txt").read_text()
        assert f"numpy=={done.stdout.strip()} " in pins
        done = subprocess.run([*command, "write"], capture_output=True, text=True, check=False)
        assert "Read-only file system" in done.stderr
        find = ["find", "/opt/env", "!", "-type", "l", "!", "-perm", "-o=r"]
        command = ["apptainer", "exec", images / f"{name}.sif", *find]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert not done.stdout, "files that only root may read"

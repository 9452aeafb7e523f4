"""A person through real stages: on this machine, in images, and in images on SLURM; a training that
SLURM ends at its time limit.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from checkouts import ROOT, jobs
from test_jobs import QUICK, ended

from workflow import base

FOLDERS = ("workflow", "config", "d3talker", "resources", "stages", "containers", "envs")
VARIANTS = ("d3talker", "static")
# What differs from run to run, and from the Python of one environment to that of another.
OF_THE_RUN = ("fps", "fps_coarse", "train_seconds", "train_seconds_by_stage", "versions")
# Rules that a cluster does not see.
LOCAL = {"tables", "report"}
# A training that takes so long has to be ended and sent again where SLURM counts in minutes.
LONG_SECONDS = 110


class Demo(NamedTuple):
    """A copy of the project with one video of five seconds, and a configuration like tiny.yaml."""

    root: Path
    config: dict

    @property
    def name(self) -> str:
        return next((self.root / "videos").glob("*.mp4")).stem

    def run(self, results: str, *arguments: str, environments: bool = False) -> str:
        """Run it; without `environments` only images can run a stage. What it said."""
        link = self.root / ".envs"
        link.unlink(missing_ok=True)
        if environments:
            link.symlink_to(ROOT / ".envs")
        (self.root / "demo.yaml").write_text(yaml.safe_dump(self.config | {"results": results}))
        command = [sys.executable, self.root / "workflow" / "run.py"]
        command += ["--configfile", self.root / "demo.yaml", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
        return done.stdout + done.stderr

    def scores(self, results: str) -> dict[str, dict]:
        """metrics.json of every variant, without what differs from run to run."""
        found = {}
        for path in (self.root / results).glob("*/*/3s/self/metrics.json"):
            metrics = json.loads(path.read_text())
            found[path.parts[-4]] = {k: v for k, v in metrics.items() if k not in OF_THE_RUN}
        assert set(found) == set(VARIANTS)
        return found


@pytest.fixture(scope="module")
def demo(slurm, tmp_path_factory) -> Demo:
    root = tmp_path_factory.mktemp("demo") / "project"
    for name in FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__", "*.sif")
        shutil.copytree(ROOT / name, root / name, ignore=ignored)
    shutil.copy(ROOT / "Snakefile", root)
    media = ROOT / ".envs" / "media" / "bin" / "python"
    command = [media, ROOT / "stages" / "make_demo_people.py", "--out", root / "videos"]
    subprocess.run([*command, "--size", "192", "--seconds", "5", "--people", "1"], check=True)
    config = yaml.safe_load((ROOT / "tests" / "workflow" / "tiny.yaml").read_text())
    for stage in base.STAGES:
        del config["train"][stage]
    # torch's convolutions may differ in the last bit with the number of threads.
    config |= {"pretrain": {"base": "resources"}, "threads": 1, "variants": list(VARIANTS)}
    # Kernels are compiled once, in a folder that images see too.
    os.environ.pop("NUMBA_CACHE_DIR", None)
    return Demo(root, config)


@pytest.fixture(scope="module")
def here(demo) -> str:
    """What the run on this machine said, in its environments; its results are in `here`."""
    return demo.run("here", environments=True)


@pytest.fixture(scope="module")
def in_images(demo, here, images) -> str:
    """The same in images, with the results `images`."""
    for image in images.glob("*.sif"):
        (demo.root / "containers" / image.name).symlink_to(image)
    return demo.run("images", "--args=--sdm apptainer")


@pytest.fixture(scope="module")
def on_slurm(demo, in_images) -> str:
    """The same on SLURM in images, with the results `slurm`."""
    return demo.run("slurm", "--profile", "slurm", f"--args=--sdm apptainer {QUICK}")


def test_images_give_the_same_scores(demo, here, in_images):
    assert demo.scores("images") == demo.scores("here")


def test_slurm_and_images_give_the_same_scores(demo, here, on_slurm):
    assert demo.scores("slurm") == demo.scores("here")


def test_every_stage_ran_in_a_job_of_slurm_and_in_an_image(demo, here, on_slurm, slurm):
    ran = rules_in_jobs(demo.root / "slurm" / "logs" / "slurm", slurm)
    assert ran == set(jobs(here)) - LOCAL
    assert ran > {"ingest", "track", "fit_static", "adapt", "finetune_c2f", "render", "evaluate"}


def rules_in_jobs(logs: Path, slurm: Path) -> set[str]:
    """Rules that ran in SLURM jobs, each of which has activated an image for each of them."""
    rules = set()
    for log in logs.rglob("*.log"):
        assert ended(slurm, log.stem)["JobState"] == "COMPLETED"
        text = log.read_text()
        asked = re.search(r"--target-jobs (.+?) --allowed-rules", text)[1].split()
        images = re.findall(r"Activating singularity image containers/(\w+)\.sif", text)
        assert len(images) >= len(asked) > 0, text[-3000:]
        rules |= {target.split(":")[0].strip("'") for target in asked}
    return rules


def test_a_training_that_slurm_ends_at_its_time_limit_goes_on_where_it_was(demo, on_slurm, slurm):
    head = demo.root / "slurm" / demo.name / "static" / "3s.safetensors"
    settings = demo.config["train"]["fit_static"]
    measured = demo.root / "slurm" / demo.name / "static" / "3s" / "self" / "metrics.json"
    seconds = json.loads(measured.read_text())["train_seconds_by_stage"]["fit_static"]
    settings = settings | {"iterations": int(LONG_SECONDS * settings["iterations"] / seconds)}
    longer = Demo(
        demo.root, demo.config | {"train": demo.config["train"] | {"fit_static": settings}}
    )
    folder = demo.root / "slurm" / "logs" / "slurm"
    before = set(folder.rglob("*.log"))
    arguments = f"--args=--sdm apptainer --set-resources fit_static:runtime=attempt {QUICK}"
    target = str(head.relative_to(demo.root))
    longer.run("slurm", "--profile", "slurm", "--target", target, arguments)

    first, second, *_ = sorted(set(folder.rglob("*.log")) - before, key=lambda log: int(log.stem))
    assert ended(slurm, first.stem)["JobState"] == "TIMEOUT"
    stopped = re.search(r"stopped by SIGTERM after iteration (\d+)", first.read_text())
    assert stopped, first.read_text()[-3000:]
    resumed = re.search(r"goes on after iteration (\d+)", second.read_text())
    assert int(resumed[1]) == int(stopped[1]) > 0
    with head.with_suffix(".curves.csv").open() as file:
        assert int(list(csv.DictReader(file))[-1]["iteration"]) == settings["iterations"]


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

"""A person through real stages: on this machine, in images, and in images on SLURM; a training that
SLURM ends at its time limit.
"""

import csv
import json
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

VARIANTS = ("d3talker", "static")
# What differs from run to run, and from the Python of one environment to that of another.
OF_THE_RUN = ("fps", "fps_coarse", "train_seconds", "train_seconds_by_stage", "versions")
# Rules that a cluster does not see.
LOCAL = {"tables", "report"}
# In the checkout, as a person has it: images see it, and kernels that are compiled stay so.
FOLDER = ROOT / ".cache" / "cluster"
# Enough of them to tell how long one takes, and how long a training takes that SLURM ends once or
# twice, which counts in minutes.
ITERATIONS, LONG_SECONDS = 300, 150


class Demo(NamedTuple):
    """A person who talks for five seconds, and a configuration as small as tiny.yaml."""

    name: str
    config: dict

    def run(self, results: str, *arguments: str) -> str:
        """What a run said whose results are in the folder of that name."""
        config = FOLDER / f"{results}.yaml"
        config.write_text(yaml.safe_dump(self.config | {"results": self.results(results)}))
        command = [sys.executable, ROOT / "workflow" / "run.py"]
        command += ["--videos", FOLDER / "videos", "--configfile", config, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
        return done.stdout + done.stderr

    def results(self, name: str) -> str:
        return str((FOLDER / name).relative_to(ROOT))

    def scores(self, results: str) -> dict[str, dict]:
        """metrics.json of every variant, without what differs from run to run."""
        found = {}
        for path in (FOLDER / results).glob("*/*/3s/self/metrics.json"):
            metrics = json.loads(path.read_text())
            found[path.parts[-4]] = {k: v for k, v in metrics.items() if k not in OF_THE_RUN}
        assert set(found) == set(VARIANTS)
        return found


@pytest.fixture(scope="module")
def demo(slurm) -> Demo:
    shutil.rmtree(FOLDER, ignore_errors=True)
    media = ROOT / ".envs" / "media" / "bin" / "python"
    command = [media, ROOT / "stages" / "make_demo_people.py", "--out", FOLDER / "videos"]
    subprocess.run([*command, "--size", "192", "--seconds", "5", "--people", "1"], check=True)
    (video,) = (FOLDER / "videos").glob("*.mp4")
    config = yaml.safe_load((ROOT / "tests" / "workflow" / "tiny.yaml").read_text())
    for stage in base.STAGES:
        del config["train"][stage]
    # torch's convolutions may differ in the last bit with the number of threads.
    config["train"]["fit_static"]["iterations"] = ITERATIONS
    config |= {"pretrain": {"base": "resources"}, "threads": 1, "variants": list(VARIANTS)}
    return Demo(video.stem, config)


@pytest.fixture(scope="module")
def here(demo) -> str:
    """What the run on this machine said, in its environments; its results are in `here`."""
    return demo.run("here")


@pytest.fixture(scope="module")
def on_slurm(demo, here, images) -> str:
    """The same on SLURM in images, with the results `slurm`."""
    return demo.run("slurm", "--profile", "slurm", f"--args=--sdm apptainer {QUICK}")


def test_images_give_the_same_scores(demo, here, images):
    demo.run("images", "--args=--sdm apptainer")
    assert demo.scores("images") == demo.scores("here")


def test_slurm_and_images_give_the_same_scores(demo, here, on_slurm):
    assert demo.scores("slurm") == demo.scores("here")


def test_every_stage_ran_in_a_job_of_slurm_and_in_an_image(demo, here, on_slurm, slurm):
    ran = rules_in_jobs(FOLDER / "slurm" / "logs" / "slurm", slurm)
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
    head = FOLDER / "slurm" / demo.name / "static" / "3s.safetensors"
    settings = demo.config["train"]["fit_static"]
    measured = FOLDER / "slurm" / demo.name / "static" / "3s" / "self" / "metrics.json"
    seconds = json.loads(measured.read_text())["train_seconds_by_stage"]["fit_static"]
    # Nothing is written at intervals: what it goes on from, it wrote when SLURM's signal came.
    iterations = int(LONG_SECONDS * ITERATIONS / seconds)
    settings = settings | {"iterations": iterations, "checkpoint_every": 0}
    train = demo.config["train"] | {"fit_static": settings}
    longer = Demo(demo.name, demo.config | {"train": train})
    folder = FOLDER / "slurm" / "logs" / "slurm"
    before = set(folder.rglob("*.log"))
    arguments = f"--args=--sdm apptainer --set-resources fit_static:runtime=attempt {QUICK}"
    target = str(head.relative_to(ROOT))
    longer.run("slurm", "--profile", "slurm", "--target", target, arguments)

    first, second, *_ = sorted(set(folder.rglob("*.log")) - before, key=lambda log: int(log.stem))
    assert ended(slurm, first.stem)["JobState"] == "TIMEOUT"
    resumed = re.search(r"goes on after iteration (\d+)", second.read_text())
    assert resumed and int(resumed[1]) > 0, second.read_text()[-3000:]
    with head.with_suffix(".curves.csv").open() as file:
        assert int(list(csv.DictReader(file))[-1]["iteration"]) == iterations


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

"""What becomes of jobs on a cluster: too little memory, a GPU, cancelled, killed.

The stages are stand-ins that write empty files and where they ran; rules, profiles, Snakemake,
SLURM and its limits are the real ones.
"""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from checkouts import ROOT, Checkout, Run, jobs, make_checkout

# A stage that does as the file `behaviour` says of its name and person: waits, or takes memory.
STAGE = """
import json, os, pathlib, sys, time
sys.path.insert(0, os.getcwd())
name, words = pathlib.Path(sys.argv[0]).stem, sys.argv[1:]
given = dict(zip(words, words[1:]))
outs = [value for option, value in given.items() if option.startswith("--out")]
behaviour = json.loads(pathlib.Path("behaviour").read_text())
behaves = {}
for key, how in behaviour.items():
    stage, person = key.split()
    if stage == name and person in outs[0]:
        behaves = how
try:
    open("/dev/fakegpu0").close()
except OSError as error:
    device = error.strerror
record = {key: os.environ.get(key) for key in
          ("SLURM_JOB_ID", "SLURM_JOB_PARTITION", "CUDA_VISIBLE_DEVICES")}
record |= {"stage": name, "out": outs[0], "device": device}
with open("records", "a") as file:
    file.write(json.dumps(record) + chr(10))
if "hang" in behaves:
    pathlib.Path("hanging").write_text(os.environ["SLURM_JOB_ID"])
    time.sleep(600)
held = bytearray(behaves.get("megabytes", 1) * 1000000)
held[::4096] = b"x" * len(held[::4096])
for out in outs:
    pathlib.Path(out).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(out).write_text(" ".join(words))
if name == "ingest":
    clip = {"frames": 1779, "test": [1479, 1779]}
    pathlib.Path(given["--out-json"]).write_text(json.dumps(clip))
"""

# As fast as a small SLURM allows.
QUICK = "--slurm-init-seconds-before-status-checks 3 --seconds-between-status-checks 2"
QUICK += " --max-status-checks-per-second 5 --latency-wait 10 --slurm-keep-successful-logs"


class ClusterCheckout(Checkout):
    """A checkout whose runs go to SLURM."""

    def behave(self, **how: dict) -> None:
        """What single stages do, by name and person: behave(track_anna={"hang": True})."""
        behaviour = {key.replace("__", " "): value for key, value in how.items()}
        (self.root / "behaviour").write_text(json.dumps(behaviour))

    def start_on(self, profile: str, target: str, arguments: str = "") -> Run:
        return self.start("--profile", profile, "--target", target, f"--args={QUICK} {arguments}")

    def run_on(self, profile: str, target: str, arguments: str = "") -> tuple[int, str]:
        process = self.start_on(profile, target, arguments)
        return process.wait(), process.output()

    def records(self, stage: str = "") -> list[dict]:
        """Where stages ran, in the order of their starts."""
        lines = (self.root / "records").read_text().splitlines()
        return [record for line in lines if stage in (record := json.loads(line))["stage"]]


def make(folder: Path) -> ClusterCheckout:
    """anna alone, and a base to start from."""
    root = make_checkout(folder / "project", base="resources").root
    for stage in (root / "stages").iterdir():
        stage.write_text(STAGE)
    checkout = ClusterCheckout(root)
    checkout.behave()
    return checkout


@pytest.fixture
def checkout(tmp_path: Path, slurm: Path) -> ClusterCheckout:
    return make(tmp_path)


def ended(slurm: Path, job: str) -> dict[str, str]:
    """What SLURM has written about a job that ended."""
    for _ in range(300):
        for line in (slurm / "log" / "jobs.txt").read_text().splitlines():
            fields = dict(re.findall(r"(\w+)=(\S*)", line))
            if fields["JobId"] == job:
                return fields
        time.sleep(0.1)
    pytest.fail(f"SLURM knows of no end of job {job}")


def memory(job: dict[str, str]) -> float:
    """GB that a job was given."""
    number, unit = re.search(r"mem=([\d.]+)([MG])", job["Tres"]).groups()
    return float(number) / (1024 if unit == "M" else 1)


def static(name: str) -> str:
    return f"results/{name}/static/10s.safetensors"


@pytest.fixture(scope="module")
def trained(slurm: Path, tmp_path_factory) -> dict[str, ClusterCheckout]:
    """Static heads by two runs at the same time: `memory`, where it takes more than the first
    attempt may have, and `gpu`, with the profile of that name.
    """
    checkouts = {name: make(tmp_path_factory.mktemp(name)) for name in ("memory", "gpu")}
    checkouts["memory"].behave(fit_static__anna={"megabytes": 3200})
    give_gpu(checkouts["gpu"].root)
    backends = "--config 'backends={rasterizer: gsplat, encoding: torch}'"
    runs = [
        checkouts["memory"].start_on("slurm", static("anna"), "--config size=128"),
        checkouts["gpu"].start_on("gpu", static("anna"), backends),
    ]
    for run in runs:
        assert run.wait() == 0, run.output()[-6000:]
    return checkouts


def test_a_job_without_enough_memory_is_sent_again_with_more_and_passes(trained, slurm):
    first, *_, last = trained["memory"].records("fit_static")
    failed, passed = (ended(slurm, record["SLURM_JOB_ID"]) for record in (first, last))
    assert failed["JobState"] in ("OUT_OF_MEMORY", "FAILED")
    assert passed["JobState"] == "COMPLETED"
    assert memory(passed) >= 2 * memory(failed)


def test_what_is_light_is_one_job_of_a_person(trained):
    records = [record for record in trained["memory"].records() if record["stage"] != "fit_static"]
    assert {"ingest", "landmarks", "parse", "track"} <= {record["stage"] for record in records}
    assert len({record["SLURM_JOB_ID"] for record in records}) == 1


def test_a_gpu_job_lands_on_the_gpu_partition_with_its_device(trained):
    (head,) = trained["gpu"].records("fit_static")
    assert head["SLURM_JOB_PARTITION"] == "gpu"
    assert head["CUDA_VISIBLE_DEVICES"] == "0"
    assert head["device"] != "Operation not permitted"
    (prepared,) = trained["gpu"].records("landmarks")
    assert prepared["SLURM_JOB_PARTITION"] == "main"
    assert prepared["device"] == "Operation not permitted"


def give_gpu(root: Path) -> None:
    """An environment `gpu` that answers for its packages and runs stages with another's Python."""
    (root / ".envs").unlink()
    program = root / ".envs" / "gpu" / "bin" / "python"
    program.parent.mkdir(parents=True)
    for name in ("workflow", "media", "torch"):
        os.symlink((ROOT / ".envs" / name).resolve(), root / ".envs" / name)
    other = ROOT / ".envs" / "torch" / "bin" / "python"
    program.write_text(f'#!/bin/sh\n[ "$2" = d3talker.backends ] || exec {other} "$@"\n')
    program.chmod(0o755)


def test_a_cancelled_job_is_named_in_the_queue_and_fails_only_its_branch(checkout, slurm):
    checkout.add("berta.mp4")
    checkout.behave(landmarks__anna={"hang": True})
    process = checkout.start_on("slurm", "prepare", "--retries 0")
    job = hanging(checkout, process)
    (line,) = (line for line in queue().splitlines() if line.split()[0] == job)
    assert "prepare_anna" in line and " main " in line, "a person does not recognise the job"
    subprocess.run(["scancel", job], check=True)
    assert process.wait() != 0
    assert ended(slurm, job)["JobState"] == "CANCELLED"
    assert checkout.exists("berta/track.npz")
    assert not checkout.exists("anna/landmarks.npz")

    checkout.behave()
    status, output = checkout.run_on("slurm", "prepare")
    assert status == 0, output[-6000:]
    assert checkout.exists("anna/track.npz")
    assert jobs(output)["landmarks"] == 1


def queue() -> str:
    """What `make queue` prints."""
    command = ["make", "--no-print-directory", "-f", ROOT / "Makefile", "queue"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def hanging(checkout: ClusterCheckout, process: Run) -> str:
    """Wait for the job that waits to be ended; its number."""
    for _ in range(6000):
        if (checkout.root / "hanging").exists() and (checkout.root / "hanging").read_text():
            return (checkout.root / "hanging").read_text()
        if process.poll() is not None:
            pytest.fail(process.output()[-6000:])
        time.sleep(0.1)
    pytest.fail("no stage waits")


def test_a_killed_snakemake_loses_nothing(checkout, slurm):
    checkout.behave(fit_static__anna={"hang": True})
    process = checkout.start_on("slurm", static("anna"))
    job = hanging(checkout, process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for number in (process.pid, *map(int, children)):
        os.kill(number, signal.SIGKILL)
    process.wait()
    prepared = len(checkout.records("landmarks"))

    checkout.behave()
    status, output = checkout.run_on("slurm", static("anna"))
    assert status == 0, output[-6000:]
    assert "cancelled: 1 jobs of an earlier run" in output
    assert ended(slurm, job)["JobState"] == "CANCELLED"
    assert len(checkout.records("landmarks")) == prepared
    assert len(checkout.records("fit_static")) == 2

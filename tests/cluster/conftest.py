"""A real SLURM and a real Apptainer for the tests of this folder; a reason where they cannot be."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def lacking() -> str | None:
    """Why there can be no SLURM on this machine; None if there can."""
    if os.geteuid() != 0:
        return "needs root, to start SLURM and make device files"
    release = Path("/etc/os-release")
    if not release.exists() or "VERSION_CODENAME=bookworm" not in release.read_text():
        return "needs Debian 12, whose packages it installs"
    if not Path("/sys/fs/cgroup/memory").is_dir():
        return "needs cgroups of version 1, by which SLURM limits jobs here"
    if shutil.which("slurmctld") and "SLURM_JOB_ID" in os.environ:
        return "runs inside a SLURM job"
    return None


@pytest.fixture(scope="session")
def slurm(tmp_path_factory) -> Path:
    """The folder of a running SLURM: log/jobs.txt has a line for every job that ended."""
    if reason := lacking():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("slurm")
    subprocess.run([HERE / "slurm.sh", "start", folder], check=True)
    yield folder
    subprocess.run([HERE / "slurm.sh", "stop", folder], check=True)


@pytest.fixture(scope="session")
def images() -> Path:
    """The folder of the images, built if they are not there."""
    if reason := lacking():
        pytest.skip(reason)
    os.environ["APPTAINER_NO_PRIVS"] = "1"  # root of a container may not have all of root's rights
    if not shutil.which("apptainer"):
        subprocess.run([HERE / "install_apptainer.sh"], check=True)
    subprocess.run([HERE / "make_images.sh"], check=True)
    return ROOT / "containers"

"""Jobs of a run on a SLURM cluster: what they are called, how those of a killed run are ended."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

PROFILES = Path(__file__).resolve().parent / "profiles"
HERE = "default"  # the profile of runs on this machine


def profile_arguments(profile: str, results: Path, cores: str) -> list[str]:
    """Options of Snakemake for a run with `profile`."""
    arguments = ["--profile", str(PROFILES / profile)]
    if profile == HERE:
        return [*arguments, "--cores", cores]
    # Jobs of the same results, and of no others, share the beginning of their names.
    arguments += ["--slurm-jobname-prefix", job_prefix(results)]
    return [*arguments, "--slurm-logdir", str(results / "logs" / "slurm")]


def job_prefix(results: Path) -> str:
    """What the names of all SLURM jobs begin with that write into `results`."""
    digest = hashlib.sha256(str(results.resolve()).encode()).hexdigest()
    return f"d3talker-{digest[:8]}"


def cancel_leftovers(results: Path) -> None:
    """Cancel what a killed run on `results` left in the queue; nothing where there is no SLURM."""
    if not shutil.which("squeue"):
        return
    listed = subprocess.run(
        ["squeue", "--me", "--noheader", "--format=%A %j"],
        capture_output=True,
        text=True,
        check=False,
    )
    jobs = [line.split(maxsplit=1) for line in listed.stdout.splitlines()]
    mine = {number for number, name in jobs if name.startswith(job_prefix(results))}
    if mine:
        print(f"cancelled: {len(mine)} jobs of an earlier run that was killed")
        subprocess.run(["scancel", *sorted(mine)], check=False)


def use_scratch() -> None:
    """Let artifacts grow on a disk of the node's own, where the cluster names one.

    /tmp is left alone: it may be memory, which counts as the job's.
    """
    folder = os.environ.get("TMPDIR", "/tmp")
    if folder != "/tmp":
        os.environ["D3TALKER_SCRATCH"] = folder

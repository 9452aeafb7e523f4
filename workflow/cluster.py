"""Jobs of a run on a SLURM cluster: their names, how those of a killed run are ended, signals."""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

PROFILES = Path(__file__).resolve().parent / "profiles"
HERE = "default"  # the profile of runs on this machine
# What a training is told to stop by (d3talker/train/run.py).
STOPPING = (signal.SIGTERM, signal.SIGUSR1)


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


def pass_on_signals() -> None:
    """Let the stages of this job know when SLURM tells its Snakemake that the time is up.

    SLURM signals the process that srun has started and none below it (proctrack/cgroup). Snakemake
    has a handler of its own for SIGTERM, which waits for the stage to end; both are heard here.
    """
    signal.signal(signal.SIGUSR1, lambda number, frame: None)  # it would end this Snakemake
    heard, hear = os.pipe()
    os.set_blocking(hear, False)
    signal.set_wakeup_fd(hear, warn_on_full_buffer=False)
    threading.Thread(target=_pass_on, args=(heard,), daemon=True).start()


def _pass_on(heard: int) -> None:
    while numbers := os.read(heard, 64):  # a byte for every signal
        for number in set(numbers) & set(STOPPING):
            for process in listeners(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, number)


def listeners(ancestor: int) -> list[int]:
    """Processes below `ancestor` that have a handler for SIGUSR1, as trainings have (Linux).

    Others are left alone: they may end in time, and SIGTERM would end the program by which an
    image is read.
    """
    parents, listening = {}, []
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in path.read_text().splitlines())
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        number = int(path.parent.name)
        parents[number] = int(fields["PPid"])
        if int(fields["SigCgt"], 16) >> (signal.SIGUSR1 - 1) & 1:
            listening.append(number)
    return [number for number in listening if _is_below(number, ancestor, parents)]


def _is_below(number: int, ancestor: int, parents: dict[int, int]) -> bool:
    while number := parents.get(number, 0):
        if number == ancestor:
            return True
    return False

"""People of whom a job failed: who, why, and that the others go on without them.

Snakemake's own record of failed jobs comes from workflow/plugins/snakemake_logger_plugin_failures.
"""

import json
from collections.abc import Collection
from pathlib import Path

from d3talker.artifacts import save_json
from d3talker.cli import one_line

RECORD = "failed.json"
JOBS = "D3TALKER_FAILED_JOBS"  # environment variable: the file to which the plugin writes
LAST_LINES = 5  # of a log, shown to people


def record_file(results: str | Path, name: str) -> Path:
    """Where it is kept that a job of a person, a sound or <person>/<variant> failed."""
    return Path(results) / name / RECORD


def load(results: str | Path, name: str) -> dict | None:
    """The record of a failure; None if there was none."""
    path = record_file(results, name)
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def forget(results: Path) -> None:
    """Let everybody be tried again."""
    for pattern in (f"*/{RECORD}", f"*/*/{RECORD}"):
        for path in results.glob(pattern):
            path.unlink()


def note(jobs: Path, results: Path, names: Collection[str], apart: Collection[str]) -> list[str]:
    """Write a record for each of `names` of whom a job in the file `jobs` failed; who they are.

    apart: variants that can be left out while the person stays: results of other programs.
    """
    noted: dict[str, dict] = {}
    lines = jobs.read_text(encoding="utf-8").splitlines() if jobs.is_file() else []
    for job in map(json.loads, lines):
        wildcards = job["wildcards"]
        name = wildcards.get("id") or wildcards.get("audio")
        if name not in names:
            continue
        if wildcards.get("variant") in apart:
            name = f"{name}/{wildcards['variant']}"
        if name not in noted:
            noted[name] = _record(name, job)
    for name, record in noted.items():
        save_json(record_file(results, name), record)
    return list(noted)


def _record(name: str, job: dict) -> dict:
    """What is kept of a failed job; `refused` is a sentence for people."""
    log = next(iter(job["log"]), None)
    lines = []
    if log and Path(log).is_file():
        lines = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
    lines = [one_line(line) for line in lines if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    reason = (errors or lines or ["it printed nothing; it may have been killed"])[-1]
    return {
        "identity": name,
        "refused": f"{name}: {job['rule']} failed: {reason}; its log is {log}",
        "rule": job["rule"],
        "log": log,
        "last_lines": lines[-LAST_LINES:],
    }

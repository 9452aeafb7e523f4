"""Run the workflow: first find out which videos can be used, then make everything of those.

This is what `make run` and `make demo` start. It keeps two runs off the same results, ends what a
killed run left behind, and says at the end where the videos and the report are.
"""

import argparse
import contextlib
import ctypes
import fcntl
import json
import multiprocessing
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from d3talker import cli
from workflow import base, cluster, configuration, doctor, failures, models, people, plan

ROOT = Path(__file__).resolve().parents[1]

# Environment variable by which the processes of a run are recognised: the path of its lock.
MARK = "D3TALKER_RUN"
# Where Snakemake finds the plugin that notes failed jobs.
PLUGINS = ROOT / "workflow" / "plugins"
PR_SET_PDEATHSIG = 1  # of prctl in Linux: the signal that a process gets when its parent ends
# Targets for which nobody need be learned from, and those that need nobody to make an avatar of.
PREPARING = ("ingest_all", "prepare")
WITHOUT_AVATAR = (*PREPARING, "pretrain", "base")
WITHOUT_RENDER = {*WITHOUT_AVATAR, "export_datasets"}


def main() -> int:
    args = parse_arguments()
    os.chdir(ROOT)
    try:
        config = configuration.load(args.configfile, overrides(args))
        if tables := [name for name in args.target.split() if name in configuration.tables()]:
            # So that jobs which run elsewhere know it too.
            config["tables"] = list(dict.fromkeys([*config["tables"], *tables]))
            args.config.append(f"tables={json.dumps(config['tables'])}")
        configuration.check(config)
        if args.target == "models":
            models.fetch_all(config)
            return 0
        if args.target == "doctor":
            return doctor.report(config, jobs_run_here=args.profile == cluster.HERE)
        base.check(config)
        models.check(config)
        plan.check(config)
        results = Path(config["results"])
        with only_run(results):
            forget_crashes(results)
            failures.forget(results)
            return run(args, config)
    except (configuration.ConfigProblem, people.NameProblem, Busy) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", help="folder of videos; its subfolder pretrain/ teaches")
    parser.add_argument("--audios", help="folder of sounds that drive every avatar as well")
    parser.add_argument("--preset", help="quick or paper")
    parser.add_argument("--profile", default=cluster.HERE, help="a folder of workflow/profiles")
    parser.add_argument("--target", default="all", help="what to make, one or more (default: all)")
    parser.add_argument("--jobs", default=str(os.cpu_count()), help="CPU cores to use")
    parser.add_argument("--configfile", type=Path, nargs="*", default=[], help="over the default")
    parser.add_argument("--args", default="", help="more arguments for snakemake")
    args = parser.parse_args()

    # Snakemake takes the last --config and --configfile only, so ours and the user's are joined.
    inner = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    inner.add_argument("--config", "-C", nargs="*", action="extend", default=[])
    inner.add_argument(
        "--configfile", "--configfiles", nargs="+", type=Path, action="extend", default=[]
    )
    known, args.snakemake = inner.parse_known_args(shlex.split(args.args))
    args.config = known.config
    args.configfile = [from_root(path) for path in args.configfile + known.configfile]
    args.videos = args.videos and from_root(args.videos)
    args.audios = args.audios and from_root(args.audios)
    return args


def from_root(path: str | Path) -> str:
    """`path` as seen from the folder of the project, in which the workflow runs."""
    return os.path.relpath(path, ROOT)


def config_entries(args: argparse.Namespace) -> list[str]:
    """KEY=VALUE for Snakemake's --config. Quoted, so that no name is taken for YAML."""
    given = {"videos": args.videos, "audios": args.audios, "preset": args.preset}
    return [f"{key}={json.dumps(value)}" for key, value in given.items() if value] + args.config


def overrides(args: argparse.Namespace) -> dict:
    """What the command line says of the configuration."""
    sys.path.insert(0, str(PLUGINS))  # Snakemake looks for plugins when it is imported
    from snakemake.cli import parse_config

    return parse_config(config_entries(args))


class Busy(Exception):
    """Another run is using these results."""


@contextlib.contextmanager
def only_run(results: Path) -> Iterator[None]:
    """Hold the lock of `results`. The system releases it however this process ends."""
    results.mkdir(parents=True, exist_ok=True)
    path = (results / ".lock").resolve()
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Busy(
                f"another run (process {lock.read().strip()}) is using {results}/; "
                "wait for it to end, or stop it"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        end_leftovers(str(path))
        os.environ[MARK] = str(path)
        yield


def end_leftovers(mark: str) -> None:
    """Kill what an earlier run with the same lock left running when it was killed (Linux)."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
            if f"{MARK}={mark}".encode() in environment and int(process.name) != os.getpid():
                os.kill(int(process.name), signal.SIGKILL)
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue  # it has ended, or belongs to somebody else


def forget_crashes(results: Path) -> None:
    """Let videos be tried again whose refusal may not have been their fault."""
    for path in results.glob("*/refused.json"):
        if json.loads(path.read_text(encoding="utf-8"))["try_again"]:
            path.unlink()


def run(args: argparse.Namespace, config: dict) -> int:
    """Everything and the closing words; the exit status."""
    cast = people.gather(config)
    targets = set(args.target.split())
    if targets - set(PREPARING):
        base.require_people(config, cast)
    if targets - set(WITHOUT_AVATAR):
        people.require_target(config)
    if "base" in targets and base.folder(config):
        raise configuration.ConfigProblem("target base: needs pretrain.base: null; see `make base`")
    for path in cast.left_alone:
        print(f"left alone: {cli.one_line(path)}: no video or sound by its name")
    status = make(args, config)
    while status > 0 and (names := note_failures(config)):
        print(f"going on without {', '.join(names)}", flush=True)
        status = make(args, config)
    cast = people.gather(config)
    if status < 0:
        return 128 - status
    if status:
        print(f"error: not everything could be made; logs are in {config['results']}/logs/")
        if not cast.failed:
            return status
    show_results(config, cast, targets)
    return status or (1 if cast.refused or cast.failed else 0)


def make(args: argparse.Namespace, config: dict) -> int:
    """Both phases: find out which videos can be used, then make the target of those."""
    results, cast = Path(config["results"]), people.gather(config)
    known = set(cast.refused)
    failed_jobs(results).unlink(missing_ok=True)
    here = args.profile == cluster.HERE
    targets = args.target.split()
    if here and any(not (results / name / "ingest.json").exists() for name in cast.everybody):
        status = snakemake(args, results, ["ingest_all"])
        if status and (status < 0 or set(people.gather(config).refused) == known):
            return status
        targets = [target for target in targets if target != "ingest_all"]
    status = snakemake(args, results, targets) if targets else 0
    if status > 0 and not here and set(people.gather(config).refused) != known:
        status = snakemake(args, results, targets)  # on a cluster everything was tried at once
    return status


def failed_jobs(results: Path) -> Path:
    """Where the jobs are noted that fail in a run of Snakemake."""
    return results / ".failed_jobs"


def note_failures(config: dict) -> list[str]:
    """Write down who can be left out because a job of theirs failed; their names."""
    cast, results = people.gather(config), Path(config["results"])
    names = [*cast.everybody, *cast.audios]
    return failures.note(failed_jobs(results), results, names, list(cast.external))


def snakemake(args: argparse.Namespace, results: Path, targets: list[str]) -> int:
    """Run Snakemake on `targets`; its exit status, below 0 if a signal ended it.

    It is a fork of this process, which has imported it already: that takes seconds. A signal to us
    ends it and its jobs too.
    """
    words = cluster.profile_arguments(args.profile, results, args.jobs)
    if args.profile != cluster.HERE:
        cluster.cancel_leftovers(results)
    if args.configfile:
        words += ["--configfile", *map(str, args.configfile)]
    if entries := config_entries(args):
        words += ["--config", *entries]
    words += ["--logger", "failures", "--nolock", *args.snakemake, "--", *targets]
    path = os.pathsep.join([str(PLUGINS), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {"PYTHONPATH": path, failures.JOBS: str(failed_jobs(results).resolve())}
    fork = multiprocessing.get_context("fork")
    process = fork.Process(target=be_snakemake, args=(words, environment))
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    process.start()
    try:
        process.join()
        return process.exitcode
    except KeyboardInterrupt:
        process.join()  # Snakemake got it as well and stops its jobs
        return -signal.SIGINT
    finally:
        if process.is_alive():
            process.terminate()
            end_leftovers(os.environ[MARK])


def be_snakemake(words: list[str], environment: dict[str, str]) -> None:
    """Run Snakemake with these arguments in this process, which ends when its parent is killed."""
    from snakemake.cli import main

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.environ.update(environment)
    sys.argv = ["snakemake", *words]  # where rules/common.smk looks for targets
    main(words)


def runs_of(config: dict, cast: people.Cast, targets: set[str]) -> list[plan.Run]:
    """The runs that were to be made: those of the tables among `targets`, or all."""
    if targets <= WITHOUT_RENDER:
        return []
    if targets <= set(configuration.tables()):
        runs = [run for table in targets for run in plan.of_table(config, cast, table)]
        return list(dict.fromkeys(runs))
    return plan.runs(config, cast)


def show_results(config: dict, cast: people.Cast, targets: set[str]) -> None:
    """Print where everything is, and who was left out and why."""
    results = Path(config["results"])
    runs = runs_of(config, cast, targets)
    for run in runs:
        if (results / run.folder / "render.mp4").exists():
            print(f"video:   {results / run.folder / 'render.mp4'}")
    for table in plan.filled(config):
        if (results / "tables" / f"{table}.md").exists():
            print(f"table:   {results / 'tables' / table}.md")
    if (results / "report.html").exists():
        print(f"report:  {results / 'report.html'}")
    open_runs = {
        run.identity for run in runs if not (results / run.folder / "metrics.json").exists()
    }
    complete = [name for name in cast.targets if name not in open_runs]
    left_out = [name for name in [*cast.refused, *cast.failed] if name in cast.wanted]
    if runs or left_out:
        print(f"people:  {len(complete)} of {len(cast.targets) + len(left_out)} complete")
    for record in cast.refused.values():
        print(f"refused: {record['refused']}")
    for record in cast.failed.values():
        print(f"failed:  {record['refused']}")
        for line in record["last_lines"]:
            print(f"         | {line}")


if __name__ == "__main__":
    sys.exit(main())

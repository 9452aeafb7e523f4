"""A copy of the project in which every stage only writes empty files, and ways to run it."""

import json
import os
import re
import runpy
import shutil
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Snakemake takes seconds to import, so runs are forks of a process that has done so. It looks for
# plugins then.
sys.path.append(str(ROOT / "workflow" / "plugins"))
import snakemake.cli  # noqa: E402, F401

# Stands in for every stage: writes what it is told to write. A video that begins with "bad" is
# refused as ingest refuses one, and so is a dataset whose sound does; a video that begins with
# "short" has 13 s to train on. A stage named in the file `hang` waits to be killed; one in the file
# `fail`, with a word of its command, fails.
EMPTY_STAGE = """
import json, os, pathlib, sys, time
name, words = pathlib.Path(sys.argv[0]).stem, sys.argv[1:]
given = dict(zip(words, words[1:]))
if name == "ingest" and pathlib.Path(given["--video"]).read_text().startswith("bad"):
    print(f"error: {given['--video']}: no face was found")
    sys.exit(2)
if name == "import_dataset":
    sound = pathlib.Path(given["--dataset"], "aud.wav")
    if sound.read_text().startswith("bad"):
        print(f"error: {sound}: too short")
        sys.exit(2)
if name == "ingest" and pathlib.Path(given["--video"]).read_text().startswith("crash"):
    raise RuntimeError("a bug")
if pathlib.Path("fail").exists():
    stage, word = pathlib.Path("fail").read_text().split()
    if name == stage and any(word in given for given in words):
        print("error: its Gaussians are gone")
        sys.exit(2)
if pathlib.Path("hang").exists() and pathlib.Path("hang").read_text() == name:
    pathlib.Path("hanging.part").write_text(str(os.getpid()))
    pathlib.Path("hanging.part").rename("hanging")
    time.sleep(300)
for option, value in given.items():
    if option.startswith("--out"):
        pathlib.Path(value).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(value).write_text(" ".join(words))
if name == "ingest":
    short = pathlib.Path(given["--video"]).read_text().startswith("short")
    clip = {"frames": 625, "test": [325, 625]} if short else {"frames": 1779, "test": [1479, 1779]}
    pathlib.Path(given["--out-json"]).write_text(json.dumps(clip))
if name == "import_dataset":
    clip = {"frames": 400, "test": [100, 399]}
    pathlib.Path(given["--out-json"]).write_text(json.dumps(clip))
"""


class Checkout:
    """A copy of the project with videos of its own."""

    def __init__(self, root: Path):
        self.root = root

    def add(self, name: str, text: str = "video") -> None:
        path = self.root / "videos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def add_dataset(self, name: str, sound: str = "sound") -> Path:
        """A dataset folder of two frames; the other files are of no use to empty stages."""
        folder = self.root / "videos" / name
        for file in ("transforms_train.json", "ori_imgs/0.jpg", "ori_imgs/1.jpg"):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text("")
        (folder / "aud.wav").write_text(sound)
        return folder

    def start(self, *arguments: str) -> "Run":
        """Start workflow/run.py."""
        return Run(self.root, arguments)

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run workflow/run.py to its end: exit status and everything it printed."""
        process = self.start(*arguments)
        return process.wait(), process.output()

    def exists(self, path: str) -> bool:
        return (self.root / "results" / path).exists()

    def read(self, path: str) -> dict:
        return json.loads((self.root / "results" / path).read_text())


class Run:
    """workflow/run.py of a checkout in a fork of this process."""

    def __init__(self, root: Path, arguments: tuple[str, ...]):
        self.printed = root.with_name(f"{root.name}.printed")
        self.returncode = None
        with self.printed.open("wb") as printed:
            self.pid = os.fork()
            if self.pid == 0:
                _become_run(root, arguments, printed.fileno())

    def poll(self, options: int = os.WNOHANG) -> int | None:
        """The exit status, below 0 if a signal ended it; None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self) -> int:
        return self.poll(options=0)

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def output(self) -> str:
        """All that it has printed."""
        return self.printed.read_text()


def _become_run(root: Path, arguments: tuple[str, ...], printed: int) -> None:
    """Never returns."""
    status = 1
    try:
        for descriptor in (1, 2):
            os.dup2(printed, descriptor)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", 1) for number in (1, 2))
        os.chdir(root)
        for name in list(sys.modules):
            if name.split(".")[0] in ("workflow", "d3talker"):
                del sys.modules[name]
        sys.path[:] = [path for path in sys.path if Path(path).resolve() != ROOT]
        sys.argv = ["workflow/run.py", *arguments]
        runpy.run_path("workflow/run.py", run_name="__main__")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        os._exit(status)


def jobs(output: str) -> Counter:
    """Jobs by rule in the tables that Snakemake prints, without the targets."""
    rows = re.findall(r"^(\w+) +(\d+)$", output, flags=re.MULTILINE)
    targets = {"total", "all", "ingest_all"}
    return Counter({rule: int(number) for rule, number in rows if rule not in targets})


def give_weights(checkout, *keys):
    """Files of weights, believed to be right, and the --config that names them."""
    (checkout.root / "d3talker" / "metrics" / "check_weights.py").write_text("")
    (checkout.root / "weights").mkdir()
    for key in keys:
        (checkout.root / "weights" / key).write_text(key)
    named = ",".join(f"{key}: weights/{key}" for key in keys)
    return f"'models={{{named}}}'"


def make_checkout(root: Path, base: str = "null") -> Checkout:
    """A checkout at `root` with anna to make an avatar of and carl to learn from."""
    for folder in ("workflow", "config", "d3talker", "resources"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", root)
    config = root / "config" / "config.yaml"
    config.write_text(config.read_text().replace("base: resources", f"base: {base}", 1))
    os.symlink(ROOT / ".envs", root / ".envs")
    (root / "stages").mkdir()
    rules = "".join(path.read_text() for path in (root / "workflow" / "rules").glob("*.smk"))
    for stage in re.findall(r'stage\("(\w+)"', rules):
        (root / "stages" / f"{stage}.py").write_text(EMPTY_STAGE)
    checkout = Checkout(root)
    checkout.add("anna.mp4")
    checkout.add("pretrain/carl.mp4")
    return checkout

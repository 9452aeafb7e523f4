"""A copy of the project in which every stage only writes empty files, and ways to run it."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Stands in for every stage: writes what it is told to write. A video that begins with "bad" is
# refused as ingest refuses one; one that begins with "short" has 13 s to train on. A stage named in
# the file `hang` waits to be killed; one in the file `fail`, with a word of its command, fails.
EMPTY_STAGE = """
import json, os, pathlib, sys, time
name, words = pathlib.Path(sys.argv[0]).stem, sys.argv[1:]
given = dict(zip(words, words[1:]))
if name == "ingest" and pathlib.Path(given["--video"]).read_text().startswith("bad"):
    print(f"error: {given['--video']}: no face was found")
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
"""


class Checkout:
    """A copy of the project with videos of its own."""

    def __init__(self, root: Path):
        self.root = root

    def add(self, name: str, text: str = "video") -> None:
        path = self.root / "videos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start workflow/run.py."""
        command = [sys.executable, "workflow/run.py", *arguments]
        return subprocess.Popen(
            command, cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run workflow/run.py to its end: exit status and everything it printed."""
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=1200)
        return process.returncode, output

    def exists(self, path: str) -> bool:
        return (self.root / "results" / path).exists()

    def read(self, path: str) -> dict:
        return json.loads((self.root / "results" / path).read_text())


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

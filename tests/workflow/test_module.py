"""Another workflow has this one as a module and overrides a rule."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("snakemake")

ROOT = Path(__file__).resolve().parents[2]
SNAKEFILE = """
config["videos"] = "clips"
config["results"] = "talking"

module d3talker:
    snakefile: "{snakefile}"
    config: config

use rule * from d3talker

use rule adapt from d3talker with:
    threads: 3
    resources:
        mem_mb=12345,
    message: "ours has {{threads}} threads and {{resources.mem_mb}} MB"

rule thumbnail:
    default_target: True
    input: "talking/anna/d3talker/10s/avatar.safetensors"
    output: "thumbnail.png"
    shell: "cp {{input}} {{output}}"
"""


def test_rules_of_the_module_are_there_and_one_is_overridden(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "anna.mp4").touch()
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(snakefile=ROOT / "Snakefile"))
    command = [sys.executable, "-m", "snakemake", "-n", "-p", "--cores", "4", "--quiet", "reason"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-4000:]
    assert "ours has 3 threads and 12345 MB" in output
    assert "--static talking/anna/static/10s.safetensors" in output
    assert "/stages/adapt.py" in output
    assert output.count("dry run: 10 jobs, about ") == 1

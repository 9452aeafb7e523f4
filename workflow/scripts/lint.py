"""`snakemake --lint` over a small made-up cast."""

import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pretrain").mkdir()
        for name in ("target.mp4", "pretrain/teacher.mp4"):
            (Path(folder) / name).touch()
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--lint", "--config", f"videos={folder}"],
            capture_output=True,
            text=True,
            check=False,
        )
    lines = (done.stdout + done.stderr).splitlines()
    if done.returncode and not any(line.startswith("Lints for") for line in lines):
        print(*lines, sep="\n")
        return 1
    place, found = "", 0
    for line in lines:
        if line.startswith("Lints for"):
            place = line.removeprefix("Lints for ")
        elif line.startswith("    * "):
            print(f"{place} {line.strip('* ')}")
            found += 1
    print(f"snakemake --lint: {found} found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

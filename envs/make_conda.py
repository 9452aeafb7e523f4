#!/usr/bin/env python3
"""Write the definitions of the environments for --sdm conda out of the pins in envs/*.txt."""

from pathlib import Path

HERE = Path(__file__).resolve().parent
MADE = "# Made of envs/{}.txt by `make conda`; change that one.\n"
# mediapipe and face-alignment ask for packages that nothing here uses (envs/media.txt and
# envs/torch_no_deps.txt); conda's list for pip cannot leave them out, a script that Snakemake runs
# in the new environment can. Environment -> the list that the script installs.
WITHOUT_DEPENDENCIES = {"media": "media", "torch": "torch_no_deps"}


def pins(name: str) -> list[str]:
    """The lines of envs/<name>.txt that pin a package."""
    lines = (HERE / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [pin for line in lines if (pin := line.split(" #")[0].strip()) and pin[0] != "#"]


def definition(name: str) -> str:
    """envs/<name>.yaml."""
    lines = ["name: d3talker-" + name, "channels: [conda-forge, nodefaults]", "dependencies:"]
    lines += ["  - python=3.11", "  - pip"]
    if WITHOUT_DEPENDENCIES.get(name) != name:
        lines += ["  - pip:", *(f"      - {pin}" for pin in pins(name))]
    return MADE.format(name) + "\n".join(lines) + "\n"


def script(name: str) -> str:
    """envs/<name>.post-deploy.sh."""
    of = WITHOUT_DEPENDENCIES[name]
    listed = "\n".join(pins(of))
    return (
        f"#!/usr/bin/env bash\n{MADE.format(of)}set -euo pipefail\n"
        f"python -m pip install -qq --no-deps -r /dev/stdin <<'PINS'\n{listed}\nPINS\n"
    )


def main() -> None:
    for name in ("workflow", "media", "torch", "speech"):
        (HERE / f"{name}.yaml").write_text(definition(name), encoding="utf-8")
        if name in WITHOUT_DEPENDENCIES:
            (HERE / f"{name}.post-deploy.sh").write_text(script(name), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Fetch one file of weights of config/models.yaml, and check that it is the published one."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from d3talker import cli, fetch
from d3talker.metrics.weights import catalogue


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--key", required=True, choices=list(catalogue()), help="key of `models`")
    parser.add_argument("--mirror", help="folder or address that holds files by published name")
    parser.add_argument("--out", required=True, help="where to put it (models.folder/<its name>)")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    fetch.fetch(catalogue()[args.key], args.out, args.mirror)


if __name__ == "__main__":
    cli.run(main)

"""Make one table of the paper: our measured runs beside the published rows, as CSV and Markdown."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import yaml

from d3talker import artifacts, cli
from d3talker.report import tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", required=True, help="name in the paper file, e.g. table1")
    parser.add_argument(
        "--metrics", required=True, nargs="*", help="metrics.json of all runs; it takes its own"
    )
    parser.add_argument("--paper", required=True, help="config/paper_tables.yaml")
    parser.add_argument("--out-csv", required=True, help="plain numbers; empty: not measured")
    parser.add_argument("--out-md", required=True, help="formatted, with reasons as footnotes")
    args = parser.parse_args()
    config = yaml.safe_load(Path(args.paper).read_text(encoding="utf-8"))
    runs = [artifacts.load_json(path) for path in args.metrics]
    table = tables.build(args.table, config, runs)
    with artifacts.atomic(args.out_csv) as part:
        table.rows.to_csv(part, index=False)
    with artifacts.atomic(args.out_md) as part:
        part.write_text(tables.markdown(table), encoding="utf-8")


if __name__ == "__main__":
    cli.run(main)

"""Make one table of the paper: measured runs beside the published rows, as CSV, Markdown, LaTeX.

It belongs into the subfolder tables/ of the results: paths in the CSV start from the folder above.
"""

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import yaml

from d3talker import artifacts, cli
from d3talker.report import formats, tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", required=True, help="name in the paper file, e.g. table1")
    parser.add_argument(
        "--metrics", required=True, nargs="*", help="metrics.json of all runs; it takes its own"
    )
    parser.add_argument("--paper", required=True, help="config/paper_tables.yaml")
    parser.add_argument("--about", default="{}", help="JSON: what the runs do not tell (plan.py)")
    parser.add_argument("--out-csv", required=True, help="plain numbers; empty: not measured")
    parser.add_argument("--out-md", required=True, help="formatted, with reasons as footnotes")
    parser.add_argument("--out-tex", required=True, help="the same for LaTeX, with booktabs")
    args = parser.parse_args()
    config = yaml.safe_load(Path(args.paper).read_text(encoding="utf-8"))
    config["about"] = json.loads(args.about)
    results = Path(args.out_csv).absolute().parents[1]
    table = tables.build(args.table, config, [read_run(path, results) for path in args.metrics])
    with artifacts.atomic(args.out_csv) as part:
        table.rows.to_csv(part, index=False)
    with artifacts.atomic(args.out_md) as part:
        part.write_text(formats.markdown(table), encoding="utf-8")
    with artifacts.atomic(args.out_tex) as part:
        part.write_text(formats.latex(table, args.table), encoding="utf-8")


def read_run(path: str, results: Path) -> dict:
    """Content of a metrics.json, with where it and its video lie, seen from the results folder."""
    place = Path(os.path.relpath(path, results))
    files = {"metrics_file": place.as_posix()}
    files["render_file"] = place.with_name("render.mp4").as_posix()
    return artifacts.load_json(path) | files


if __name__ == "__main__":
    cli.run(main)

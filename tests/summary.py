"""Sum up pytest's JUnit files: `N passed, N failed, N skipped`; see that nothing ran nowhere."""

import argparse
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path


def cases(folder: Path) -> list[ElementTree.Element]:
    """Every test, and every module skipped as a whole, in the JUnit files of `folder`."""
    files = sorted(folder.glob("*.xml"))
    return [case for path in files for case in ElementTree.parse(path).iter("testcase")]


def outcome(case: ElementTree.Element) -> str:
    kinds = {child.tag for child in case}
    if kinds & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in kinds else "passed"


def never_imported(folder: Path) -> list[str]:
    """Modules that were skipped as a whole in every environment."""
    imported = {case.get("classname") for case in cases(folder)}
    skipped = {case.get("name") for case in cases(folder) if not case.get("classname")}
    return sorted(
        module
        for module in skipped
        if not any(name == module or name.startswith(f"{module}.") for name in imported)
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of JUnit files")
    parser.add_argument(
        "--everywhere",
        action="store_true",
        help="fail if a module was skipped in every environment",
    )
    args = parser.parse_args()
    if args.everywhere:
        never = never_imported(args.folder)
        for module in never:
            print(f"error: {module} was skipped in every environment")
        return 1 if never else 0
    count = Counter(outcome(case) for case in cases(args.folder))
    print(", ".join(f"{count[kind]} {kind}" for kind in ("passed", "failed", "skipped")))
    return 0


if __name__ == "__main__":
    sys.exit(main())

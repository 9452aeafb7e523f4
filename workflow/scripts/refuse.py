"""Note that a video was refused and why, so that the workflow goes on without it."""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from workflow.refusals import fingerprint

INPUT_ERROR = 2  # exit status of a stage that cannot use its input
SIGNALLED = 128  # statuses from here on: a signal ended the stage, which says nothing of the video


def reason(log: str, video: str) -> str:
    """The last error line of a stage's log."""
    lines = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return errors[-1] if errors else f"{video}: could not be read; see {log}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", required=True, help="the user's file, or dataset folder")
    parser.add_argument("--identity", required=True)
    parser.add_argument("--options", required=True, help="other options that the stage was given")
    parser.add_argument("--log", required=True, help="log of the stage that failed")
    parser.add_argument("--status", required=True, type=int, help="its exit status")
    parser.add_argument("--out", required=True, help="refused.json")
    args = parser.parse_args()
    if args.status >= SIGNALLED:
        return
    record = {
        "identity": args.identity,
        "source": Path(args.video).name,
        "refused": reason(args.log, args.video),
        "file": fingerprint(args.video),
        "options": args.options,
        # A crash may not be the video's fault: the next run tries again.
        "try_again": args.status != INPUT_ERROR,
    }
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

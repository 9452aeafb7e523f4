"""Videos that were refused: where the reason is kept, whether it still holds; digests of files."""

import hashlib
import json
from pathlib import Path

from d3talker.imported import layout


def refusal_file(results: str | Path, name: str) -> Path:
    """Where the reason is kept why the video of `name` was refused."""
    return Path(results) / name / "refused.json"


def refusal(results: str | Path, name: str, video: Path, options: str) -> dict | None:
    """The refusal of exactly this `video`, read with these options of ingest.

    None if it was not refused, or the video or the options have changed since.
    """
    try:
        record = json.loads(refusal_file(results, name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    same = record["file"] == fingerprint(video) and record.get("options") == options
    return record if same else None


def fingerprint(path: str | Path) -> list:
    """Size in bytes and modification time in ns: differs when the file was replaced.

    Of a dataset folder: the number of the files that are read, and a digest of their names, sizes
    and times.
    """
    path = Path(path)
    if not path.is_dir():
        status = path.stat()
        return [status.st_size, status.st_mtime_ns]
    files = layout.files(path)
    digest = hashlib.sha256()
    for file in files:
        status = file.stat()
        words = (file.relative_to(path).as_posix(), status.st_size, status.st_mtime_ns)
        digest.update(json.dumps(words).encode())
    return [len(files), digest.hexdigest()]


def code_digest(project: str | Path) -> str:
    """Digest of the code and the pins by which clips are prepared."""
    digest = hashlib.sha256()
    for pattern in ("d3talker/**/*.py", "stages/*.py", "envs/*.txt"):
        for path in sorted(Path(project).glob(pattern)):
            digest.update(path.relative_to(project).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()

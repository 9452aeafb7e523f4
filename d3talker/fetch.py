"""Fetching files of weights: over bad lines, never twice, and none that is not the published one.

A file grows beside its place under a name of its own, goes on where it was cut off (download.py),
and is renamed when its sum is right.
"""

import contextlib
import errno
import fcntl
import shutil
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path

from d3talker.artifacts import load_json, save_json
from d3talker.cli import InputError, log
from d3talker.download import download, require_size
from d3talker.metrics.weights import Weights, sha256_of

LOCK = "models.lock.json"  # in the folder of files: their sums, by name


def fetch(entry: Weights, path: str | Path, mirror: str | None = None) -> None:
    """Bring the file of `entry` to `path`, unless it is there already.

    mirror: a folder or an address that has files by their published names, instead of their own
    addresses. Raises InputError, which says what to do, if the file cannot be had or is not it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with _only_one(path.parent):
        if path.is_file():
            check(entry, path)
            return
        # Without a known sum nothing vouches for what an earlier try has left.
        resumed = bool(_sums(entry, path)) and part.is_file()
        if not resumed:
            part.unlink(missing_ok=True)
        digest = _bring(entry, part, mirror)
        if resumed and _wrong(_sums(entry, path), digest):
            log.warning("%s: what was left of an earlier try does not fit; all anew", path.name)
            part.unlink()
            digest = _bring(entry, part, mirror)
        try:
            _require(entry, path, digest, part.stat().st_size)
        except InputError:
            part.unlink()
            raise
        part.rename(path)
        _record(path, digest)


def check(entry: Weights, path: str | Path) -> None:
    """Raise InputError if the file at `path` is not that of `entry`, or not the one first fetched.

    It is read again only if its size or date has changed since.
    """
    path = Path(path)
    known, status = _recorded(path), path.stat()
    same = known.get("size") == status.st_size and known.get("mtime_ns") == status.st_mtime_ns
    digest = known["sha256"] if same else sha256_of(path)
    _require(entry, path, digest, status.st_size)
    if not same:
        with contextlib.suppress(PermissionError):  # somebody else's folder: read each time
            _record(path, digest)


def is_address(mirror: str) -> bool:
    """Whether a mirror is an address; else it is a folder."""
    return mirror.startswith(("http://", "https://"))


def _require(entry: Weights, path: Path, digest: str, size: int) -> None:
    """Raise InputError if a sum and a size are not those that are known of the file."""
    sums = _sums(entry, path)
    if wrong := _wrong(sums, digest):
        raise InputError(
            f"{path}: its sha256 is {digest}, not {wrong} as {sums[wrong]} says: this is another"
            " file or a damaged one. Fetch it again, after removing it if it is there; if there is"
            f" a new one of that name, {entry.page} may tell"
        )
    require_size(entry, path, size)


def _sums(entry: Weights, path: Path) -> dict[str, str]:
    """What is known of the sum of a file, all or its beginning, and where that is written."""
    known = {entry.sha256: "config/models.yaml"} if entry.sha256 else {}
    recorded = _recorded(path).get("sha256", "")
    # A sum in config/models.yaml may have been corrected since the file was recorded.
    if recorded and recorded.startswith(entry.sha256 or ""):
        known[recorded] = str(path.parent / LOCK)
    return known


def _wrong(sums: Iterable[str], digest: str) -> str | None:
    """The first of the known sums that `digest` contradicts."""
    return next((known for known in sums if not digest.startswith(known)), None)


def _recorded(path: Path) -> dict:
    """What is recorded of a file beside it."""
    lock = path.parent / LOCK
    return load_json(lock).get(path.name, {}) if lock.is_file() else {}


def _record(path: Path, digest: str) -> None:
    """Note the sum of a file beside it, with the size and date by which it is known unchanged."""
    lock, status = path.parent / LOCK, path.stat()
    files = load_json(lock) if lock.is_file() else {}
    known = {"sha256": digest, "size": status.st_size, "mtime_ns": status.st_mtime_ns}
    save_json(lock, dict(sorted((files | {path.name: known}).items())))


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Let one process at a time fetch into `folder`. The system releases it however it ends."""
    with (folder / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("waiting for another process that fetches into %s", folder)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _bring(entry: Weights, part: Path, mirror: str | None) -> str:
    """Bring the rest of the file of `entry` to `part`; its sum. InputError if that cannot be."""
    try:
        if mirror and not is_address(mirror):
            _copy(entry, part, Path(mirror))
        elif mirror:
            download(entry, f"{mirror.rstrip('/')}/{urllib.parse.quote(entry.file)}", part)
        elif entry.url:
            download(entry, entry.url, part)
        else:
            raise InputError(f"nothing can fetch {entry.source}. Put it into {part.parent}")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(f"{part}: {error.strerror or error}") from error
        raise InputError(
            f"{part.parent}: no space left for {entry.file} ({entry.size}); make room, or name"
            " another folder as models.folder"
        ) from error
    return sha256_of(part)


def _copy(entry: Weights, part: Path, mirror: Path) -> None:
    """Copy the file of `entry` out of a folder that mirrors files."""
    if not (mirror / entry.file).is_file():
        raise InputError(
            f"{mirror / entry.file}: no such file in models.mirror; it is {entry.source}"
        )
    require_size(entry, mirror / entry.file, (mirror / entry.file).stat().st_size)
    shutil.copyfile(mirror / entry.file, part)

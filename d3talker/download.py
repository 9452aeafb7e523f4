"""Downloading a file of weights over a bad line, by the standard library alone.

What has come is kept, and asked for no second time: a server that can sends the rest.
"""

import http.client
import re
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO

from d3talker.cli import LOG_EVERY_SECONDS, InputError, log
from d3talker.metrics.weights import Weights

WAITS = (1.0, 3.0, 10.0, 30.0)  # s, after tries in a row that got no further
STALL = 30.0  # s without a byte, or with fewer than SLOWEST a second: the line is taken as cut
SLOWEST = 1000.0  # bytes/s
LEAST = 100_000  # bytes that a try has to bring to count as one that got further
TOLERANCE = 0.02  # of the size that config/models.yaml tells
CHUNK = 1 << 20  # bytes
MB = 1e6
PASSING = (408, 425, 429)  # answers of a server that may be another one later, as all from 500 on


class CutOff(Exception):
    """The line was cut, or is too slow; another try may bring the rest."""


def download(entry: Weights, url: str, part: Path) -> None:
    """Bring what `part` lacks of `url`, with growing waits between tries.

    Raises InputError if the server refuses, offers a file of another size, or WAITS are used up.
    """
    most, tries = 0, 0
    while True:
        try:
            _receive(entry, url, part)
            return
        except CutOff as cut:
            have = _size(part)
            further = have >= most + LEAST
            tries, most = (1, have) if further else (tries + 1, most)
            if tries > len(WAITS):
                raise InputError(
                    f"{url}: {cut}; {tries} tries in a row got no further. Is there a network?"
                    f" {have / MB:.1f} MB of {entry.file} have come and are kept. A machine without"
                    " a network takes files from models.mirror (docs/models.md)"
                ) from cut
            log.warning("%s: %s; again in %g s", entry.file, cut, WAITS[tries - 1])
            time.sleep(WAITS[tries - 1])


def require_size(entry: Weights, what: str | Path, size: int) -> None:
    """Raise InputError if a size is not about that of the published file, where that is known."""
    if entry.mb is not None and abs(size / MB - entry.mb) > TOLERANCE * entry.mb:
        raise InputError(
            f"{what}: has {size / MB:.4g} MB, and {entry.file} has {entry.mb:.4g} MB: this is"
            f" another file; see {entry.page}"
        )


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _receive(entry: Weights, url: str, part: Path) -> None:
    """Ask once for what `part` lacks of `url`, and write it. Raises CutOff if not all came."""
    have = _size(part)
    headers = {"Accept-Encoding": "identity", "User-Agent": "d3talker"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(url, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=STALL)
    except urllib.error.HTTPError as error:
        if not _complete(error, part):
            _refused(entry, url, error)
        return
    except (OSError, http.client.HTTPException) as error:
        _unreachable(url, error)
    with response:
        start, total = _range(response, have)
        if total is not None:
            require_size(entry, url, total)
            _require_space(entry, part.parent, total - start)
        with part.open("ab") as file:
            file.truncate(start)
            _write(entry, response, file, start, total)


def _range(response: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    """Where in the file an answer starts, and how long the file is, if the server tells."""
    if response.status == 206:
        told = response.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", told.strip())
        if match is None or int(match[1]) != have:
            raise CutOff(f"the server sent '{told}', not the part that it was asked for")
        return have, None if match[2] == "*" else int(match[2])
    length = response.headers.get("Content-Length")
    return 0, int(length) if length else None  # the whole file, by a server that knows no parts


def _write(
    entry: Weights,
    response: http.client.HTTPResponse,
    file: BinaryIO,
    start: int,
    total: int | None,
) -> None:
    """Write an answer, and say how far it is. Raises CutOff if it stops early or hardly moves."""
    have = looked_at = start
    began = spoken = looked = time.monotonic()
    while data := _read(response):
        file.write(data)
        have, now = have + len(data), time.monotonic()
        if now - looked > STALL:
            if have - looked_at < SLOWEST * (now - looked):
                raise CutOff(f"the server sends less than {SLOWEST / 1000:g} kB a second")
            looked, looked_at = now, have
        if now - spoken > LOG_EVERY_SECONDS:
            spoken = now
            _say(entry, have, total, (have - start) / (now - began))
    if total is not None and have < total:
        raise CutOff(f"the connection was cut at {have / MB:.1f} of {total / MB:.1f} MB")
    log.info("%s: %.1f MB in %.0f s", entry.file, have / MB, time.monotonic() - began)


def _read(response: http.client.HTTPResponse) -> bytes:
    """The next bytes of an answer, as soon as there are any; none at its end."""
    try:
        return response.read1(CHUNK)
    except TimeoutError as error:
        raise CutOff(f"no byte came for {STALL:g} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise CutOff(str(error) or type(error).__name__) from error


def _say(entry: Weights, have: int, total: int | None, speed: float) -> None:
    """One line about a download: how far it is, and how long it will take."""
    if not (whole := total or (entry.mb or 0) * MB):
        log.info("%s: %.1f MB, %.1f MB/s", entry.file, have / MB, speed / MB)
        return
    left = max(whole - have, 0) / max(speed, 1)
    words = "%s: %.1f of %.1f MB, %.1f MB/s, about %d s left"
    log.info(words, entry.file, have / MB, whole / MB, speed / MB, round(left))


def _require_space(entry: Weights, folder: Path, size: int) -> None:
    """Raise InputError if so many bytes do not fit into a folder."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise InputError(
            f"{folder}: {entry.file} needs {size / MB:.0f} MB more, and {free / MB:.0f} MB are"
            " free; make room, or name another folder as models.folder"
        )


def _complete(error: urllib.error.HTTPError, part: Path) -> bool:
    """Whether a server refuses because `part` has all already. A longer one is begun anew."""
    if error.code != 416:
        return False
    if error.headers.get("Content-Range", "").strip() == f"bytes */{_size(part)}":
        return True
    part.unlink()
    raise CutOff("what was left of an earlier try is longer than the file") from error


def _refused(entry: Weights, url: str, error: urllib.error.HTTPError) -> None:
    """Raise what an answer that is no file means: CutOff if it may pass, else InputError."""
    if error.code in PASSING or error.code >= 500:
        raise CutOff(f"the server answers {error.code} {error.reason}") from error
    gone = "there is no such file" if error.code in (404, 410) else "the server refuses"
    raise InputError(
        f"{url}: {gone} ({error.code} {error.reason}); {entry.page} may say where {entry.file} is"
        " now. A copy of yours can be named in `models` of the configuration (docs/models.md)"
    ) from error


def _unreachable(url: str, error: Exception) -> None:
    """Raise what a connection that was not made means: InputError if trying again is in vain."""
    reason = getattr(error, "reason", error)
    if "CERTIFICATE_VERIFY_FAILED" in str(reason):
        raise InputError(
            f"{url}: the server's certificate cannot be checked ({reason}); name the certificates"
            " of your system in the environment variable SSL_CERT_FILE"
        ) from error
    raise CutOff(f"no connection ({reason})") from error

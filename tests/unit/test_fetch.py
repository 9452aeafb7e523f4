"""Fetching weights from a server that cuts, stalls, lies and refuses, and from mirrors."""

import contextlib
import errno
import hashlib
import http.server
import re
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from d3talker import download, fetch
from d3talker.artifacts import load_json
from d3talker.cli import InputError
from d3talker.metrics.weights import Weights

CONTENT = np.random.default_rng(0).bytes(200_000)
SUM = hashlib.sha256(CONTENT).hexdigest()
NAME = "net-v1.pth"


@dataclass
class Behaviour:
    """What the server does, and what it was asked."""

    content: bytes = CONTENT
    cuts: list[int] = field(default_factory=list)  # bytes after which answers stop, one by one
    ranges: bool = True  # whether it knows parts of a file
    status: int = 200
    failures: int = 0  # answers of 503 before others
    stall: bool = False  # sends half of it, and then nothing
    trickle: bool = False  # sends one byte at a time
    shift: int = 0  # sends a part that begins so many bytes late
    asked: list[str | None] = field(default_factory=list)  # Range of every request


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        b = self.server.behaviour
        asked = self.headers["Range"]
        b.asked.append(asked)
        status = 503 if b.failures > 0 else b.status
        b.failures -= 1
        if status != 200 or not self.path.endswith(f"/{NAME}"):
            self.send_error(status if status != 200 else 404)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and b.ranges else 0
        whole = len(b.content)
        if start >= whole:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{whole}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            start += b.shift
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        self.send_header("Content-Length", str(whole - start))
        self.end_headers()
        body = b.content[start:]
        if b.stall or b.trickle:
            if not start:
                self.wfile.write(body[: len(body) // 2])
            with contextlib.suppress(ConnectionError):
                while not self.server.over.wait(0.02):
                    self.wfile.write(b"\0" if b.trickle else b"")
            return
        self.wfile.write(body[: b.cuts.pop(0)] if b.cuts else body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    """Its behaviour; `url` is the address of its file. There are no waits."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "WAITS", (0.0, 0.0, 0.0))
    monkeypatch.setattr(download, "LEAST", 1)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        running.behaviour, running.over = Behaviour(), threading.Event()
        running.behaviour.url = f"http://127.0.0.1:{running.server_port}/files/{NAME}"
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running.behaviour
        running.over.set()
        running.shutdown()


def entry(url=None, **changes):
    known = {
        "name": "Net",
        "purpose": "this test",
        "page": "https://net.example/page",
        "url": url,
        "file": NAME,
        "sha256": SUM,
        "mb": 0.2,
        "licence": "MIT",
        "get": "ask its author",
    }
    return Weights(**(known | changes))


def left(folder):
    """What is in a folder of files, but the lock of the one that fetches."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def refused(known, folder, **options):
    """The words in which `known` cannot be fetched, which leaves no file."""
    with pytest.raises(InputError) as problem:
        fetch.fetch(known, folder / NAME, **options)
    assert not (folder / NAME).exists()
    return str(problem.value)


def test_a_file_is_fetched_once_and_its_sum_recorded(server, tmp_path):
    fetch.fetch(entry(server.url), tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert left(tmp_path) == ["models.lock.json", NAME]
    assert load_json(tmp_path / fetch.LOCK)[NAME]["sha256"] == SUM
    fetch.fetch(entry(server.url), tmp_path / NAME)
    assert server.asked == [None]


def test_a_cut_connection_goes_on_where_it_was(server, tmp_path):
    server.cuts = [50_000, 1, 0, 60_000]
    fetch.fetch(entry(server.url), tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == CONTENT
    starts = [None, *(f"bytes={n}-" for n in (50_000, 50_001, 50_001, 110_001))]
    assert server.asked == starts


def test_tries_that_got_no_further_are_counted_and_what_came_is_kept(server, tmp_path):
    server.cuts = [70_000] + 9 * [0]
    words = refused(entry(server.url), tmp_path)
    assert "connection was cut at 0.1 of 0.2 MB; 4 tries in a row got no further" in words
    assert "Is there a network?" in words and "models.mirror" in words
    assert len(server.asked) == 4 and left(tmp_path) == [f".{NAME}.part"]
    server.cuts, server.asked = [], []
    fetch.fetch(entry(server.url), tmp_path / NAME)
    assert server.asked == ["bytes=70000-"]


def test_waits_grow_and_begin_anew_after_progress(server, tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr(download, "WAITS", (1.0, 3.0, 10.0))
    monkeypatch.setattr(download.time, "sleep", waited.append)
    server.cuts = [10, 0, 0, 10]
    fetch.fetch(entry(server.url), tmp_path / NAME)
    assert waited == [1.0, 3.0, 10.0, 1.0]


def test_a_server_without_parts_sends_all_again(server, tmp_path):
    server.cuts, server.ranges = [150_000], False
    fetch.fetch(entry(server.url), tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=150000-"]


def test_another_part_than_was_asked_for_is_not_taken(server, tmp_path):
    server.cuts, server.shift = [100_000], 7
    assert "sent 'bytes 100007-199999/200000'" in refused(entry(server.url), tmp_path)


def test_what_a_killed_run_left_complete_or_too_long_is_used_or_begun_anew(server, tmp_path):
    part = tmp_path / f".{NAME}.part"
    for content in (CONTENT, CONTENT + b"more"):
        part.write_bytes(content)
        fetch.fetch(entry(server.url), tmp_path / NAME)
        assert (tmp_path / NAME).read_bytes() == CONTENT and not part.exists()
        (tmp_path / NAME).unlink()
    assert server.asked == ["bytes=200000-", "bytes=200004-", None]


def test_a_part_of_another_file_is_found_by_the_sum_and_fetched_anew(server, tmp_path):
    (tmp_path / f".{NAME}.part").write_bytes(bytes(1000))
    fetch.fetch(entry(server.url), tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-", None]


def test_a_part_is_not_trusted_if_no_sum_is_known(server, tmp_path):
    (tmp_path / f".{NAME}.part").write_bytes(bytes(1000))
    fetch.fetch(entry(server.url, sha256=None), tmp_path / NAME)
    assert server.asked == [None]
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_another_file_is_refused_with_both_sums_and_nothing_is_kept(server, tmp_path):
    server.content = CONTENT[::-1]
    words = refused(entry(server.url), tmp_path)
    assert hashlib.sha256(CONTENT[::-1]).hexdigest() in words and SUM in words
    assert "config/models.yaml" in words and "https://net.example/page" in words
    assert left(tmp_path) == []


def test_the_beginning_of_a_sum_is_enough_to_refuse(server, tmp_path):
    fetch.fetch(entry(server.url, sha256=SUM[:8]), tmp_path / NAME)
    other = "0" * 8
    with pytest.raises(InputError, match=f"{SUM}, not {other} as config/models"):
        fetch.check(entry(sha256=other), tmp_path / NAME)


def test_without_a_known_sum_that_of_the_first_use_holds_ever_after(server, tmp_path):
    known = entry(server.url, sha256=None)
    fetch.fetch(known, tmp_path / NAME)
    server.content = CONTENT[::-1]
    fetch.fetch(known, tmp_path / NAME)  # there already
    (tmp_path / NAME).unlink()
    words = refused(known, tmp_path)
    assert SUM in words and fetch.LOCK in words
    (tmp_path / NAME).write_bytes(CONTENT[::-1])
    with pytest.raises(InputError, match=re.escape(fetch.LOCK)):
        fetch.check(known, tmp_path / NAME)


def test_a_file_put_there_by_hand_is_read_once_and_again_when_it_changes(tmp_path, monkeypatch):
    reads = []
    monkeypatch.setattr(fetch, "sha256_of", lambda path: reads.append(path) or SUM)
    (tmp_path / NAME).write_bytes(CONTENT)
    for _ in range(3):
        fetch.check(entry(), tmp_path / NAME)
    assert len(reads) == 1
    (tmp_path / NAME).write_bytes(CONTENT)
    fetch.check(entry(), tmp_path / NAME)
    assert len(reads) == 2


def test_a_file_of_another_size_is_not_even_fetched(server, tmp_path):
    server.content = b"<html>accept our terms</html>"
    words = refused(entry(server.url, sha256=None), tmp_path)
    assert f"{NAME} has 0.2 MB: this is another file" in words
    assert left(tmp_path) == []


@pytest.mark.parametrize(("status", "reason"), [(404, "there is no such file"), (403, "refuses")])
def test_a_refusal_is_not_asked_again(server, tmp_path, status, reason):
    server.status = status
    words = refused(entry(server.url), tmp_path)
    assert server.url in words and reason in words and "https://net.example/page" in words
    assert len(server.asked) == 1


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.failures = 2
    fetch.fetch(entry(server.url), tmp_path / NAME)
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("behaviour", "reason"), [("stall", "no byte came for"), ("trickle", "less than 1 kB a second")]
)
def test_a_server_that_falls_silent_or_trickles_is_given_up(
    server, tmp_path, monkeypatch, behaviour, reason
):
    monkeypatch.setattr(download, "STALL", 0.3)
    monkeypatch.setattr(download, "LEAST", 1000)
    setattr(server, behaviour, True)
    began = time.monotonic()
    assert reason in refused(entry(server.url), tmp_path)
    assert time.monotonic() - began < 60  # STALL of four tries, not half a minute each


def test_without_a_network_it_says_so(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "WAITS", ())
    words = refused(entry("http://127.0.0.1:9/net-v1.pth"), tmp_path)
    assert "no connection" in words and "Is there a network?" in words


def test_a_full_disk_is_found_before_or_while_it_fills(server, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(download, "_write", full)
        assert "no space left" in refused(entry(server.url), tmp_path)
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage)
    assert "needs 0 MB more, and 0 MB are free" in refused(entry(server.url), tmp_path)


def test_a_mirror_stands_for_the_address(server, tmp_path):
    mirror = server.url.removesuffix(NAME)
    fetch.fetch(entry("https://nowhere.example/x"), tmp_path / "a" / NAME, mirror=mirror)
    folder = tmp_path / "mirror"
    folder.mkdir()
    assert "mirror/net-v1.pth: no such file" in refused(entry(), tmp_path, mirror=str(folder))
    (folder / NAME).write_bytes(CONTENT)
    fetch.fetch(entry(), tmp_path / NAME, mirror=str(folder))
    assert (tmp_path / NAME).read_bytes() == (tmp_path / "a" / NAME).read_bytes() == CONTENT
    (folder / NAME).write_bytes(CONTENT[::-1])
    assert SUM in refused(entry(), tmp_path / "b", mirror=str(folder))


def test_what_no_address_has_says_how_to_get_it(tmp_path):
    assert f"{NAME}: ask its author" in refused(entry(), tmp_path)


def test_two_that_fetch_the_same_file_ask_once(server, tmp_path):
    known, path = entry(server.url), tmp_path / NAME
    both = [threading.Thread(target=fetch.fetch, args=(known, path)) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert path.read_bytes() == CONTENT and server.asked == [None]

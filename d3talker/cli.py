"""What every stage's command line shares: errors for people, and progress."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator

from d3talker.artifacts import ArtifactError

log = logging.getLogger("d3talker")

LOG_EVERY_SECONDS = 5.0


class InputError(Exception):
    """The user's input cannot be used. The message says what, in which file, and what to do."""


def run(main: Callable[[], None]) -> None:
    """Run a stage's `main`; an expected error becomes one line on stderr and exit status 2."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        main()
    except (InputError, ArtifactError) as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        raise SystemExit(2) from None


def one_line(text: object) -> str:
    """`text` on one line of plain characters, as logs are read: a file's name may have any."""
    return "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in str(text)
    )


def progress(items: Iterable, total: int, desc: str) -> Iterator:
    """Yield `items`, showing how far it is and how long it will take.

    A tqdm bar on a terminal; elsewhere one log line every few seconds.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, total=total, desc=desc)
        return
    start = last = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if now - last >= LOG_EVERY_SECONDS:
            last = now
            left = (now - start) / done * (total - done) if done else 0.0
            log.info("%s: %d/%d, about %d s left", desc, done, total, round(left))
        yield item
    log.info("%s: %d/%d in %.1f s", desc, total, total, time.monotonic() - start)

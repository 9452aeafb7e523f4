"""Metrics that have a value, and the reasons of those that have none."""

from collections.abc import Callable, Iterable


class Undefined(Exception):
    """A metric has no value for this video. The message is the reason, for people."""


class Scores:
    """Values by metric name; None where there is none, and then the reason in `missing`."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self.missing: dict[str, str] = {}

    def measure(self, name: str, compute: Callable[[], object]) -> None:
        """Store the value of `compute`, or its reason where it raises Undefined."""
        try:
            self.values[name] = compute()
        except Undefined as reason:
            self.lack([name], str(reason))

    def lack(self, names: Iterable[str], reason: str) -> None:
        """Store that the metrics `names` have no value."""
        for name in names:
            self.values[name] = None
            self.missing[name] = reason

"""A stage's training that a killed stage takes up again where it last wrote its state.

The state lies beside the stage's output, under a name that is no output of any rule, so Snakemake
leaves it alone when the job fails. It is used by a stage of the same inputs, settings, seed and
code, and removed when the output is there. A stage that is told to stop (SIGTERM or SIGUSR1, as
clusters do before they kill) writes its state at the end of the iteration.
"""

import argparse
import hashlib
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from d3talker import artifacts
from d3talker.cli import log
from d3talker.train.curves import CurveRow

LIBRARY = Path(__file__).resolve().parents[1]
STOPPING = (signal.SIGTERM, signal.SIGUSR1)
SIGNALLED = 128  # and the number of the signal: the exit status of who was stopped


class Saved(NamedTuple):
    """State of a phase of training after `iteration` iterations."""

    stage: str  # name of the phase
    iteration: int
    tensors: dict[str, Tensor]
    values: dict  # what is not a tensor, as JSON has it


class Run:
    """Curves and seconds of the phases of one stage, and its state on disk.

    Without a file nothing is kept: training then starts at the beginning.
    """

    def __init__(self, out: str | Path | None = None, fingerprint: str = "") -> None:
        """Take up what is saved for the output `out` by a stage of the same `fingerprint`."""
        self.rows: list[CurveRow] = []
        self.seconds: dict[str, float] = {}  # by name of the phase
        self._path = None if out is None else unfinished(out)
        self._fingerprint = fingerprint
        self._start = 0.0
        self._iterating = False
        self._stopped_by: int | None = None
        self._saved = self._load()
        if self._path is not None:
            for number in STOPPING:
                signal.signal(number, self._stop)

    def _stop(self, number: int, frame: object) -> None:
        """End the stage when its state is written; at once if it is not in a phase of training."""
        if not self._iterating:
            raise SystemExit(SIGNALLED + number)
        self._stopped_by = number

    def _load(self) -> Saved | None:
        if self._path is None or not self._path.exists():
            return None
        try:
            tensors, meta = artifacts.load_tensors(self._path)
        except artifacts.ArtifactError as error:
            log.info("training begins anew: %s", error)
            return None
        if meta["fingerprint"] != self._fingerprint:
            log.info("training begins anew: %s is of other inputs or settings", self._path)
            return None
        self.rows = [CurveRow(*row) for row in meta["rows"]]
        self.seconds = meta["seconds"]
        # Tensors of the file may lie at any address, which the kernels would feel.
        tensors = {name: tensor.clone() for name, tensor in tensors.items()}
        saved = Saved(meta["stage"], meta["iteration"], tensors, meta["values"])
        log.info("%s goes on after iteration %d", saved.stage, saved.iteration)
        return saved

    def is_over(self, stage: str) -> bool:
        """Whether the phase was complete before the state was saved that is taken up."""
        return self._saved is not None and stage in self.seconds and stage != self._saved.stage

    def begin(self, stage: str) -> Saved | None:
        """Start the clock of a phase; the state from which it goes on, if there is one."""
        self._start = time.monotonic() - self.seconds.get(stage, 0.0)
        self._iterating = self._path is not None
        if self._saved is None or self._saved.stage != stage:
            return None
        saved, self._saved = self._saved, None
        return saved

    def end(self, stage: str) -> None:
        """Stop the clock of a phase."""
        self._tick(stage)
        # A signal that came just before has to wait for the next phase, or the output.
        self._iterating = False

    def _tick(self, stage: str) -> None:
        self.seconds[stage] = time.monotonic() - self._start

    def is_due(self, iteration: int, every: int) -> bool:
        """Whether to save the state after `iteration` iterations, as is done `every` so many.

        And whenever a signal asks the stage to stop.
        """
        if self._path is None:
            return False
        return self._stopped_by is not None or (every > 0 and iteration % every == 0)

    def save(self, stage: str, iteration: int, tensors: Mapping, values: Mapping) -> None:
        """Write the state of a phase, in place of the last one; end the stage if it was told to.

        Raises SystemExit in that case, with the status of one whom a signal has stopped.
        """
        self._tick(stage)
        meta = {
            "fingerprint": self._fingerprint,
            "stage": stage,
            "iteration": iteration,
            "rows": self.rows,
            "seconds": self.seconds,
            "values": values,
        }
        artifacts.save_tensors(self._path, tensors, meta)
        if self._stopped_by is not None:
            name = signal.Signals(self._stopped_by).name
            log.info("%s: stopped by %s after iteration %d, to go on there", stage, name, iteration)
            raise SystemExit(SIGNALLED + self._stopped_by)

    def finish(self) -> None:
        """Remove the state: the output is there."""
        if self._path is not None:
            for number in STOPPING:
                signal.signal(number, signal.SIG_DFL)
            self._path.unlink(missing_ok=True)


def unfinished(out: str | Path) -> Path:
    """Where the state lies of the training whose output is `out`."""
    return Path(out).with_suffix(".unfinished.safetensors")


def fingerprint(args: argparse.Namespace) -> str:
    """Digest of a stage's options but its outputs, of the files that they name, and of the code."""
    digest = hashlib.sha256()
    for name, value in sorted(vars(args).items()):
        if not name.startswith("out"):
            for word in map(str, value if isinstance(value, list) else [value]):
                content = _digest(word) if os.path.isfile(word) else word
                digest.update(f"{name}={content}\n".encode())
    for path in sorted(LIBRARY.rglob("*.py")):
        digest.update(_digest(path).encode())
    return digest.hexdigest()


def _digest(path: str | Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

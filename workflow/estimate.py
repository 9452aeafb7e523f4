"""What a dry run says at its end: the number of jobs, and the CPU and GPU hours to expect."""

import atexit
import logging

from workflow.costs import COSTS, Costs, canonical


class Tally(logging.Handler):
    """Adds up the jobs that Snakemake reports."""

    def __init__(self, costs: Costs) -> None:
        super().__init__()
        self.costs = costs
        self.dry_run = False
        self.jobs = 0
        self.cpu_seconds = self.gpu_seconds = self.disk_mb = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Count `record` if it announces a job of a rule that does work."""
        self.dry_run |= record.getMessage().startswith("This was a dry-run")
        rule = getattr(record, "rule_name", None)
        if getattr(record, "event", None) != "job_info" or canonical(rule) not in COSTS:
            return
        work = self.costs.work(rule, record.wildcards)
        self.jobs += 1
        self.cpu_seconds += work.cpu_seconds
        self.gpu_seconds += work.gpu_seconds
        self.disk_mb += work.disk_mb

    def closing_words(self) -> str:
        """One line for people."""
        if not self.jobs:
            return "dry run: nothing to do"
        hours = f"about {self.cpu_seconds / 3600:.1f} CPU hours"
        if self.gpu_seconds:
            hours += f" and {self.gpu_seconds / 3600:.1f} GPU hours"
        return f"dry run: {self.jobs} jobs, {hours}, {self.disk_mb / 1000:.1f} GB of results"

    def close(self) -> None:
        """Say the closing words of a dry run."""
        if self.dry_run:
            print(self.closing_words(), flush=True)
            self.dry_run = False
        super().close()


def tally(costs: Costs, logger: logging.Logger) -> None:
    """Count the jobs that `logger` reports, and print the sum when a dry run ends."""
    if any(isinstance(handler, Tally) for handler in logger.handlers):
        return  # Snakemake reads a module once for every use of its rules
    handler = Tally(costs)
    logger.addHandler(handler)
    atexit.register(handler.close)

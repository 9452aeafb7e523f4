"""A logger of Snakemake that notes every failed job in a file, one JSON object per line.

Snakemake finds the package by its name on PYTHONPATH; workflow/run.py starts it with
`--logger failures` and names the file in the environment variable D3TALKER_FAILED_JOBS.
"""

import json
import os
from logging import LogRecord

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent


class LogHandler(LogHandlerBase):
    """Writes rule, wildcards and logs of failed jobs."""

    writes_to_stream = False
    writes_to_file = False
    has_filter = True  # everything is seen, whatever `quiet` says
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        self.wildcards: dict[int, dict] = {}  # by the job's number

    def emit(self, record: LogRecord) -> None:
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_INFO:
            self.wildcards[record.jobid] = dict(record.wildcards or {})
        elif event == LogEvent.JOB_ERROR:
            job = {
                "rule": record.rule_name,
                "wildcards": self.wildcards.get(record.jobid, {}),
                "log": [str(path) for path in record.log],
            }
            with open(os.environ["D3TALKER_FAILED_JOBS"], "a", encoding="utf-8") as file:
                file.write(json.dumps(job) + "\n")

"""Settings as typed data: a stage's `--settings` JSON becomes one frozen dataclass."""

import dataclasses
import json
from typing import TypeVar

from d3talker.cli import InputError

Settings = TypeVar("Settings")


def parse(cls: type[Settings], text: str | None) -> Settings:
    """Build `cls` from a JSON object of overrides; None or "" gives the defaults.

    Raises InputError for text that is not a JSON object, an unknown name or a value of the wrong
    type (an int is accepted where a float is expected).
    """
    try:
        values = json.loads(text) if text else {}
    except ValueError as error:
        raise InputError(f"--settings is not JSON: {error}") from error
    return _build(cls, values)


def _build(cls: type[Settings], values: object) -> Settings:
    fields = {field.name: field for field in dataclasses.fields(cls)}
    if not isinstance(values, dict):
        raise InputError(f"{cls.__name__} must be a JSON object of names and values")
    built = {}
    for name, value in values.items():
        if name not in fields:
            known = ", ".join(sorted(fields))
            raise InputError(f"unknown setting '{name}' of {cls.__name__}; known: {known}")
        expected = fields[name].type
        if dataclasses.is_dataclass(expected):
            built[name] = _build(expected, value)
            continue
        allowed = (int, float) if expected is float else expected
        if isinstance(expected, type) and (
            not isinstance(value, allowed) or (expected is not bool and isinstance(value, bool))
        ):
            raise InputError(f"setting '{name}' must be {expected.__name__}, not {value!r}")
        built[name] = value
    return cls(**built)

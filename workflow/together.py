"""What the chosen backends need of each other and of the rest of the configuration."""

from collections.abc import Mapping

from d3talker.backends import BACKENDS


def problems(chosen: Mapping[str, str]) -> list[str]:
    """What of the chosen backends, by key, cannot be had together. All are known ones."""
    return [
        f"backends.{key}: '{name}' needs backends.{other.key}: {other.name}; {other.reason}"
        for key, name in chosen.items()
        for other in BACKENDS[key][name].others
        if chosen[other.key] != other.name
    ]

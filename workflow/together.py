"""What the chosen backends need of each other, of variants and of other keys."""

from collections.abc import Iterable, Mapping

from d3talker.backends import BACKENDS, default


def problems(config: Mapping, chosen: Mapping[str, str], variants: Iterable[str]) -> list[str]:
    """What of the chosen backends, by key, cannot be had together. All are known ones."""
    found = [
        f"backends.{key}: '{name}' needs backends.{other.key}: {other.name}; {other.reason}"
        for key, name in chosen.items()
        for other in BACKENDS[key][name].others
        if chosen[other.key] != other.name
    ]
    if chosen["geometry"] != default("geometry") and config["geometry"] is not None:
        found.append("geometry: backends.geometry makes the priors; set one of the two to null")
    if chosen["audio_to_motion"] == "real3dportrait":
        definitions = config["variant_definitions"]
        found += [
            f"variants: {name} shows the tracked expression, which is of another face model than"
            " the motion of backends.audio_to_motion: real3dportrait; leave it out of `variants`"
            " and `tables`"
            for name in variants
            if definitions.get(name, {}).get("motion") == "tracked"
        ]
    return found

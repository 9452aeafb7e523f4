"""Which fields an avatar has, what each follows and what it changes: the method and its variants.

The rows of the paper's ablation and the ancestors of the method are settings of this (spec 9, 4.5).
"""

from dataclasses import asdict, dataclass, replace

from d3talker import settings
from d3talker.cli import InputError

GENERAL_ATTRIBUTES = ("means", "quats", "scales")  # that a General field changes, eq. (2)
CHOICES = {
    "general_signal": ("motion", "audio"),
    "individual": ("field", "aligner", "none"),
    "individual_signal": ("audio", "motion"),
    "individual_attributes": (*GENERAL_ATTRIBUTES, "opacities", "colors"),
}


@dataclass(frozen=True)
class Architecture:
    """The defaults are D3-Talker. Raises InputError for values that make no avatar."""

    general_signal: str = "motion"  # what the General field follows: motion or audio
    # What a target has of its own: a field (eq. 7), an aligner of the General field (spec 4.5) or
    # none. The people of pre-training have a field each.
    individual: str = "field"
    individual_signal: str = "audio"  # what the Individual field follows: audio or motion
    individual_attributes: tuple[str, ...] = GENERAL_ATTRIBUTES  # of the face, in its field
    speech_channels: int = 29  # of the speech features, whose number the audio nets follow

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            value = getattr(self, name)
            if not set(value if name == "individual_attributes" else [value]) <= set(known):
                raise InputError(f"{name}: must be of {', '.join(known)}, not {value!r}")
        if "means" not in self.individual_attributes:
            raise InputError("individual_attributes: an Individual field changes means at least")
        if self.individual_signal == "motion" and self.general_signal != "motion":
            raise InputError(
                "individual_signal: motion comes from the General field's E_diff and TCN, so it"
                " needs general_signal: motion"
            )
        in_order = (a for a in CHOICES["individual_attributes"] if a in self.individual_attributes)
        object.__setattr__(self, "individual_attributes", tuple(in_order))

    def of_pretraining(self) -> "Architecture":
        """The same with an Individual field for each person."""
        return replace(self, individual="field")


def parse(text: str | None) -> Architecture:
    """From a JSON object of what differs from the defaults. Raises InputError."""
    return settings.parse(Architecture, text)


def from_meta(meta: dict) -> Architecture:
    """Of a checkpoint by its meta; one that says nothing has the default architecture."""
    return Architecture(**meta.get("architecture", {}))


def to_meta(architecture: Architecture) -> dict:
    """The entry of a checkpoint's meta that `from_meta` reads."""
    return {"architecture": asdict(architecture)}

"""Settings of the audio-to-motion network of Real3D-Portrait. Needs no packages."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Real3dPortraitSettings:
    """How expressions are drawn from the network (spec 5.1, 6.7)."""

    temperature: float = 0.0  # of the noise; 0: always the same motion. Theirs: 0.2
    mouth_amplitude: float = 0.45  # how far the mouth opens; the default of their command line

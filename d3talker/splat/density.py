"""When and where Gaussians are added and removed, as data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DensityControl:
    """Rules of density control (spec 3.4). The defaults are feasibility's values.

    The ancestors' sizes are shares of the extent E of the cameras, a few cm to 0.2 m by how much
    the head moves in the clip; here they are lengths, the same for every clip.
    """

    start: int = 300  # iteration of the first change
    interval: int = 200  # iterations between changes
    stop: float = 0.7  # share of the phase after which the number is fixed
    gradient: float = 4e-4  # mean NDC gradient of the projected mean that calls for more
    mouth_gradient: float = 4e-4  # the same for the mouth
    split_size: float = 1.5e-3  # m; larger ones are split in two, smaller ones are cloned
    min_opacity: float = 0.03  # fainter ones are removed
    opacity_growth: float = 0.0  # by so much the limit has grown, linearly, when changes stop
    max_size: float = 0.02  # m; larger ones are removed
    max_radius: float = 0.0  # px at 512, 3 sigma; larger ones on the screen are removed; 0: none
    large_start: int = 0  # iteration after which too large ones are removed
    reset_interval: int = 0  # iterations between limits of all opacities; 0: never
    reset_opacity: float = 0.01  # what they are limited to

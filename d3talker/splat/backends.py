"""The rasterizers that can stand in for each other. tests/unit/test_backends.py is their contract.

| name | is | needs |
|---|---|---|
| cpu | rasterize.py, compiled, multi-threaded | nothing; the default |
| reference | reference.py, plain torch, any device; small images only | nothing |
| gsplat | gsplat_backend.py | gsplat, CUDA |
| diff_gaussian_rasterization | diff_gaussian_backend.py | diff_gauss, CUDA |
"""

from collections.abc import Callable
from functools import wraps

from torch import Tensor

from d3talker.backends import require
from d3talker.splat.rasterize import Rendering


def rasterizer(name: str) -> Callable[..., Rendering]:
    """The function `rasterize` of backend `name`. Raises InputError if it cannot run here."""
    require("rasterizer", name)
    match name:
        case "cpu":
            from d3talker.splat.rasterize import rasterize as compiled

            rasterize = of_any_device(compiled)
        case "reference":
            from d3talker.splat.reference import rasterize_reference as rasterize
        case "gsplat":
            from d3talker.splat.gsplat_backend import rasterize
        case "diff_gaussian_rasterization":
            from d3talker.splat.diff_gaussian_backend import rasterize
    return rasterize


def of_any_device(rasterize: Callable[..., Rendering]) -> Callable[..., Rendering]:
    """`rasterize` of the CPU for tensors on any device; the images are where `means` is."""

    @wraps(rasterize)
    def moved(means: Tensor, *others, **options) -> Rendering:
        others = [_on_cpu(value) for value in others]
        options = {name: _on_cpu(value) for name, value in options.items()}
        rendering = rasterize(means.cpu(), *others, **options)
        return Rendering(*(image.to(means.device) for image in rendering))

    return moved


def _on_cpu(value):
    return value.cpu() if isinstance(value, Tensor) else value

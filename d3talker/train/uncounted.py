"""Which pixels of a frame teach nothing in an iteration, and the ancestors' green screen."""

import torch
from torch import Tensor

from d3talker.train.scene import View
from d3talker.train.settings import TrainSettings

GREEN = (0.0, 1.0, 0.0)


def uncounted(view: View, sets: tuple[str, ...], it: int, settings: TrainSettings) -> Tensor | None:
    """Pixels (h,w) bool in which the image counts as right; None: all are compared.

    No colour is asked of the face in the inner mouth, nor of the mouth elsewhere; before a green
    screen green is asked of the face in the inner mouth (spec 3.8). In most iterations of a stretch
    the hair is left out, so that the face learns more of it.
    """
    if "face" not in sets:
        return ~view.mouth
    pixels = None if "mouth" in sets or settings.green else view.mouth
    if _hair_counts(it, settings):
        return pixels
    return view.hair if pixels is None else pixels | view.hair


def _hair_counts(it: int, settings: TrainSettings) -> bool:
    before_end = it < settings.hair_off_stop or not settings.hair_off_stop
    off = settings.hair_interval > 1 and settings.hair_off_start < it and before_end
    return not off or it % settings.hair_interval == 0


def before_green_screen(view: View, sets: tuple[str, ...]) -> View:
    """`view` with nothing but the pixels of the `sets` that are drawn, before green (spec 3.8)."""
    shown = {("face",): view.head & ~view.mouth, ("mouth",): view.mouth}.get(sets, view.head)
    green = torch.tensor(GREEN, device=view.image.device).expand_as(view.image).contiguous()
    return view._replace(image=torch.where(shown[..., None], view.image, green), backdrop=green)

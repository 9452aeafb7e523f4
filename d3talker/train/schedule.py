"""Learning rates over the iterations of a phase, as factors of those in the settings."""

from d3talker.train.settings import TrainSettings


def gaussians_factor(name: str, it: int, iterations: int, settings: TrainSettings) -> float:
    """Factor for the attribute `name` of Gaussians in iteration `it` of `iterations`.

    Log-linear; that of the means takes `means_lr_span` iterations and then stays (spec 3.1).
    """
    if name == "means" and settings.means_lr_span:
        return settings.means_lr_final ** min(1.0, it / settings.means_lr_span)
    final = settings.means_lr_final if name == "means" else settings.attributes_lr_final
    return final ** (it / iterations)


def general_factor(it: int, iterations: int, settings: TrainSettings) -> float:
    """Factor for the General field in iteration `it` of `iterations` (spec 4.7)."""
    warm = min(1.0, (it + 1) / max(1, settings.fields_warmup))
    if it < settings.general_slow_until:
        return warm * settings.general_slow
    if it < settings.general_halving:
        return warm * 0.5 ** (it / settings.general_halving)
    return warm * settings.fields_lr_final ** (it / iterations)


def individual_factor(it: int, iterations: int, settings: TrainSettings, start: int) -> float:
    """Factor for an Individual field or aligner, still before iteration `start` (spec 6.5)."""
    if it < start:
        return 0.0
    warm = min(1.0, (it + 1) / max(1, settings.fields_warmup))
    return warm * settings.individual_lr_final ** (it / iterations)

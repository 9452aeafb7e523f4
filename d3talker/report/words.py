"""Sentences of the report: the scores in plain words, and what each figure shows."""

from collections.abc import Mapping, Sequence

import numpy as np

from d3talker.split import FPS


def headline(metrics: Mapping, bounds: Sequence[Mapping], config: Mapping) -> list[str]:
    """What one self-driven run amounts to, a sentence for each thing.

    metrics, bounds: metrics.json of the run, and of the references that bound it (config:
    paper_tables.yaml): floor and ceiling on the same person and training length.
    """
    sentences = [
        f"{metrics['variant']}, trained on {metrics['secs']} s of the video, speaks its last"
        f" {metrics['frames'] / FPS:.1f} s, which no training saw."
    ]
    references = config["references"]

    def beside(name: str, digits: int) -> str:
        return "".join(
            f"; {references[run['variant']].split(',')[0]} {run['variant']} {run[name]:.{digits}f}"
            for run in bounds
            if run[name] is not None
        )

    if metrics["mouth_corr"] is not None:
        low, high = metrics.get("mouth_corr_ci") or (None, None)
        interval = "" if low is None else f"; 95 %: {low:.2f} to {high:.2f}"
        sentences.append(
            "The opening of its mouth follows the true one with a correlation of"
            f" {metrics['mouth_corr']:.2f} (1 is perfect{interval}{beside('mouth_corr', 2)})."
        )
    if metrics["psnr"] is not None:
        sentences.append(
            f"Its frames differ from the true ones by a PSNR of {metrics['psnr']:.1f} dB (more is"
            f" nearer{beside('psnr', 1)})."
        )
    sentences.append(speed(metrics))
    return [sentence for sentence in sentences if sentence]


def speed(metrics: Mapping) -> str:
    """How long training took and how fast it renders; empty where neither was measured."""
    parts = []
    if metrics["train_seconds"] is not None:
        parts.append(f"Training on this person took {metrics['train_seconds'] / 60:.1f} min")
    if metrics["fps"] is not None:
        parts.append(
            f"{'rendering' if parts else 'Rendering'} runs at {metrics['fps']:.1f} frames/s"
        )
    machine = metrics["versions"].get("hardware")
    return f"{', '.join(parts)}{f', on {machine}' if machine else ''}." if parts else ""


def mouth(truth: np.ndarray, runs: Sequence[tuple[str, Mapping, np.ndarray]]) -> str:
    """What a chart of mouth openings shows.

    truth: (T,) of the true frames, NaN without a face. runs: (name, metrics.json, (T,) opening).
    """
    said = [f"Mouth opening in {len(truth)} test frames: the true mouth opens {span(truth)}"]
    for name, metrics, opening in runs:
        correlation = metrics["mouth_corr"]
        with_truth = (
            "" if correlation is None else f", correlation with the truth {correlation:.2f}"
        )
        said.append(f"{name} {span(opening)}{with_truth}")
    return "; ".join(said) + "."


def span(values: np.ndarray) -> str:
    """From the smallest to the largest finite value."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return "never seen"
    return f"{finite.min():.2f} to {finite.max():.2f}"


def training(title: str, x: np.ndarray, y: np.ndarray) -> str:
    """What a chart of one training curve shows; x: iterations; y: NaN where not logged."""
    seen = np.isfinite(y)
    first, last = y[seen][0], y[seen][-1]
    change = f"from {plain(first)} at first to {plain(last)} at last"
    return f"{title} over {x[-1]:.0f} iterations: {change}."


def plain(value: float) -> str:
    """A number as people read it."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def sync(lag: Mapping) -> str:
    """What the chart of agreement by lag shows; lag: `picture_after_sound` of sync.json."""
    return (
        "How well the sound tells the seen mouth opening, by how much it is delayed: the"
        f" correlation is highest, {lag['agreement']:.2f}, at {lag['best_ms']} ms, and"
        f" {lag['agreement_as_recorded']:.2f} as recorded."
    )


def cell(metrics: Mapping) -> str:
    """The scores of a render that its picture has to be seen with."""
    said = []
    if metrics["psnr"] is not None:
        said.append(f"PSNR {metrics['psnr']:.1f} dB")
    if metrics["mouth_corr"] is not None:
        said.append(f"mouth {metrics['mouth_corr']:.2f}")
    return ", ".join(said)

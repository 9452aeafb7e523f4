"""Each kernel beside plain torch, and how the rasterizer's time grows."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.counting import Work, count_work
from benchmarks.references import (
    blend_tiles,
    blend_tiles_plainly,
    encode_vectorised,
    l1_dssim_full,
    l1_dssim_separable,
    rasterize_padded,
)
from benchmarks.scenes import head_camera, head_gaussians
from benchmarks.table import Row
from benchmarks.timing import forward_backward, interleaved, threads
from d3talker.fields.encoding import TriPlaneEncoder, encode_reference
from d3talker.splat.rasterize import rasterize
from d3talker.train.photometric import l1_dssim

OURS = "cpu"
PLAIN = "torch"  # what the others of a comparison are measured by
# Where rounding decides whether a splat's alpha reaches 1/255, or whether a pixel has stopped, a
# splat may be missing in single pixels of one of two equal images.
CLOSE, FLIPPED, FEW = 1e-3, 1e-2, 1e-4


class Disagreement(Exception):
    """Two implementations do not give the same result."""


def check(name: str, ours: Tensor, other: Tensor) -> None:
    """Raise Disagreement unless all of two results but a share of FEW agree to CLOSE."""
    difference = (ours - other).abs()
    far = (difference > CLOSE).float().mean().item()
    if far > FEW or difference.max() > FLIPPED:
        raise Disagreement(
            f"{name}: {far:.2%} differ by more than {CLOSE}, one by {difference.max():.1e}"
        )


def compare(
    name: str,
    candidates: dict[str, Callable[[], Tensor]],
    inputs: list[Tensor],
    seconds: float,
    **about: int,
) -> list[Row]:
    """Rows of one result, forward and backward, by each candidate: OURS, PLAIN, others in torch.

    `about` are fields of Row, `threads` among them. The ratio is to PLAIN.
    """
    with torch.no_grad():
        results = {backend: function() for backend, function in candidates.items()}
    for backend, result in results.items():
        check(f"{name}, {backend}", results[OURS], result)
    with threads(about["threads"]):
        timings = interleaved(
            {backend: forward_backward(run, inputs) for backend, run in candidates.items()}, seconds
        )
    fastest = min(timing.median for backend, timing in timings.items() if backend != OURS)
    rows = []
    for backend, timing in timings.items():
        ratio = timings[PLAIN].median / timing.median
        measured = {"ms": timing.median, "least": timing.least, "ratio_to_torch": ratio}
        rows.append(Row(name, backend, **measured, **about))
    beside = f"{fastest / timings[OURS].median:.1f} times the fastest torch"
    return [replace(rows[0], remark=beside), *rows[1:]]


def rasterizer_rows(count: int, size: int, peaks: dict[int, float], seconds: float) -> list[Row]:
    """The rasterizer beside torch. `peaks`: operations per second by number of threads."""
    tensors, camera = head_gaussians(count), head_camera(size)
    work = count_work(tensors, camera)
    candidates = {
        OURS: lambda: rasterize(*tensors, camera).color,
        PLAIN: lambda: rasterize_padded(*tensors, camera, blend_tiles_plainly),
        "torch, tuned": lambda: rasterize_padded(*tensors, camera, blend_tiles),
    }
    rows = []
    for number, peak in peaks.items():
        about = {"gaussians": count, "size": size, "threads": number}
        ours, *others = compare("rasterizer", candidates, tensors, seconds, **about)
        rows += [with_work(ours, work, peak), *others]
    return rows


def with_work(row: Row, work: Work, peak: float) -> Row:
    """A row of the rasterizer with its fraction of the peak."""
    return replace(
        row,
        fraction_of_peak=work.operations() / (1e-3 * row.ms * peak),
        remark=f"{1e-6 * work.operations():.0f} MFLOP, {work.useful_lanes():.0%} of lanes blend"
        + (f"; {row.remark}" if row.remark else ""),
    )


def encoding_rows(counts: Iterable[int], numbers: Iterable[int], seconds: float) -> list[Row]:
    """The tri-plane encoding, with gradients to the table and the points."""
    encoder = TriPlaneEncoder()
    with torch.no_grad():
        encoder.table.uniform_(-1, 1)  # so that a difference would show
    rows = []
    for count in counts:
        x = (2 * torch.rand(count, 3) - 1) * encoder.bound
        inputs = [x.requires_grad_(), encoder.table]
        candidates = {
            OURS: lambda x=x: encoder(x),
            PLAIN: lambda x=x: encode_reference(encoder, x, encoder.table),
            "torch, tuned": lambda x=x: encode_vectorised(encoder, x, encoder.table),
        }
        for number in numbers:
            about = {"gaussians": count, "threads": number}
            rows += compare("tri-plane encoding", candidates, inputs, seconds, **about)
    return rows


def loss_rows(sizes: Iterable[int], numbers: Iterable[int], seconds: float) -> list[Row]:
    """L1 and D-SSIM, of two random images."""
    rows = []
    for size in sizes:
        image, target = torch.rand(2, size, size, 3).unbind()
        image.requires_grad_()
        pair = image, target
        candidates = {
            OURS: lambda pair=pair: l1_dssim(*pair),
            PLAIN: lambda pair=pair: l1_dssim_full(*pair),
            "torch, tuned": lambda pair=pair: l1_dssim_separable(*pair),
        }
        for number in numbers:
            about = {"size": size, "threads": number}
            rows += compare("L1 + D-SSIM", candidates, [image], seconds, **about)
    return rows


def scaling_rows(
    counts: Iterable[int], sizes: Iterable[int], peaks: dict[int, float], seconds: float
) -> list[Row]:
    """The rasterizer alone, forward and backward, for every number, size and number of threads."""
    rows = []
    for count in counts:
        tensors = head_gaussians(count)
        for size in sizes:
            camera = head_camera(size)
            work = count_work(tensors, camera)
            run = forward_backward(
                lambda tensors=tensors, camera=camera: rasterize(*tensors, camera).color, tensors
            )
            for number, peak in peaks.items():
                with threads(number):
                    timing = interleaved({OURS: run}, seconds)[OURS]
                row = Row(
                    "rasterizer",
                    OURS,
                    gaussians=count,
                    size=size,
                    threads=number,
                    ms=timing.median,
                    least=timing.least,
                )
                rows.append(with_work(row, work, peak))
    return rows

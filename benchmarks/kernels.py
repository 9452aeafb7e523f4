"""Print how fast the compiled kernels are beside plain torch, on this machine.

    OMP_WAIT_POLICY=passive PYTHONPATH=. .envs/torch/bin/python benchmarks/kernels.py [--threads 2]

The scene is like a head: an ellipsoid of Gaussians that covers about 40 % of the image. Plain
torch draws it tile by tile; the reference of the tests would need far too much memory.
"""

import argparse
import time

import numpy as np
import torch

from d3talker.compiled import set_threads
from d3talker.fields.encoding import TriPlaneEncoder, encode_reference
from d3talker.splat.camera import Camera
from d3talker.splat.projection import MIN_ALPHA
from d3talker.splat.rasterize import rasterize
from d3talker.splat.reference import project_reference, rasterize_reference
from d3talker.train.photometric import l1_dssim, l1_dssim_reference

SIZE = 512
PLAIN_TILE = 32  # px; larger than the kernels' tiles, which suits torch better


def head_scene(count: int) -> tuple[list[torch.Tensor], Camera]:
    """Gaussians on the surface of an ellipsoid, and a frontal camera that sees them."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    arrays = [
        directions * (0.092, 0.13, 0.107) * (1 + 0.02 * rng.normal(size=(count, 1))),
        rng.normal(size=(count, 4)),
        np.exp(rng.normal(-7.4, 0.6, size=(count, 3))),
        1 / (1 + np.exp(-rng.normal(0.3, 2.0, size=count))),
        rng.random((count, 3)),
    ]
    R, t = np.diag([1.0, -1.0, -1.0]), np.array([0.0, 0.0, 0.6])
    tensors = [torch.tensor(array, dtype=torch.float32, requires_grad=True) for array in arrays]
    return tensors, Camera(R, t, 1000.0, SIZE / 2, SIZE / 2, SIZE, SIZE)


def rasterize_plain(tensors: list[torch.Tensor], camera: Camera) -> torch.Tensor:
    """The colors of the reference, evaluated per tile for the Gaussians that touch it."""
    means, quats, scales, opacities, _ = tensors
    with torch.no_grad():
        centres, covariances, _ = project_reference(means, quats, scales, camera)
        sigmas = (2 * torch.log(opacities / MIN_ALPHA).clamp(min=0)).sqrt()
        reach = sigmas[:, None] * covariances.diagonal(dim1=1, dim2=2).sqrt()
        low, high = centres - reach, centres + reach
    rows = []
    for top in range(0, SIZE, PLAIN_TILE):
        row = []
        for left in range(0, SIZE, PLAIN_TILE):
            corner = torch.tensor([left, top])
            touching = ((high > corner) & (low < corner + PLAIN_TILE)).all(dim=1)
            view = camera.crop(left, top, PLAIN_TILE, PLAIN_TILE)
            row.append(rasterize_reference(*(tensor[touching] for tensor in tensors), view).color)
        rows.append(torch.cat(row, dim=1))
    return torch.cat(rows)


def milliseconds(function, inputs: list[torch.Tensor], repeats: int) -> tuple[float, float]:
    """Median times of `function()` and of the backward pass of its result, to `inputs`."""
    forward, backward = [], []
    weights = torch.randn_like(function())
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        middle = time.perf_counter()
        torch.autograd.grad(result, inputs, weights)
        forward.append(middle - start)
        backward.append(time.perf_counter() - middle)
    return 1e3 * float(np.median(forward)), 1e3 * float(np.median(backward))


def cases():
    """(name, compiled, plain, inputs) of every comparison."""
    for count in (20_000, 50_000):
        tensors, camera = head_scene(count)
        yield (
            f"rasterizer, {count} Gaussians, {SIZE} px",
            lambda tensors=tensors, camera=camera: rasterize(*tensors, camera).color,
            lambda tensors=tensors, camera=camera: rasterize_plain(tensors, camera),
            tensors,
        )
    encoder = TriPlaneEncoder()
    for count in (20_000, 50_000):
        x = (0.28 * torch.rand(count, 3) - 0.14).requires_grad_()
        yield (
            f"tri-plane encoder, {count} points",
            lambda x=x: encoder(x),
            lambda x=x: encode_reference(encoder, x, encoder.table),
            [x, encoder.table],
        )
    image = torch.rand(SIZE, SIZE, 3, requires_grad=True)
    target = torch.rand(SIZE, SIZE, 3)
    yield (
        f"L1 + D-SSIM, {SIZE} px",
        lambda: l1_dssim(image, target),
        lambda: l1_dssim_reference(image, target),
        [image],
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2, help="threads of both (default 2)")
    threads = parser.parse_args().threads
    set_threads(threads)
    torch.set_num_threads(threads)
    print(f"{'forward + backward, ms':<40}{'compiled':>16}{'plain torch':>20}{'ratio':>8}")
    for name, compiled, plain, inputs in cases():
        fast = milliseconds(compiled, inputs, repeats=20)
        slow = milliseconds(plain, inputs, repeats=3)
        columns = f"{fast[0]:7.1f} +{fast[1]:7.1f}{slow[0]:11.0f} +{slow[1]:7.0f}"
        print(f"{name:<40}{columns}{sum(slow) / sum(fast):8.0f}", flush=True)


if __name__ == "__main__":
    main()

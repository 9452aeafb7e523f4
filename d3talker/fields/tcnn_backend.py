"""The tri-plane encoding by tiny-cuda-nn, with the same table.

A dense grid of tiny-cuda-nn of base resolution r has r entries per row, x fastest, r^2 in all,
rounded up to a multiple of 8, and looks up position x at x (r - 1) + 0.5. That is the layout of
our grids with r their width, but not our position, which is x scale + 0.5 with scale < r - 1, and
a grid of several levels has no room for a scale per level. So every level of every plane is a
grid of its own, looked up at x scale / (r - 1), and a composite encoding joins them all in the
order of our table. Levels may grow or shrink.
"""

from functools import lru_cache

import torch

from d3talker.fields.encoding import PLANES, TriPlaneEncoder, encode_reference

DEVICE = "cuda"


def encode(encoder: TriPlaneEncoder, x: torch.Tensor) -> torch.Tensor:
    """Features (N, 3 levels) of points x (N,3), m, on any device."""
    if len(x) == 0:
        return encode_reference(encoder, x, encoder.table)
    levels, planes = len(encoder.scales), len(PLANES)
    unit = (x.to(DEVICE) + encoder.bound) / (2 * encoder.bound)
    uv = torch.stack([unit[:, axes] for axes in PLANES], dim=1)  # (N,planes,2)
    inside = ((uv >= 0) & (uv <= 1)).all(dim=-1)
    shrink = torch.tensor(encoder.scales / (encoder.widths - 1), dtype=x.dtype, device=DEVICE)
    positions = uv.clamp(0, 1)[:, :, None, :] * shrink[:, None]  # (N,planes,levels,2)
    features = torch.func.functional_call(
        _grids(tuple(encoder.widths.tolist()), planes, len(encoder.table)),
        {"params": encoder.table.to(DEVICE)},
        (positions.reshape(len(x), -1),),
    )[:, : planes * levels]
    features = features.view(-1, planes, levels)
    return torch.where(inside[:, :, None], features, 0.0).flatten(1).to(x.device)


def configuration(widths: tuple[int, ...], planes: int) -> dict:
    """The composite encoding of one dense 2-D grid per width and plane, plane by plane."""
    grids = [
        {
            "otype": "Grid",
            "type": "Dense",
            "n_dims_to_encode": 2,
            "n_levels": 1,
            "n_features_per_level": 1,
            "base_resolution": width,
            "interpolation": "Linear",
        }
        for _ in range(planes)
        for width in widths
    ]
    return {"otype": "Composite", "nested": grids}


@lru_cache
def _grids(widths: tuple[int, ...], planes: int, entries: int) -> torch.nn.Module:
    """The encoding of tiny-cuda-nn; its own parameters are never used."""
    import tinycudann

    grids = tinycudann.Encoding(
        n_input_dims=2 * planes * len(widths),
        encoding_config=configuration(widths, planes),
        dtype=torch.float32,
    )
    if grids.params.numel() != entries:
        raise RuntimeError(
            f"this tiny-cuda-nn keeps {grids.params.numel()} entries where the table has {entries};"
            " use the version in envs/gpu.txt, or the encoding backend 'torch'"
        )
    return grids

"""The benchmark suite at a size at which its figures mean nothing."""

import pytest

torch = pytest.importorskip("torch")

import numpy as np  # noqa: E402

from benchmarks import lip_closure  # noqa: E402
from benchmarks.__main__ import Plan, sections  # noqa: E402
from benchmarks.counting import Work, count_work  # noqa: E402
from benchmarks.kernels import Disagreement, check  # noqa: E402
from benchmarks.scenes import head_camera, head_gaussians, head_scene  # noqa: E402
from benchmarks.table import Row, as_json, text  # noqa: E402
from d3talker.splat.rasterize import rasterize  # noqa: E402

TINY = Plan(
    seconds=0,
    threads=(1,),
    gaussians=200,
    size=64,
    points=(30,),
    sizes=(24,),
    scaling_gaussians=(50, 100),
    scaling_sizes=(32,),
    rounds=1,
    frames=2,
    loops=10,
    array_bytes=1 << 12,
)
TYPES = {
    "name": str,
    "backend": str,
    "gaussians": int,
    "size": int,
    "threads": int,
    "ms": float,
    "ratio_to_torch": float,
    "fraction_of_peak": float,
}


@pytest.fixture(scope="module")
def rows():
    return as_json([row for _, section in sections(TINY) for row in section])


def select(rows, name):
    return [row for row in rows if row["name"].startswith(name)]


def test_every_row_has_all_fields_and_a_time(rows):
    for row in rows:
        assert row.keys() == TYPES.keys()
        assert all(value is None or type(value) is TYPES[name] for name, value in row.items())
        assert row["ms"] is not None and row["threads"] == 1


def test_every_part_is_measured(rows):
    parts = {
        "1e9 float32": 1,
        "1e9 bytes": 1,
        "rasterizer": 3 + 2,
        "tri-plane encoding": 3,
        "L1 + D-SSIM": 3,
        "static iteration": 1,
        "adaptation iteration": 1,
        "refiner iteration": 1,
        "refiner forward": 1,
        "frame, fields": 1,
        "frame, rasterize": 1,
        "frame, refine": 1,
        "frame, all": 1,
    }
    assert {name: len(select(rows, name)) for name in parts} == parts


def test_only_kernels_have_ratios_and_only_the_rasterizer_a_fraction_of_the_peak(rows):
    compared = ("rasterizer", "tri-plane encoding", "L1 + D-SSIM")
    for row in rows:
        in_torch = row["backend"].startswith("torch")
        alone = row["name"] == "rasterizer" and row["gaussians"] != TINY.gaussians
        assert (row["ratio_to_torch"] is not None) == (row["name"] in compared and not alone)
        counted = row["name"] in ("rasterizer", "1e9 float32 multiply or add") and not in_torch
        assert (row["fraction_of_peak"] is not None) == counted


def test_the_ratio_is_to_plain_torch(rows):
    for name in ("rasterizer", "tri-plane encoding", "L1 + D-SSIM"):
        compared = [row for row in select(rows, name) if row["ratio_to_torch"] is not None]
        (plain,) = (row for row in compared if row["backend"] == "torch")
        for row in compared:
            assert row["ratio_to_torch"] == plain["ms"] / row["ms"]


def test_a_table_has_no_empty_columns():
    table = text("Title", [Row("a", "cpu", threads=1, ms=2.0), Row("bcd", "torch", ms=31.0)])
    assert table.splitlines() == [
        "Title",
        "-----",
        "     backend  threads     ms",
        "a    cpu            1   2.00",
        "bcd  torch          -  31.00",
    ]


def test_results_that_differ_are_noticed():
    image = torch.rand(100, 100)
    flipped = image.clone()
    flipped[0, 0] += 0.005
    check("equal", image, flipped)
    with pytest.raises(Disagreement, match=r"other: 100.00% differ"):
        check("other", image, image + 0.002)


def test_one_splat_is_counted_in_the_pixels_that_it_reaches():
    tensors = head_gaussians(1)
    camera = head_camera(64)
    tensors[0] = torch.tensor([[0.002, 0.001, 0.1]])
    tensors[2], tensors[3] = torch.full((1, 3), 0.004), torch.tensor([0.8])
    reached = rasterize(*tensors, camera).alpha > 0
    blocks = reached.view(16, 4, 16, 4).any(3).any(1)
    tiles = blocks.view(4, 4, 4, 4).any(3).any(1)
    work = count_work(tensors, camera)
    assert (work.pairs, work.entries) == (tiles.sum(), blocks.sum())
    assert (work.fours, work.blended) == (blocks.sum(), reached.sum())
    assert work.useful_lanes() == pytest.approx(float(reached.sum() / (16 * blocks.sum())))


def test_splats_behind_opaque_ones_are_not_counted():
    tensors = [tensor.detach() for tensor in head_gaussians(600)]
    for index in range(9):  # a wall as wide as the image, before all others
        tensors[0][index] = torch.tensor([0.0, 0.0, 0.2])
        tensors[2][index], tensors[3][index] = 1.0, 0.95
    work = count_work(tensors, head_camera(64))
    assert work.entries == 4 * 16 * 16  # the fourth finds a transmittance of 1e-4
    assert work.blended == 3 * 64 * 64 and work.fours == 16 * 16


def test_a_group_of_four_costs_as_much_as_one_of_three():
    full, padded = Work(0, 4, 1, 0).operations(), Work(0, 3, 1, 0).operations()
    assert full - padded == Work(0, 1, 0, 0).operations()


def test_the_head_lies_in_the_crop():
    scene, whole = head_scene(2, 128), head_scene(2, 128, whole=True)
    assert scene.heads.sum() == whole.heads.sum() and scene.mouths.any()
    assert scene.images.shape[:3] == scene.heads.shape and scene.images.dtype == np.uint8


def test_a_phone_is_measured_in_the_frames_that_show_it_whole():
    phones = np.array(["a"] * 10 + ["m"] * 8 + ["o"] * 22)  # 0.4 s at 100 a second: 10 frames
    found = lip_closure.spoken(phones, 100, 0, 10)
    # The middles of the frames are at 2, 6, 10, 14, ... hundredths of a second.
    assert found == [("a", slice(0, 2)), ("m", slice(2, 4)), ("o", slice(4, 10))]
    assert lip_closure.spoken(phones, 100, 1, 9) == [("m", slice(2, 4))]
    opening = np.array([40.0, 5.0, np.nan])
    assert lip_closure.opening_at("m", opening) == 5
    assert lip_closure.opening_at("a", opening) == 22.5

"""Crops, poses, starting points and frame order."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from d3talker.avatar import move  # noqa: E402
from d3talker.render import ping_pong  # noqa: E402
from d3talker.train.frozen_pose import breaks  # noqa: E402
from d3talker.train.initial import mobility, mouth_cavity, surface_points  # noqa: E402
from d3talker.train.pose import PoseCorrection, corrected  # noqa: E402
from d3talker.train.scene import boxes  # noqa: E402


def test_every_head_lies_in_its_crop_and_crops_have_one_size():
    heads = np.zeros((3, 256, 256), bool)
    for i, (x, y) in enumerate([(60, 40), (70, 50), (180, 150)]):
        heads[i, y : y + 90, x : x + 70] = True
    origins, width, height = boxes(heads, 256)
    assert width % 32 == 0 and height % 32 == 0
    for head, (x, y) in zip(heads, origins, strict=True):
        assert 0 <= x <= 256 - width and 0 <= y <= 256 - height
        assert head[y : y + height, x : x + width].sum() == head.sum()


def test_moving_the_head_and_moving_the_camera_are_the_same():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(20, 3)).astype(np.float32)
    rotation = np.diag([1.0, -1, -1]).astype(np.float32)
    translation = np.array([0.01, 0.02, 0.6], np.float32)
    correction = np.array([0.02, -0.03, 0.01, 1e-3, -2e-3, 3e-3], np.float32)
    tensor = torch.from_numpy(correction)
    moved = move({"means": torch.from_numpy(points)}, tensor[:3], tensor[3:])["means"].numpy()
    r, t = corrected(rotation[None], translation[None], correction[None])
    assert np.allclose(moved @ rotation.T + translation, points @ r[0].T + t[0], atol=1e-5)


def test_pose_correction_finds_a_known_shift_and_leaves_other_frames():
    poses = PoseCorrection(2, rotation_lr=1e-3, translation_lr=1e-3)
    wanted = torch.tensor([0, 0, 0, 0.01, 0, -0.02])
    for step in range(200):
        leaf = poses.leaf(1)
        (leaf - wanted).square().sum().backward()
        poses.step(1, leaf.grad, 0.02 ** (step / 200))
    assert torch.allclose(poses.values[1], wanted, atol=1e-3)
    assert poses.values[0].abs().max() == 0


def test_poses_are_not_smoothed_across_jump_cuts_and_missing_frames():
    frames = np.array([100, 101, 102, 105, 106, 107, 108])
    assert breaks(frames, []).tolist() == [3]
    assert breaks(frames, [107]).tolist() == [3, 5]
    assert breaks(frames, [30, 100, 103, 105, 200]).tolist() == [3]


def test_surface_points_lie_on_the_mesh_in_proportion_to_area():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 0, 1], [8, 0, 1], [5, 3, 1.0]])
    triangles = np.array([[0, 1, 2], [3, 4, 5]])  # areas 0.5 and 4.5
    points = surface_points(vertices, triangles, 2000, np.random.default_rng(0))
    assert set(points[:, 2].round(6)) == {0, 1}
    assert (points[:, 2] > 0.5).mean() == pytest.approx(0.9, abs=0.03)


def test_mouth_starts_behind_the_lips():
    lips = np.array([[-0.02, 0, 0.1], [0.02, 0, 0.1], [0, 0.003, 0.1], [0, -0.003, 0.1]])
    points = mouth_cavity(lips, 500, np.random.default_rng(0))
    assert (points[:, 2] < 0.1).all() and (np.abs(points[:, 0]) < 0.02).all()


def test_hair_does_not_follow_the_face():
    face = np.zeros((1, 3))
    weight = mobility(torch.tensor([[0.0, 0, 0], [0.005, 0, 0], [0.06, 0, 0]]), face)
    assert weight[:2].tolist() == [1, 1] and weight[2] < 1e-6


def test_frames_go_back_and_forth_without_a_jump():
    order = ping_pong(4, 9)
    assert order.tolist() == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert ping_pong(1, 3).tolist() == [0, 0, 0]

"""Loss terms reward what they should."""

import pytest

torch = pytest.importorskip("torch")

from d3talker.train import losses  # noqa: E402


def test_silhouette_is_zero_for_a_perfect_mask_and_ignores_the_band():
    inside, outside = torch.zeros(8, 8, dtype=bool), torch.zeros(8, 8, dtype=bool)
    inside[2:5], outside[6:] = True, True
    alpha = inside.float()
    alpha[5] = 0.5  # the uncertain band
    assert losses.silhouette(alpha, torch.zeros(8, 8), inside, outside) == 0
    assert losses.silhouette(1 - alpha, torch.zeros(8, 8), inside, outside) > 0


def test_mouth_gaussians_may_fill_the_head_but_face_gaussians_not_the_mouth():
    mouth = torch.zeros(4, 4, dtype=bool)
    mouth[1:3, 1:3] = True
    assert losses.open_mouth(torch.ones(4, 4), mouth) == 0.25
    assert losses.silhouette(torch.zeros(4, 4), torch.ones(4, 4), mouth, ~mouth | mouth) > 0


def test_negative_contrast_punishes_agreement_with_others_only():
    own = torch.tensor([[1.0, 0, 0], [0, 1, 0]], requires_grad=True)
    assert losses.negative_contrast(own, [own.detach()]) == 1
    assert losses.negative_contrast(own, [-own.detach()]) == 0


def test_similarity_contrast_prefers_the_persons_own_field():
    general = torch.randn(50, 3)
    others = [torch.randn(50, 3) for _ in range(4)]
    alike = losses.similarity_contrast(general, [general, *others], 0, 0.1)
    unlike = losses.similarity_contrast(general, [general, *others], 1, 0.1)
    assert alike < 0.1 < unlike


def test_similarity_contrast_of_equal_fields_is_log_of_their_number():
    same = torch.ones(10, 3)
    loss = losses.similarity_contrast(same, [same] * 5, 2, 0.1)
    assert loss.item() == pytest.approx(1.6094, abs=1e-3)


def test_only_the_own_field_and_the_general_one_learn():
    general, own, other = (torch.randn(10, 3, requires_grad=True) for _ in range(3))
    losses.similarity_contrast(general, [other, own], 1, 0.1).backward()
    assert general.grad.abs().sum() > 0 and own.grad.abs().sum() > 0 and other.grad is None


def test_contrast_of_points_counts_those_that_move_alike():
    general = torch.tensor([[1.0, 0, 0], [0, 0.01, 0], [0, 0, 1e-6]])  # the last one stands still
    alike, turned = general.clone(), general.clone()
    turned[1] *= -1  # as many points agree as disagree; by length nearly all does
    turned[2] *= -1
    for per_point, cosine in ((True, 0.0), (False, 1.0)):
        loss = losses.similarity_contrast(general, [alike, turned], 0, 0.5, per_point)
        expected = torch.log1p(torch.exp(torch.tensor((cosine - 1) / 0.5)))
        assert loss.item() == pytest.approx(expected.item(), abs=1e-3)


def test_contrast_of_points_that_all_stand_still_has_no_gradient():
    general = torch.zeros(4, 3, requires_grad=True)
    loss = losses.similarity_contrast(general, [torch.ones(4, 3)] * 5, 0, 0.1, per_point=True)
    loss.backward()
    assert loss.item() == pytest.approx(1.6094, abs=1e-3)
    assert general.grad.abs().max() == 0


def test_depth_is_compared_whatever_its_scale_and_offset():
    generator = torch.Generator().manual_seed(0)
    depth = torch.rand(6, 8, generator=generator)
    mask = torch.ones(6, 8, dtype=bool)
    assert losses.depth_loss(depth, 3 * depth + 5, mask).item() == pytest.approx(0, abs=1e-5)
    assert losses.depth_loss(depth, -depth, mask) > 0.5


def test_depth_of_a_hand_computed_case():
    depth = torch.tensor([[1.0, 3.0], [5.0, 5.0]])
    prior = torch.tensor([[3.0, 1.0], [2.0, 2.0]])
    # Rows deviate by sqrt(2) and 0; all four by sqrt(11/3) and sqrt(2/3).
    first = 1 / (2**0.5 + 0.01 * (11 / 3) ** 0.5) + 1 / (2**0.5 + 0.01 * (2 / 3) ** 0.5)
    upper = torch.tensor([[True, True], [False, False]])
    assert losses.depth_loss(depth, prior, upper).item() == pytest.approx(first, rel=1e-5)
    whole = torch.ones(2, 2, dtype=bool)
    assert losses.depth_loss(depth, prior, whole).item() == pytest.approx(first / 2, rel=1e-5)


def test_normals_that_agree_cost_two_and_opposite_ones_four():
    normals = torch.zeros(2, 2, 3)
    normals[..., 2] = 1
    mask = torch.tensor([[True, False], [False, True]])
    assert losses.normal_loss(normals, normals, mask) == 2
    assert losses.normal_loss(normals, -normals, mask) == 4
    mixed = normals.clone()
    mixed[0, 0] *= -1
    mixed[0, 1] *= -1  # not asked for
    assert losses.normal_loss(normals, mixed, mask) == 3


def test_patches_lie_side_by_side_and_leave_out_the_rest():
    image = torch.arange(5 * 7 * 3).view(5, 7, 3)
    squares = losses.patches(image, 2)
    assert squares.shape == (6, 3, 2, 2)
    assert torch.equal(squares[4].permute(1, 2, 0), image[2:4, 2:4])


def test_a_mean_over_no_pixels_is_zero():
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert losses.mean_over(values, values > 2) == 3.5
    assert losses.mean_over(values, values > 9) == 0

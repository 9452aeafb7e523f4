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

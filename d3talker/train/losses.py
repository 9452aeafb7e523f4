"""Loss terms as functions of named tensors. Weights live in the settings of the stages."""

import torch
from torch import Tensor
from torch.nn import functional as F

MOVED = 1e-5  # m; a smaller change of a mean has no direction


def silhouette(face_alpha: Tensor, mouth_alpha: Tensor, inside: Tensor, outside: Tensor) -> Tensor:
    """Alpha (H,W) of both sets together: one inside the head, zero outside, free in between."""
    alpha = 1 - (1 - face_alpha) * (1 - mouth_alpha)
    return ((1 - alpha) * inside + alpha * outside).mean()


def open_mouth(face_alpha: Tensor, mouth: Tensor) -> Tensor:
    """Face Gaussians must leave the inner mouth (H,W) to the mouth's own (spec 3.8)."""
    return (face_alpha * mouth).mean()


def negative_contrast(own: Tensor, others: list[Tensor]) -> Tensor:
    """L_C of InsTaG: an individual field's means (N,3) must differ from every other's (spec 4.6).

    `others` were evaluated at the same points and audio and carry no gradient.
    """
    return sum(((own * other.detach()).sum(1)).clamp_min(0).mean() for other in others)


def similarity_contrast(
    general: Tensor,
    individuals: list[Tensor],
    person: int,
    temperature: float,
    per_point: bool = False,
) -> Tensor:
    """L_SC, eq. (10): the general deformation resembles the person's own, not the others'.

    general and each of `individuals`: change of means (N,3) m at the same points. One cosine over
    the flattened (3N) change, so that points count by how much they move; with `per_point` the
    mean of the points' cosines, over those that the general field moves (spec 6.4). Only the
    general field and the person's own receive gradients.
    """
    cosine = _cosine_of_points if per_point else _cosine_of_all
    similarity = torch.stack(
        [cosine(general, a if i == person else a.detach()) for i, a in enumerate(individuals)]
    )
    return F.cross_entropy(
        similarity[None] / temperature, torch.tensor([person], device=general.device)
    )


def _cosine_of_all(general: Tensor, individual: Tensor) -> Tensor:
    return F.cosine_similarity(general.flatten(), individual.flatten(), dim=0, eps=1e-8)


def _cosine_of_points(general: Tensor, individual: Tensor) -> Tensor:
    moved = (general.detach().norm(dim=1) > MOVED).float()
    cosines = F.cosine_similarity(general, individual, dim=1, eps=1e-8)
    return (cosines * moved).sum() / moved.sum().clamp_min(1)


def mean_over(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` (H,W) over the pixels of `mask` (H,W) bool; 0 if there are none."""
    return (values * mask).sum() / mask.sum().clamp_min(1)


def depth_loss(depth: Tensor, prior: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference of depths (H,W), each row of each standardised, over `mask`.

    `depth` is accumulated, not divided by alpha; `prior` is in any unit, larger is farther. mask
    (H,W) bool. L_Geo, eq. (13), spec 3.9.
    """
    difference = standardised_rows(depth) - standardised_rows(prior)
    return mean_over(difference.abs(), mask)


def standardised_rows(image: Tensor) -> Tensor:
    """(v - mean of the row) / (deviation of the row + 0.01 deviation of the image), (H,W)."""
    mean, deviation = image.mean(dim=1, keepdim=True), image.std(dim=1, keepdim=True)
    return (image - mean) / (deviation + 0.01 * image.std())


def normal_loss(normals: Tensor, prior: Tensor, mask: Tensor) -> Tensor:
    """Mean over `mask` (H,W) of 3 - normals . prior, unit normals (H,W,3) (spec 3.9).

    The source sums 1 - n m over the three channels, so that equal normals give 2, not 0. L_Geo,
    eq. (13).
    """
    return mean_over((1 - normals * prior).sum(dim=2), mask)


def patches(image: Tensor, size: int) -> Tensor:
    """Squares of `size` px of an image (H,W,C), side by side without the rest: (n,C,size,size)."""
    squares = image.unfold(0, size, size).unfold(1, size, size)
    return squares.flatten(0, 1)

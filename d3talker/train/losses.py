"""Loss terms as functions of named tensors. Weights live in the settings of the stages."""

import torch
from torch import Tensor
from torch.nn import functional as F


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
    general: Tensor, individuals: list[Tensor], person: int, temperature: float
) -> Tensor:
    """L_SC, eq. (10): the general deformation resembles the person's own, not the others'.

    One cosine over the flattened (3N) change of means, so that points count by how much they move
    (spec 6.4). Only the general field and the person's own receive gradients.
    """
    similarity = torch.stack(
        [
            F.cosine_similarity(
                general.flatten(), (a if i == person else a.detach()).flatten(), dim=0, eps=1e-8
            )
            for i, a in enumerate(individuals)
        ]
    )
    return F.cross_entropy(
        similarity[None] / temperature, torch.tensor([person], device=general.device)
    )

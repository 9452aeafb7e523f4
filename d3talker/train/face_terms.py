"""Terms of the loss that need more of the face than its picture (spec 3.9).

Each draws the face once more, or looks at its picture with AlexNet, and does nothing where its
weight is zero. None of the additional renderings counts for density control.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from d3talker.avatar import FaceChange
from d3talker.fields.deformation import FaceField, GeneralField, IndividualField
from d3talker.metrics.alexnet import feature_distance
from d3talker.splat.normals import normal_image, surface_normals
from d3talker.train import losses
from d3talker.train.person import Person
from d3talker.train.phases import Phase
from d3talker.train.scene import View
from d3talker.train.settings import AdaptSettings, TrainSettings

PATCH = (64, 96)  # px, sides of patches of the face (spec 3.9)
FUSE_PATCH = (32, 42)  # px, of patches of the composed frame (spec 3.9)


def attention_term(
    person: Person,
    i: int,
    view: View,
    face: dict[str, Tensor],
    change: FaceChange,
    settings: TrainSettings,
    it: int,
) -> Tensor | float:
    """Attention of the fields where it should not be: to the eyes in the lips, to all in hair.

    `face` are the attributes that were drawn in `view`, item `i`; only the fields learn. To draw it
    takes as long as the face, so that only some iterations have it, with more weight.
    """
    if it % settings.attention_every or not (settings.lips_attention or settings.hair_attention):
        return 0.0
    avatar = person.avatar
    means = avatar.face.means.detach()[change.moving]
    fields = (avatar.general, avatar.individual)
    attention = sum(
        attention_norms(field.face, means)
        for field in fields
        if isinstance(field, GeneralField | IndividualField)
    )
    colors = torch.zeros_like(face["colors"]).index_copy(0, change.moving, attention)
    still = {name: tensor.detach() for name, tensor in face.items()} | {"colors": colors}
    signal, eyes, _ = avatar.rasterize(**still, camera=view.camera).color.unbind(2)
    hair = torch.from_numpy(person.scene.hairs[i]).to(avatar.device)
    lips = torch.zeros_like(hair)
    lips[person.scene.lips_window(i)] = True
    in_hair = losses.mean_over(signal, hair) + losses.mean_over(eyes, hair)
    in_lips = losses.mean_over(eyes, lips)
    weighed = settings.lips_attention * in_lips + settings.hair_attention * in_hair
    return settings.attention_every * weighed


def attention_norms(field: FaceField, means: Tensor) -> Tensor:
    """How much each point (N,3) m follows the field's signal and the eyes': norms (N,3), last 0."""
    code = field.encoder(means)
    signal, eyes = field.attention(code), F.relu(field.eye_attention(code))
    return torch.stack([signal.norm(dim=1), eyes.norm(dim=1), code.new_zeros(len(code))], dim=1)


def geometry_term(
    person: Person,
    i: int,
    view: View,
    face: dict[str, Tensor],
    settings: AdaptSettings,
    it: int,
) -> Tensor | float:
    """L_Geo of item `i`, eq. (13): depth and normals of the face resemble the prior's."""
    depth_weight, normal_weight = geometry_weights(settings, it)
    if not (depth_weight or normal_weight):
        return 0.0
    prior = person.geometry.of(int(person.scene.indices[i]), person.avatar.device)
    if prior is None:
        return 0.0
    normals = surface_normals(face["quats"], face["scales"], face["means"], view.camera)
    drawn = person.avatar.rasterize(**face, camera=view.camera, features=normals)
    scene, device = person.scene, person.avatar.device
    head = torch.from_numpy(scene.heads[i] & ~scene.mouths[i]).to(device)
    skin = head & ~torch.from_numpy(scene.hairs[i]).to(device)
    # Normals in the axes of the head against those of the camera, as the source has it.
    normal = losses.normal_loss(normal_image(drawn.features), prior[1], head)
    return depth_weight * losses.depth_loss(drawn.depth, prior[0], skin) + normal_weight * normal


def geometry_weights(settings: AdaptSettings, it: int) -> tuple[float, float]:
    """Weights of depth and normals at iteration `it` (spec 3.9)."""
    if it <= settings.geometry_start:
        return 0.0, 0.0
    pausing = it % settings.depth_pause_every <= settings.depth_pause
    return 0.0 if pausing else settings.depth, settings.normal


def perceptual_term(
    person: Person,
    i: int,
    image: Tensor,
    target: Tensor,
    settings: AdaptSettings,
    phase: Phase,
    done: float,
) -> Tensor | float:
    """Distance of patches of `image` and `target` (h,w,3) in AlexNet's features.

    While the face's shape is trained the lips are left out, which this would blur; in the fuse
    phase they count. `done` is the share of the phase that is over.
    """
    fuses = not phase.trains("face.means")
    weight, start, sides = (
        (settings.fuse_perceptual, settings.fuse_perceptual_start, FUSE_PATCH)
        if fuses
        else (settings.perceptual, settings.perceptual_start, PATCH)
    )
    if not weight or done < start or "face" not in phase.sets:
        return 0.0
    if not fuses:
        window = person.scene.lips_window(i)
        image, target = image.clone(), target.clone()
        image[window], target[window] = 0, 0
    smallest, largest = (side // 2 for side in sides)
    side = 2 * int(torch.randint(smallest, largest + 1, ()))  # even
    side = min(side, *image.shape[:2])
    compared = (losses.patches(picture, side) for picture in (image, target))
    return weight * feature_distance(person.alexnet, *compared)

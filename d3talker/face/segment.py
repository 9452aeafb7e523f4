"""Label a frame, except the mouth, from person probability, clean plate and face mesh."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from d3talker.face.parsing import CLOTH, FACE, HAIR, NECK
from d3talker.video.background import CleanPlate

# MediaPipe face mesh indices, in order along the curve.
# fmt: off
OVAL = [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
        152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109]
JAW = [58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288]
INNER_LIPS = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324,
              308, 415, 310, 311, 312, 13, 82, 81, 80, 191]
OUTER_LIPS = [61, 185, 40, 39, 37, 0, 267, 269, 270, 409,
              291, 375, 321, 405, 314, 17, 84, 181, 91, 146]
CHEEKS = ([117, 118, 101, 36, 205, 187, 123], [346, 347, 330, 266, 425, 411, 352])
# fmt: on
CHIN = 152
SUBPIXEL = 3  # bits of fraction in OpenCV's polygon corners


@dataclass(frozen=True)
class ParseSettings:
    """Thresholds of the label images. Lengths are px at 512 and scale with the frame."""

    band_out: int = 5  # around the segmented outline, the band in which the plate may correct it
    band_in: int = 9
    plate_difference: float = 30.0  # sum of |RGB - plate| that counts as clearly not background
    plate_noise: float = 4.0  # the same as a multiple of the plate's own spread, where larger
    probability_weight: float = 1.5  # of the segmentation (2p-1) against difference/threshold
    decision: float = 0.75  # person where the weighted sum is above
    jaw_margin: float = 2.5  # the head reaches this far beyond the mesh's jaw and oval
    skin_distance: float = 4.0  # neck: Mahalanobis distance in (Cr,Cb) to cheeks or throat
    skin_luma: float = 0.5  # and at least this share of the throat's luma (hair is darker)
    face_distance: float = 3.0  # forehead and ears: the same distance to cheeks or throat
    face_luma: float = 0.6  # and at least this share of the cheeks' luma
    neck_margin: float = 0.1  # jaw widths by which the neck may reach beyond the jaw's corners


@dataclass(frozen=True)
class SkinModel:
    """Skin colours of a clip in OpenCV's YCrCb: bright on the cheeks, shaded on the throat."""

    cheek: np.ndarray  # (3,) Y, Cr, Cb
    throat: np.ndarray  # (3,)
    lips: np.ndarray  # (3,)
    # (256,256) float32, of each Cr, Cb: standard deviations from the line between cheek and throat
    distance: np.ndarray


def fill(shape: tuple[int, int], polygon: np.ndarray) -> np.ndarray:
    """Mask (H,W) uint8 0/1 of the pixels inside `polygon` (n,2) px, pixel centres at +0.5."""
    mask = np.zeros(shape, np.uint8)
    corners = np.round((polygon - 0.5) * (1 << SUBPIXEL)).astype(np.int32)
    cv2.fillPoly(mask, [corners], 1, shift=SUBPIXEL)
    return mask


def skin_model(frames: Iterable[np.ndarray], points: Iterable[np.ndarray]) -> SkinModel:
    """Median skin colours of sampled frames. frames (H,W,3) uint8, points (478,3) px each."""
    cheeks, throats, lips = [], [], []
    for frame, mesh in zip(frames, points, strict=True):
        shape = frame.shape[:2]
        ycrcb = cv2.cvtColor(frame, cv2.COLOR_RGB2YCrCb)
        cheeks += [ycrcb[fill(shape, mesh[cheek, :2]) > 0] for cheek in CHEEKS]
        throats.append(ycrcb[fill(shape, throat_patch(mesh)) > 0])
        mouth = fill(shape, mesh[INNER_LIPS, :2])
        lips.append(ycrcb[fill(shape, mesh[OUTER_LIPS, :2]) > mouth])
    cheeks, throats, lips = (np.concatenate(p).astype(np.float32) for p in (cheeks, throats, lips))
    cheek = np.median(cheeks, axis=0)
    throat = np.median(throats, axis=0) if len(throats) else cheek
    lip = np.median(lips, axis=0) if len(lips) else cheek
    covariance = np.cov(cheeks[:, 1:].T) + 4 * np.eye(2)  # at least 2 grey levels of spread
    distance = distance_to_skin(cheek[1:], throat[1:], np.linalg.inv(covariance))
    return SkinModel(cheek, throat, lip, distance)


def distance_to_skin(cheek: np.ndarray, throat: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Mahalanobis distance (256,256) float32 of every Cr, Cb to the line from throat to cheek.

    cheek, throat (2,) Cr, Cb; precision (2,2).
    """
    colours = np.stack(np.meshgrid(np.arange(256), np.arange(256), indexing="ij"), axis=-1)
    axis = cheek - throat
    share = (colours - throat) @ precision @ axis / max(float(axis @ precision @ axis), 1e-6)
    offset = colours - throat - np.clip(share, 0, 1)[..., None] * axis
    return np.sqrt(np.sum((offset @ precision) * offset, axis=-1)).astype(np.float32)


def throat_patch(mesh: np.ndarray) -> np.ndarray:
    """Corners (4,2) px of a patch right under the chin, where the throat shows: mesh (478,3)."""
    chin, forehead = mesh[CHIN, :2], mesh[OVAL[0], :2]
    down = (chin - forehead) * 0.05
    side = np.array([down[1], -down[0]])
    return np.stack(
        [chin + down - side, chin + down + side, chin + 3 * down + side, chin + 3 * down - side]
    )


def refine_person(
    frame: np.ndarray, probability: np.ndarray, plate: CleanPlate, settings: ParseSettings
) -> np.ndarray:
    """Person mask (H,W) uint8 0/1 whose outline follows the difference from the clean plate.

    Away from the outline the segmentation decides; in a band around it, where the plate is known
    or a good guess, segmentation and difference vote together. frame (H,W,3) uint8,
    probability (H,W).
    """
    unit = len(frame) / 512
    person = (probability > 0.5).astype(np.uint8)
    outer = cv2.dilate(person, _square(settings.band_out * unit))
    inner = cv2.erode(person, _square(settings.band_in * unit))
    difference = cv2.transform(cv2.absdiff(frame, plate.image), np.ones((1, 3)))
    difference = cv2.blur(difference, (3, 3))
    band = np.flatnonzero((outer > inner) & np.isfinite(plate.spread))
    noise = settings.plate_noise * plate.spread.ravel()[band]
    vote = difference.ravel()[band] / np.maximum(settings.plate_difference, noise)
    vote = np.minimum(vote, 3.0)
    vote += settings.probability_weight * (2 * probability.ravel()[band] - 1)
    person.ravel()[band] = vote > settings.decision
    person = cv2.morphologyEx(person, cv2.MORPH_OPEN, _disc(1.5 * unit))
    return cv2.morphologyEx(person, cv2.MORPH_CLOSE, _disc(2.5 * unit))


def label_frame(
    frame: np.ndarray,
    person: np.ndarray,
    points: np.ndarray,
    skin: SkinModel,
    settings: ParseSettings,
) -> np.ndarray:
    """Label image (H,W) uint8 of one frame.

    frame (H,W,3) uint8; person (H,W) uint8 0/1; points (478,3) px. Face is the mesh's oval and the
    skin that hangs together with it (forehead, ears), hair the rest of the head; hair below the
    jaw line counts as cloth, because it does not move with the head.
    """
    shape = frame.shape[:2]
    margin = settings.jaw_margin * shape[0] / 512
    oval = fill(shape, push_out(points, OVAL, margin))
    person = _part_with(person | oval, oval)
    head = _part_with(person & above_jaw(shape, points, margin), oval)
    labels = np.where(person > head, np.uint8(CLOTH), head * np.uint8(HAIR))
    labels[(head & oval) > 0] = FACE
    _mark_forehead_and_ears(labels, frame, skin, settings)
    _mark_neck(labels, frame, points, skin, settings)
    return labels


def push_out(points: np.ndarray, curve: list[int], margin: float) -> np.ndarray:
    """Points `curve` of the mesh (478,3), moved `margin` px away from the face's middle: (n,2)."""
    corners = points[curve, :2]
    outward = corners - points[OVAL, :2].mean(axis=0)
    return corners + margin * outward / np.linalg.norm(outward, axis=1, keepdims=True)


def above_jaw(shape: tuple[int, int], points: np.ndarray, margin: float) -> np.ndarray:
    """Mask (H,W) uint8 0/1 above the jaw line, which runs on level from the jaw's corners."""
    width = shape[1]
    jaw = push_out(points, JAW, margin)
    frame_corners = [(width, jaw[-1, 1]), (width, 0), (0, 0), (0, jaw[0, 1])]
    return fill(shape, np.concatenate([jaw, frame_corners]))


def _mark_forehead_and_ears(
    labels: np.ndarray, frame: np.ndarray, skin: SkinModel, settings: ParseSettings
) -> None:
    """Turn hair into face where it is skin-coloured and hangs together with the face.

    Works at half resolution, which is fast.
    """
    head = ((labels == FACE) | (labels == HAIR)).astype(np.uint8)
    left, top, width, height = cv2.boundingRect(head)
    rows, columns = slice(top, top + height), slice(left, left + width)
    region = labels[rows, columns]
    if min(region.shape) < 2:
        return
    half = region.shape[1] // 2, region.shape[0] // 2
    small = cv2.resize(region, half, interpolation=cv2.INTER_NEAREST)
    soft = cv2.resize(frame[rows, columns], half, interpolation=cv2.INTER_AREA)
    soft = cv2.blur(soft, (5, 5))  # single hairs and noise would make the hairline flicker
    ycrcb = cv2.cvtColor(soft, cv2.COLOR_RGB2YCrCb)
    luma = settings.face_luma * skin.cheek[0]
    skinny = _skin_coloured(ycrcb, skin, settings.face_distance, luma) & (small == HAIR)
    skinny = cv2.morphologyEx(skinny, cv2.MORPH_OPEN, _disc(4 * len(frame) / 1024))
    face = (small == FACE).astype(np.uint8)
    skinny = _part_with(skinny | face, face)
    skinny = cv2.resize(skinny, region.shape[::-1], interpolation=cv2.INTER_NEAREST)
    region[(skinny > 0) & (region == HAIR)] = FACE


def _mark_neck(
    labels: np.ndarray,
    frame: np.ndarray,
    points: np.ndarray,
    skin: SkinModel,
    settings: ParseSettings,
) -> None:
    """Turn cloth into neck where it is skin-coloured and hangs together with the jaw."""
    unit = len(frame) / 512
    left, right = points[JAW[0], 0], points[JAW[-1], 0]
    margin = settings.neck_margin * (right - left)
    rows = slice(max(0, int(points[JAW, 1].min())), None)
    columns = slice(max(0, int(left - margin)), max(0, int(right + margin)))
    region = labels[rows, columns]
    if region.size == 0:
        return
    ycrcb = cv2.cvtColor(frame[rows, columns], cv2.COLOR_RGB2YCrCb)
    cloth = (region == CLOTH).astype(np.uint8)
    luma = settings.skin_luma * skin.throat[0]
    skinny = _skin_coloured(ycrcb, skin, settings.skin_distance, luma) & cloth
    skinny = cv2.morphologyEx(skinny, cv2.MORPH_OPEN, _disc(2 * unit))
    skinny = cv2.morphologyEx(skinny, cv2.MORPH_CLOSE, _disc(6 * unit)) & cloth
    head = ((region == FACE) | (region == HAIR)).astype(np.uint8)
    neck = _part_with(cv2.dilate(skinny, _disc(3 * unit)) & cloth | head, head) & cloth
    region[neck > 0] = NECK


def _skin_coloured(ycrcb: np.ndarray, skin: SkinModel, within: float, luma: float) -> np.ndarray:
    """Mask uint8 0/1 of pixels (h,w,3) brighter than `luma`, whose colour lies between throat and
    cheek or `within` standard deviations of that."""
    near = skin.distance[ycrcb[..., 1], ycrcb[..., 2]] < within
    return (near & (ycrcb[..., 0] > luma)).astype(np.uint8)


def _part_with(mask: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """The connected part of `mask` (H,W) uint8 that shares most pixels with `seed`."""
    count, parts = cv2.connectedComponents(mask, connectivity=4)
    votes = np.bincount(parts[(seed & mask) > 0], minlength=count)
    votes[0] = 0
    return (parts == votes.argmax()).astype(np.uint8) if votes.any() else np.zeros_like(mask)


def _disc(radius: float) -> np.ndarray:
    """Round structuring element of `radius` px, at least one pixel."""
    side = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


def _square(radius: float) -> np.ndarray:
    """Square structuring element; far faster than a disc, for bands whose form does not matter."""
    side = 2 * max(1, round(radius)) + 1
    return np.ones((side, side), np.uint8)

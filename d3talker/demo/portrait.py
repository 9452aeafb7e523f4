"""The portrait that all demo people are made from, and how each gets other colours.

The picture is scikit-image's public-domain photograph of the astronaut Eileen Collins (NASA),
which ships inside the scikit-image package.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import skimage.data

from d3talker.face.mediapipe_models import FaceMesh, PersonSegmenter
from d3talker.face.model import FACE_POINTS, LIPS_INNER

SIZE = 512  # pixels of the portrait; people are rendered at any size from it
CROP_X, CROP_Y, CROP_SIDE = 79, -25, 295  # head and shoulders in the photograph, pixels
PADDED_ROWS = -CROP_Y * SIZE // CROP_SIDE  # rows above the photograph's upper edge
EARS_ROW = 285  # the head without its chin lies above this row of the portrait
NECK_ROW = 385  # the neck ends above this row
BROW = 105  # FaceMesh point in the middle of the right brow
SKIN_LAB = (9.0, 17.0)  # a*, b* of the skin in the portrait
HAIR_LAB = (1.5, 24.0)


@dataclass(frozen=True)
class Portrait:
    """image (SIZE,SIZE,3) float32 RGB in [0,1]; alpha (SIZE,SIZE) float32, 1 on the person;
    points (468,3) float32 FaceMesh points in px, z smaller is nearer."""

    image: np.ndarray
    alpha: np.ndarray
    points: np.ndarray


@dataclass(frozen=True)
class Colours:
    """Changes of the CIE Lab colour (L*, a*, b*) of skin and hair; the factor of the hair's
    contrast; RGB colour of the clothes."""

    skin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    hair: tuple[float, float, float] = (0.0, 0.0, 0.0)
    hair_contrast: float = 1.0
    cloth: tuple[float, float, float] = (0.70, 0.34, 0.22)


def load_portrait(mirrored: bool) -> Portrait:
    """Cut the photograph to head and shoulders, enlarge and sharpen it, find face and outline."""
    photo = skimage.data.astronaut()
    scale = SIZE / CROP_SIDE
    half = (scale - 1) / 2  # pixel centres stay pixel centres
    matrix = np.array([[scale, 0, half - CROP_X * scale], [0, scale, half - CROP_Y * scale]])
    image = cv2.warpAffine(
        photo, matrix, (SIZE, SIZE), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE
    )
    if mirrored:
        image = np.ascontiguousarray(image[:, ::-1])
    soft = cv2.GaussianBlur(image, (0, 0), 1.5)
    image = cv2.addWeighted(image, 1.6, soft, -0.6, 0)  # unsharp mask
    alpha = cut_out(image)
    points = FaceMesh(max_faces=1)(image)[0, :FACE_POINTS]
    return Portrait(spread_colours(image, alpha), alpha, points)


def cut_out(image: np.ndarray) -> np.ndarray:
    """Alpha (H,W) float32 of the person: selfie segmentation sharpened by GrabCut."""
    person = PersonSegmenter()(image)
    kernel = np.ones((25, 25), np.uint8)
    labels = np.where(person > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[cv2.erode((person > 0.9).astype(np.uint8), kernel) > 0] = cv2.GC_FGD
    labels[cv2.dilate((person > 0.1).astype(np.uint8), kernel) == 0] = cv2.GC_BGD
    labels[:PADDED_ROWS] = cv2.GC_BGD
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(image, labels, None, *models, 5, cv2.GC_INIT_WITH_MASK)
    solid = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    solid = cv2.erode(solid, np.ones((3, 3), np.uint8))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    solid = keep_largest(cv2.morphologyEx(solid, cv2.MORPH_OPEN, disc))
    return cv2.GaussianBlur(solid.astype(np.float32), (0, 0), 1.0)


def keep_largest(mask: np.ndarray) -> np.ndarray:
    """The largest connected part of a uint8 mask, its holes filled."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(contours, key=cv2.contourArea)
    return cv2.drawContours(np.zeros_like(mask), [largest], -1, 1, cv2.FILLED)


def spread_colours(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Float RGB whose pixels near and beyond the outline take the person's own colour.

    Without it the photograph's bright background shows as a halo before a darker one.
    """
    inside = cv2.erode((alpha > 0.98).astype(np.float32), np.ones((3, 3)))
    colour = image.astype(np.float32) / 255
    spread = np.clip(blur_inside(colour, inside, 4.0), 0, 1)
    return np.where(inside[..., None] > 0, colour, spread).astype(np.float32)


def recolour(portrait: Portrait, colours: Colours) -> np.ndarray:
    """The portrait's image (SIZE,SIZE,3) with the colours of skin, hair and clothes changed."""
    skin, hair = skin_and_hair(portrait)
    lab = cv2.cvtColor(portrait.image, cv2.COLOR_RGB2LAB)
    lightness = lab[..., 0]
    mean = (lightness * hair).sum() / hair.sum()
    lab[..., 0] += hair * (colours.hair_contrast - 1) * (lightness - mean)
    # Shadows take less of a change than lights, as they would under another pigment.
    shade = np.clip(lightness / 80, 0, 1)[..., None]
    lab += shade * (skin[..., None] * colours.skin + hair[..., None] * colours.hair)
    image = cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB)

    return np.clip(dress(image, portrait, skin, colours.cloth), 0, 1).astype(np.float32)


def dress(
    image: np.ndarray, portrait: Portrait, skin: np.ndarray, cloth: tuple[float, float, float]
) -> np.ndarray:
    """`image` with the space suit turned into a plain jumper of RGB colour `cloth`.

    The suit's fittings would now and then pass for a second face.
    """
    suit = np.zeros((SIZE, SIZE), np.float32)
    suit[EARS_ROW:] = portrait.alpha[EARS_ROW:] > 0.02
    suit *= (1 - np.clip(2 * skin, 0, 1)) * (1 - hull_mask(portrait.points))
    light = blur_inside(portrait.image.mean(axis=2), suit, 5.0)[..., None]
    soft = cv2.GaussianBlur(suit, (0, 0), 1.0)[..., None]
    return image + soft * (np.float32(cloth) * (0.35 + 1.3 * light) - image)


def blur_inside(image: np.ndarray, mask: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of image (H,W[,3]) that only sees the pixels of `mask` (H,W)."""
    weight = cv2.GaussianBlur(mask, (0, 0), sigma)
    inside = image * (mask if image.ndim == 2 else mask[..., None])
    weight = weight if image.ndim == 2 else weight[..., None]
    return cv2.GaussianBlur(inside, (0, 0), sigma) / np.maximum(weight, 1e-4)


def skin_and_hair(portrait: Portrait) -> tuple[np.ndarray, np.ndarray]:
    """Soft masks (SIZE,SIZE) float32 of the skin and of the hair with brows."""
    face = hull_mask(portrait.points)
    head = head_mask(portrait)
    left, right = portrait.points[:, 0].min(), portrait.points[:, 0].max()
    head[EARS_ROW:NECK_ROW, int(left) - 10 : int(right) + 10] = 1
    head = cv2.dilate(head, np.ones((9, 9)))  # colour the soft outline too
    lab = cv2.GaussianBlur(cv2.cvtColor(portrait.image, cv2.COLOR_RGB2LAB), (0, 0), 1.5)
    to_skin = np.hypot(lab[..., 1] - SKIN_LAB[0], lab[..., 2] - SKIN_LAB[1])
    to_hair = np.hypot(lab[..., 1] - HAIR_LAB[0], lab[..., 2] - HAIR_LAB[1])
    skin_like = 1 / (1 + np.exp(to_skin - to_hair))
    skin_like[lab[..., 0] < 40] = 0
    skin_like[EARS_ROW:] = np.clip((lab[EARS_ROW:, :, 2] - 8) / 4, 0, 1)  # the collar is grey
    centre = cv2.erode(face, np.ones((9, 9)))
    centre[: int(portrait.points[BROW, 1])] = 0  # hair may hang over the brows
    skin = cv2.GaussianBlur(np.maximum(skin_like, centre) * head, (0, 0), 1.5)
    mouth = np.zeros((SIZE, SIZE), np.float32)
    cv2.fillPoly(mouth, [portrait.points[LIPS_INNER, :2].astype(np.int32)], 1.0)
    mouth = cv2.erode(mouth, np.ones((3, 3)))
    hair = cv2.GaussianBlur((1 - skin_like) * (1 - centre) * head, (0, 0), 1.5)
    hair[EARS_ROW:] = 0
    return skin * (1 - mouth), hair


def hull_mask(points: np.ndarray) -> np.ndarray:
    """1 inside the convex hull of the face points, (SIZE,SIZE) float32."""
    mask = np.zeros((SIZE, SIZE), np.float32)
    hull = cv2.convexHull(points[:, :2].astype(np.float32))
    return cv2.fillConvexPoly(mask, hull.astype(np.int32), 1.0)


def head_mask(portrait: Portrait) -> np.ndarray:
    """1 on what moves with the skull: hair, ears and face, (SIZE,SIZE) float32."""
    above = (np.arange(SIZE)[:, None] < EARS_ROW) & (portrait.alpha > 0.5)
    return np.maximum(above.astype(np.float32), hull_mask(portrait.points))


def paint_background(rng: np.random.Generator, size: int, hue: float) -> np.ndarray:
    """A quiet out-of-focus room (size,size,3) float32: a wall with light from one side and a few
    soft panels. hue in degrees."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    value = 0.62 + 0.16 * (x - 0.5) * rng.choice([-1, 1]) - 0.12 * y
    hsv = np.stack([np.full_like(x, hue), np.full_like(x, 0.22), value], axis=-1)
    image = cv2.cvtColor(hsv.astype(np.float32), cv2.COLOR_HSV2RGB)
    for _ in range(5):
        left, top = rng.uniform(-0.1, 0.9, 2) * size
        width, height = rng.uniform(0.1, 0.35, 2) * size
        colour = image.mean((0, 1)) * rng.uniform(0.55, 1.3) + rng.uniform(-0.06, 0.06, 3)
        corners = np.array([left, top, left + width, top + height]).astype(int)
        cv2.rectangle(image, tuple(corners[:2]), tuple(corners[2:]), colour.tolist(), cv2.FILLED)
    return np.clip(cv2.GaussianBlur(image, (0, 0), size * 0.02), 0, 1)

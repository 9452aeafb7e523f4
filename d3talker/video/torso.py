"""The torso layer: neck and clothes, with the neck painted on behind the jaw (spec 1.6)."""

import cv2
import numpy as np

from d3talker.face.parsing import CLOTH, FACE, NECK, head_mask

NECK_RISE = 53  # px at 512 by which the neck is painted up
NECK_SHIFT = 4  # px at 512 below the edge, where its colour is taken
CLOTH_RISE = 9  # px at 512 by which clothes are painted up
DARKENING = 0.98  # per px upwards
SMOOTH_COLUMNS = 9  # median over neighbouring columns' colours, against single shirt pixels


def torso_layer(frame: np.ndarray, labels: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Torso of one frame: (H,W,4) uint8 RGBA, alpha 255 on neck, cloth and what is painted.

    frame, background: (H,W,3) uint8 RGB; labels: (H,W) uint8. Only head pixels are painted, so
    the real neck and clothes stay untouched.
    """
    unit = len(frame) / 512
    head = head_mask(labels)
    image = cv2.copyTo(background, head.astype(np.uint8), frame.copy())
    cloth, colours = paint_up(frame, labels, CLOTH, round(CLOTH_RISE * unit), 0)
    image[cloth] = colours
    neck, colours = paint_up(frame, labels, NECK, round(NECK_RISE * unit), round(NECK_SHIFT * unit))
    image[neck] = colours
    _blur(image, neck)
    opaque = ((labels >= NECK) | cloth | neck).astype(np.uint8) * 255
    return cv2.merge([*cv2.split(cv2.copyTo(image, opaque)), opaque])


def paint_up(
    frame: np.ndarray, labels: np.ndarray, part: int, rise: int, shift: int
) -> tuple[np.ndarray, np.ndarray]:
    """Continue the label `part` upwards behind the head, column by column, darker with every row.

    In each column the colour is taken `shift` rows below the topmost pixel of `part` that has
    the face right above it (less where the part ends before), and goes up `rise` rows from
    there. Columns where something else of the torso touches the face (a tie, a collar, a shadow)
    take their colour from the nearest columns of `part`.
    frame (H,W,3) uint8; labels (H,W) uint8. Returns (painted (H,W) bool, only head pixels;
    colours (n,3) uint8 in the order of the painted pixels).
    """
    height, width = labels.shape
    own, face = labels == part, labels == FACE
    edge = own[1:] & face[:-1]
    found = np.flatnonzero(edge.any(0))
    if len(found) == 0:
        return np.zeros_like(own), np.zeros((0, 3), np.uint8)
    rows, columns = np.arange(height)[:, None], np.arange(width)
    top = edge[:, found].argmax(0) + 1
    first = top.min()
    below = (own[first:, found] & (rows[first:] >= top)).sum(0)
    source = height - face[::-1].argmax(0) + shift  # first row below the face, and further
    source[found] = top + np.clip(below - 1, 0, shift)
    colours = frame[source[found], found].astype(np.float32)
    colours = np.stack([np.interp(columns, found, channel) for channel in colours.T], axis=1)
    colours = cv2.medianBlur(colours[None].astype(np.uint8), SMOOTH_COLUMNS)[0]
    touching = ((labels[1:] >= NECK) & face[:-1]).any(0)
    span = slice(max(0, source.min() - rise), min(height, source.max()))
    steps = source - rows[span]
    painted = np.zeros_like(own)
    painted[span] = head_mask(labels[span]) & touching & (steps > 0) & (steps < rise)
    y, x = np.nonzero(painted)
    steps = source[x] - y
    return painted, (colours[x] * DARKENING ** steps[:, None]).astype(np.uint8)


def _blur(image: np.ndarray, mask: np.ndarray) -> None:
    """Blur the pixels of image (H,W,3) uint8 in mask (H,W) bool."""
    found = np.flatnonzero(mask.any(1))
    if len(found):
        rows = slice(max(0, found[0] - 2), found[-1] + 3)  # what 5 x 5 px see
        image[rows][mask[rows]] = cv2.GaussianBlur(image[rows], (5, 5), 0)[mask[rows]]

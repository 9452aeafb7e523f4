"""Label images: what each pixel shows, and the masks and the backdrop that follow from them."""

import numpy as np

BACKGROUND, FACE, HAIR, INNER_MOUTH, TEETH, NECK, CLOTH = range(7)
NAMES = ("background", "face", "hair", "inner mouth", "teeth", "neck", "cloth")


def head_mask(labels: np.ndarray) -> np.ndarray:
    """Pixels that the avatar draws: face, hair and all of the mouth. Any shape uint8 -> bool."""
    return (labels >= FACE) & (labels <= TEETH)


def mouth_mask(labels: np.ndarray) -> np.ndarray:
    """Inside of the mouth with the teeth. Any shape uint8 -> bool."""
    return (labels == INNER_MOUTH) | (labels == TEETH)


def backdrop(
    frame: np.ndarray, labels: np.ndarray, torso_rgba: np.ndarray, background: np.ndarray
) -> np.ndarray:
    """What stands behind the head: (H,W,3) uint8.

    Everything outside the head is the real frame (spec 3.5). Inside it, the neck painted up
    behind the jaw (`torso_rgba` where opaque), else the clean plate. frame, background (H,W,3)
    uint8 RGB; labels (H,W) uint8; torso_rgba (H,W,4) uint8, alpha 0 or 255.
    """
    behind = background.copy()
    np.copyto(behind, torso_rgba[..., :3], where=torso_rgba[..., 3:] > 0)
    np.copyto(behind, frame, where=~head_mask(labels)[..., None])
    return behind


def extents(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First column and row of every mask (n,h,w) and those after its last: (n,2) x, y, each.

    Of an empty mask they are those of the whole image.
    """
    starts, stops = [], []
    for axis in (1, 2):  # reduce over rows to get columns (x), then over columns to get rows (y)
        present = masks.any(axis=axis)
        starts.append(present.argmax(axis=1))
        stops.append(present.shape[1] - present[:, ::-1].argmax(axis=1))
    return np.stack(starts, axis=1), np.stack(stops, axis=1)

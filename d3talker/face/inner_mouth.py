"""The inner mouth of a frame: the mesh's inner lips moved onto the lips' edges, and the teeth.

The mesh is off by about a pixel, which is a fifth of the area of a mouth ten pixels high. At its
edge a lip stops having its own colour; each lip is moved as a whole to where that shows most.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import tee

import cv2
import numpy as np

from d3talker.face.parsing import FACE, INNER_MOUTH, TEETH
from d3talker.face.segment import INNER_LIPS, SkinModel, fill

# Edges of the lips: mesh indices from the right to the left corner of the mouth.
UPPER_EDGE = [INNER_LIPS[0], *INNER_LIPS[:9:-1]]
LOWER_EDGE = INNER_LIPS[:11]
STEPS = 4  # places per px at 512 at which a lip's edge is looked for
REACH = 2.5  # px at 512 by which a lip may be moved
LIP = (2.5, 4.5)  # px at 512 beyond the mesh's edge: there a lip has its own colour
FAR = 5.0  # px at 512, how far pixels are read on either side of the mesh's edge
ALONG = np.linspace(0.2, 0.8, 31)  # where between a lip's ends: the corners have no clear edge
FINE = 4  # the mouth is filled at this multiple of the frame's resolution
PATCH = (96, 64)  # px, width and height of the upright picture in which teeth are averaged
PATCH_WIDTH = 1.2  # in units of the width of the mouth


@dataclass(frozen=True)
class MouthSettings:
    """Weights of a lip's edge, and thresholds of teeth."""

    side: float = 0.5  # px at 512 on either side of an edge whose colours are compared
    chroma: float = 3.0  # weight of Cr and Cb against luma: teeth are as bright as lips
    prior: float = 1.5  # px at 512, standard deviation of the mesh's error
    evidence: float = 4.0  # weight of the colours against the prior
    least_contrast: float = 10.0  # weighted grey levels; a fainter edge counts for less
    teeth_luma: float = 0.5  # teeth are brighter than this share of the cheeks' luma
    teeth_redness: float = 0.8  # and have less than this share of the lips' or cheeks' (Cr - 128)


def mouths(
    frames: Iterable[np.ndarray],
    points: Iterable[np.ndarray],
    skin: SkinModel,
    settings: MouthSettings,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (shifts (2,) px, teeth PATCH float32) of every frame, smooth in time, one frame late.

    frames (H,W,3) uint8 RGB, points (478,3) px.
    """
    first, second = tee(
        (lip_shifts(frame, mesh, settings), teeth_patch(frame, mesh, skin, settings))
        for frame, mesh in zip(frames, points, strict=True)
    )
    shifts = smooth_in_time(shift for shift, _ in first)
    return zip(shifts, smooth_in_time(teeth for _, teeth in second), strict=True)


def smooth_in_time(images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Average each image with its neighbours in time (weights 1/4, 1/2, 1/4), one frame late."""
    before = current = None
    for after in images:
        if current is not None:
            yield 0.25 * (before + after) + 0.5 * current
        before, current = (after if current is None else current), after
    if current is not None:
        yield 0.25 * before + 0.75 * current


def lip_shifts(frame: np.ndarray, mesh: np.ndarray, settings: MouthSettings) -> np.ndarray:
    """How far (upper, lower) lip's edge lies below the mesh's, (2,) px.

    frame (H,W,3) uint8; mesh (478,3) px.
    """
    unit = len(frame) / 512
    lips = mesh[UPPER_EDGE + LOWER_EDGE, :2]
    corner = np.maximum(np.floor(lips.min(0) - FAR * unit).astype(int) - 1, 0)
    stop = np.maximum(np.ceil(lips.max(0) + FAR * unit).astype(int) + 1, 0)
    window = frame[corner[1] : stop[1], corner[0] : stop[0]]
    if window.size == 0:
        return np.zeros(2)
    colours = cv2.cvtColor(window, cv2.COLOR_RGB2YCrCb).astype(np.float32)
    colours *= np.array([1, settings.chroma, settings.chroma], np.float32)
    outward = np.arange(-round(FAR * STEPS), round(FAR * STEPS) + 1) / STEPS
    shifts = []
    for lip, sign in ((UPPER_EDGE, -1), (LOWER_EDGE, 1)):
        edge = along(mesh[lip, :2]) - corner - 0.5
        places = edge[:, None] + sign * unit * outward[:, None] * downwards(mesh)
        lines = cv2.remap(
            colours, places.astype(np.float32), None, cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        shifts.append(sign * unit * edge_of_lip(lines, outward, settings))
    return np.array(shifts)


def edge_of_lip(lines: np.ndarray, outward: np.ndarray, settings: MouthSettings) -> float:
    """Where lines across a lip's edge leave the lip's colour, px at 512 outwards from the mesh.

    lines (n,p,3) weighted colours at the places `outward` (p,) px at 512.
    """
    own = lines[:, (outward >= LIP[0]) & (outward <= LIP[1])]
    difference = np.linalg.norm(lines - np.median(own, axis=1, keepdims=True), axis=2)
    width = max(1, round(settings.side * STEPS))
    sums = np.cumsum(np.pad(difference, ((0, 0), (1, 0))), axis=1)
    at = np.flatnonzero(np.abs(outward) <= REACH)
    inside = sums[:, at] - sums[:, at - width]
    outside = sums[:, at + 1 + width] - sums[:, at + 1]
    gain = (inside - outside).mean(axis=0) / width
    evidence = settings.evidence * gain / max(gain.max(), settings.least_contrast)
    return float(outward[at][np.argmax(evidence - 0.5 * (outward[at] / settings.prior) ** 2)])


def along(curve: np.ndarray) -> np.ndarray:
    """Points at ALONG of a curve (11,2)."""
    nodes = np.linspace(0, 1, len(curve))
    return np.stack([np.interp(ALONG, nodes, curve[:, axis]) for axis in (0, 1)], axis=1)


def downwards(mesh: np.ndarray) -> np.ndarray:
    """Unit vector (2,) from the upper to the lower lip, square to the line between the corners."""
    across = mesh[UPPER_EDGE[-1], :2] - mesh[UPPER_EDGE[0], :2]
    return np.array([-across[1], across[0]]) / max(float(np.linalg.norm(across)), 1e-6)


def patch_map(mesh: np.ndarray) -> np.ndarray:
    """Affine map (2,3) from PATCH's pixel indices to those of the frame."""
    right, left = mesh[UPPER_EDGE[0], :2], mesh[UPPER_EDGE[-1], :2]
    across = (left - right) * PATCH_WIDTH / PATCH[0]
    axes = np.stack([across, [-across[1], across[0]]], axis=1)
    middle = (right + left) / 2 - 0.5
    return np.column_stack([axes, middle - axes @ (np.array(PATCH) / 2 - 0.5)])


def teeth_patch(
    frame: np.ndarray, mesh: np.ndarray, skin: SkinModel, settings: MouthSettings
) -> np.ndarray:
    """Upright picture of the mouth, PATCH float32 in [-1,1], positive on teeth: bright, not red."""
    patch = cv2.warpAffine(
        frame, patch_map(mesh), PATCH, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    luma, red, _ = cv2.split(cv2.cvtColor(patch, cv2.COLOR_RGB2YCrCb).astype(np.float32))
    redness = max(skin.cheek[1], skin.lips[1]) - 128
    bright = luma / max(settings.teeth_luma * skin.cheek[0], 1.0) - 1
    pale = 1 - (red - 128) / max(settings.teeth_redness * redness, 1.0)
    return cv2.blur(np.clip(np.minimum(bright, pale), -1, 1), (3, 3))


def mark_mouth(labels: np.ndarray, mesh: np.ndarray, shifts: np.ndarray, teeth: np.ndarray) -> None:
    """Write INNER_MOUTH, and in it TEETH, into labels (H,W) uint8, over FACE only.

    mesh (478,3) px; shifts (2,) px and teeth PATCH as `mouths` gives them.
    """
    down = downwards(mesh)
    upper, lower = (
        mesh[lip, :2] + shift * down
        for lip, shift in zip((UPPER_EDGE, LOWER_EDGE), shifts, strict=True)
    )
    outline = np.concatenate([upper, lower[::-1]])
    low = np.clip(np.floor(outline.min(0)).astype(int) - 1, 0, None)
    high = np.clip(np.ceil(outline.max(0)).astype(int) + 1, 0, labels.shape[::-1])
    if (high <= low).any():
        return
    region = labels[low[1] : high[1], low[0] : high[0]]
    width, height = high - low
    fine = fill((height * FINE, width * FINE), (outline - low) * FINE) * 255
    covered = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA) > 127
    covered &= region == FACE
    to_frame = patch_map(mesh)
    to_frame[:, 2] -= low
    shown = cv2.warpAffine(teeth, to_frame, (int(width), int(height)), borderValue=-1)
    region[covered] = INNER_MOUTH
    region[covered & (shown > 0)] = TEETH

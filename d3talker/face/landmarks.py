"""Face landmarks of a clip: which face to follow, gaps, and how open eyes and mouth are."""

from collections.abc import Callable, Iterable

import numpy as np

# MediaPipe face mesh indices. Each eye: outer corner, inner corner, then (upper, lower) lid pairs.
RIGHT_EYE = (33, 133, ((159, 145), (158, 153)))
LEFT_EYE = (263, 362, ((386, 374), (385, 380)))
OUTER_EYE_CORNERS = (33, 263)
INNER_LIPS = (13, 14)


LOST_FRAMES = 50  # 2 s, the longest gap that ingest leaves in a clip


def follow_face(candidates: np.ndarray, previous: np.ndarray | None) -> np.ndarray | None:
    """The face of this frame that continues the clip: the nearest one, first the largest.

    candidates: (n,P,3) px; previous: (P,3) px of the last frame with a face, or None. None if no
    face is within the previous one's height of its place: that is somebody else.
    """
    if len(candidates) == 0:
        return None
    if previous is None:
        return candidates[np.ptp(candidates[:, :, 1], axis=1).argmax()]
    distance = np.linalg.norm(candidates[:, :, :2] - previous[:, :2], axis=2).mean(1)
    nearest = distance.argmin()
    return candidates[nearest] if distance[nearest] < np.ptp(previous[:, 1]) else None


def track_faces(
    frames: Iterable[np.ndarray], find_meshes: Callable[[np.ndarray], np.ndarray], points: int
) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks of one face through a clip.

    frames: (H,W,3) uint8. find_meshes: image -> (n,points,3) px of all faces in it.
    A face that is lost for LOST_FRAMES is looked for anew. Returns points (T,points,3) float32 and
    valid (T,) bool. Frames without a face are bridged by
    linear interpolation, never skipped; a clip without any face gives zeros and no valid frame.
    """
    empty = np.zeros((points, 3), np.float32)
    data, valid, previous = bytearray(), [], None  # a list of arrays would be copied once more
    for frame in frames:
        found = follow_face(find_meshes(frame), previous)
        valid.append(found is not None)
        if found is not None or not any(valid[-LOST_FRAMES:]):
            previous = found
        data += np.asarray(empty if found is None else found, np.float32).tobytes()
    tracks = np.frombuffer(data, np.float32).reshape(-1, points, 3)
    return bridge_gaps(tracks, np.array(valid, bool)), np.array(valid, bool)


def bridge_gaps(points: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Replace invalid frames of points (T,P,3) by interpolation between the valid neighbours.

    Before the first and after the last valid frame that frame's points are repeated.
    """
    known = np.flatnonzero(valid)
    if len(known) == 0:
        return points
    missing = np.flatnonzero(~valid)
    position = np.interp(missing, known, np.arange(len(known)))
    before = position.astype(int)
    after = np.minimum(before + 1, len(known) - 1)
    weight = (position - before)[:, None, None].astype(np.float32)
    bridged = points.copy()
    bridged[missing] = points[known[before]] * (1 - weight) + points[known[after]] * weight
    return bridged


def eye_openness(points: np.ndarray) -> np.ndarray:
    """Lid gap over eye width of the person's right and left eye: (T,478,3) -> (T,2) float32."""
    ratios = []
    for outer, inner, lids in (RIGHT_EYE, LEFT_EYE):
        gap = np.mean([_distance(points, upper, lower) for upper, lower in lids], axis=0)
        ratios.append(_ratio(gap, _distance(points, outer, inner)))
    return np.stack(ratios, axis=1)


def mouth_openness(points: np.ndarray) -> np.ndarray:
    """Inner lip gap over the distance of the outer eye corners: (T,478,3) -> (T,) float32."""
    return _ratio(_distance(points, *INNER_LIPS), _distance(points, *OUTER_EYE_CORNERS))


def _distance(points: np.ndarray, a: int, b: int) -> np.ndarray:
    return np.linalg.norm(points[:, a, :2] - points[:, b, :2], axis=1)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0).astype(np.float32)

"""The check picture: some frames of a clip with the points of the tracked face drawn into them."""

import cv2
import numpy as np

COLUMNS = 3
SHOWN = 6  # frames
SIDE = 360  # px, of a shown frame
CAPTION = 26  # px, height of the darkened stripe below
GOOD, EXCLUDED = (60, 230, 110), (255, 90, 60)  # RGB
SUBPIXEL_BITS = 4  # OpenCV takes places in 1/16 px


def choose_frames(error: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Frame numbers (SHOWN,) in order: spread over the clip, and the worst one that is valid.

    error (T,) px, NaN where no face was found; valid (T,) bool, one at least; T >= SHOWN.
    """
    spread = np.linspace(0, len(error) - 1, SHOWN).round().astype(int)
    worst = int(np.argmax(np.where(valid, error, -1.0)))
    if worst not in spread:
        spread[np.abs(spread - worst).argmin()] = worst
    return np.sort(spread)


def check_picture(
    frames: list[np.ndarray], points: np.ndarray, captions: list[str], valid: np.ndarray
) -> np.ndarray:
    """Frames (S,S,3) uint8 in rows of COLUMNS, with points (n,P,2) px and captions on them.

    Points of frames that are not valid (n,) have another colour. Rows are filled with black.
    """
    tiles = [
        tile(frame, points[i], captions[i], GOOD if valid[i] else EXCLUDED)
        for i, frame in enumerate(frames)
    ]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    rows = [np.concatenate(tiles[i : i + COLUMNS], 1) for i in range(0, len(tiles), COLUMNS)]
    return np.concatenate(rows)


def tile(frame: np.ndarray, points: np.ndarray, caption: str, colour: tuple) -> np.ndarray:
    """One frame at SIDE x SIDE with its points (P,2) px and its caption."""
    scale = SIDE / len(frame)
    image = cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    # A pixel's centre lies half a pixel from its corner; OpenCV counts from the centre.
    places = ((points * scale - 0.5) * 2**SUBPIXEL_BITS).round().astype(int)
    for place in places.tolist():
        cv2.circle(image, place, 1 << (SUBPIXEL_BITS - 1), colour, -1, cv2.LINE_AA, SUBPIXEL_BITS)
    image[-CAPTION:] //= 3
    origin, font = (8, SIDE - 8), cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(image, caption, origin, font, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    return image

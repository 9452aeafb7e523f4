"""The error of a rendered frame as a picture, in the colours of OpenCV's map `inferno`."""

import numpy as np

FULL_SCALE = 48  # grey levels of 255: an error as large has the brightest colour
COLOUR_MAP = "inferno"  # of OpenCV and of matplotlib, which have the same; black is no error


def error_map(truth: np.ndarray, render: np.ndarray) -> np.ndarray:
    """Mean absolute difference of the colour channels of two frames, as a picture.

    truth, render: (H,W,3) uint8 RGB. Returns (H,W,3) uint8 RGB; black is an error of 0 grey levels,
    the brightest colour one of FULL_SCALE and more.
    """
    import cv2  # not in every environment

    difference = cv2.absdiff(truth, render).mean(axis=2)
    level = np.minimum(difference * (255 / FULL_SCALE), 255).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(level, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)

"""The windows in which speech features reach the fields (spec 1.2, step 7)."""

import numpy as np

WINDOW = 16  # 50 Hz rows in a window, 0.32 s
PAD = 8  # rows of zeros on both sides, so that window i is centred on frame i


def frame_windows(rows: np.ndarray, frames: int) -> np.ndarray:
    """Windows (T,16,C) of 50 Hz rows (n,C), T = `frames` at 25 Hz; n is 2 T or 2 T - 1.

    Window i covers the rows [2i-8, 2i+8), 0.16 s before and after frame i; beyond the ends, zeros.
    """
    padded = np.pad(rows, ((PAD, PAD), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=0)
    return np.ascontiguousarray(windows[: 2 * frames : 2].transpose(0, 2, 1))

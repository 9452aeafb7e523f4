"""Whether the sound and the picture of a clip are in step, and by how much they are not.

The mouth opening that the sound tells is compared with the one seen, at many lags. A lag counts
where the clip itself says with confidence which one it is, and is large enough to be noticed.
"""

from dataclasses import dataclass

import numpy as np

BLOCK = 25  # frames, 1 s: drawn together when the clip is resampled
RESAMPLES = 1000
REACH_MS = 500  # searched on each side
SHORTEST = 10  # blocks; fewer tell nothing about how sure a lag is
EDGE = 20  # frames left out at each end: what the sound misses there when it is moved, and hears


@dataclass(frozen=True)
class SyncSettings:
    """When a lag is clear, and what is then done."""

    correct: bool = True  # move the sound where the lag is clear; otherwise it is only reported
    least_ms: float = 40.0  # a smaller lag is left: one frame, which nobody notices (ITU-R BT.1359)
    least_agreement: float = 0.3  # correlation of heard and seen mouth opening at the best lag
    widest_ms: float = 100.0  # of the 95 % interval of the lag


@dataclass(frozen=True)
class Lag:
    """Where the sound fits the picture best. Times in ms, positive where the picture is late."""

    best_ms: int
    interval_ms: tuple[int, int]  # 95 %
    agreement: float  # correlation there
    agreement_as_recorded: float  # correlation at 0
    agreement_by_lag: list[float]  # of every lag that was tried


def measure_lag(
    heard: np.ndarray, seen: np.ndarray, valid: np.ndarray, lags_ms: list[int]
) -> Lag | None:
    """The lag at which heard and seen mouth opening correlate best; None if the clip is too short.

    heard (L,T): opening predicted from the sound delayed by each of `lags_ms`; seen and valid (T,).
    The interval is the lag's spread over resamples of the clip's seconds.
    """
    counts = block_sums(valid[None].astype(float))[0]
    if len(counts) < SHORTEST:
        return None
    heard, seen = heard * valid, seen * valid
    sums = [block_sums(values) for values in (heard, heard**2, heard * seen)]
    sums += [block_sums(values[None]) for values in (seen, seen**2)]
    whole = correlations(np.ones((1, len(counts))), counts, sums)[0]
    draws = np.random.default_rng(0).multinomial(
        len(counts), np.full(len(counts), 1 / len(counts)), RESAMPLES
    )
    ms = np.array(lags_ms)
    spread = ms[correlations(draws, counts, sums).argmax(axis=1)]
    low, high = np.percentile(spread, [2.5, 97.5])
    return Lag(
        best_ms=int(ms[whole.argmax()]),
        interval_ms=(round(low), round(high)),
        agreement=round(float(whole.max()), 3),
        agreement_as_recorded=round(float(whole[lags_ms.index(0)]), 3),
        agreement_by_lag=whole.round(3).tolist(),
    )


def block_sums(values: np.ndarray) -> np.ndarray:
    """Sums (L,B) of values (L,T) over the whole BLOCKs of frames within EDGE of the ends."""
    blocks = (values.shape[1] - 2 * EDGE) // BLOCK
    return values[:, EDGE : EDGE + blocks * BLOCK].reshape(len(values), blocks, BLOCK).sum(axis=2)


def correlations(draws: np.ndarray, counts: np.ndarray, sums: list[np.ndarray]) -> np.ndarray:
    """Correlation (R,L) in every draw of blocks (R,B); 0 where one signal does not vary.

    counts (B,); sums (L,B) or (1,B) of x, x*x, x*y, y, y*y.
    """
    x, xx, xy, y, yy = (draws @ part.T for part in sums)
    n = np.maximum(draws @ counts, 1)[:, None]
    power = (xx - x * x / n) * (yy - y * y / n)
    return (xy - x * y / n) / np.sqrt(np.maximum(power, 1e-12))


def verdict(lag: Lag | None, settings: SyncSettings) -> tuple[bool, str]:
    """Whether the sound is to be moved, and what is said about it."""
    if lag is None:
        return False, "the clip is too short to tell whether sound and picture are in step"
    low, high = lag.interval_ms
    side = "after" if lag.best_ms >= 0 else "before"
    what = f"the picture comes {abs(lag.best_ms)} ms {side} the sound (95 %: {low:+d} to {high:+d})"
    if lag.agreement < settings.least_agreement:
        return False, (
            "the sound hardly tells how the mouth moves "
            f"(correlation {lag.agreement:.2f}): whether they are in step is unknown"
        )
    if abs(lag.best_ms) >= REACH_MS:
        return False, f"{what}, where the search ended: no peak; too uncertain to correct"
    if high - low > settings.widest_ms:
        return False, f"{what}; too uncertain to correct"
    if abs(lag.best_ms) < settings.least_ms or low <= 0 <= high:
        return False, f"in step: {what}"
    if not settings.correct:
        return False, f"{what}; left so, as the configuration asks"
    return True, f"{what}; the sound is moved to fit"

"""Whether two lists of scores put methods into the same order."""

import itertools
import math
from collections.abc import Sequence


def kendall_tau(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """Kendall's tau-b of two lists of equal length: 1 is the same order, -1 the reverse.

    Ties are counted as Kendall (1945) does: (C - D) / sqrt((P - T_ours) (P - T_theirs)) with C
    concordant and D discordant of the P pairs, and T those tied in one list. None where it is not
    defined: fewer than two items, or one list that is constant.
    """
    difference = untied_ours = untied_theirs = 0
    for (a, x), (b, y) in itertools.combinations(zip(ours, theirs, strict=True), 2):
        order_ours, order_theirs = (a > b) - (a < b), (x > y) - (x < y)
        difference += order_ours * order_theirs
        untied_ours += order_ours != 0
        untied_theirs += order_theirs != 0
    if not untied_ours or not untied_theirs:
        return None
    return difference / math.sqrt(untied_ours * untied_theirs)

"""Line charts as inline SVG. Colours and fonts come from the page's style sheet."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

HEIGHT = 190  # px
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 24, 34  # px around the plot, for labels
TICKS = 5  # at most about so many steps on an axis


@dataclass(frozen=True)
class Line:
    """One curve. x, y: (n,) of finite x; the line is broken where y is NaN."""

    name: str
    x: np.ndarray
    y: np.ndarray


def chart(
    title: str,
    x_label: str,
    lines: Sequence[Line],
    parts: Sequence[tuple[float, str]] = (),
    width: int = 340,
) -> str:
    """SVG of a line chart, `width` px wide unless the page scales it.

    parts: (x where it starts, name) of sections marked in the plot.
    """
    edge = width - RIGHT
    x_range = value_range(
        np.concatenate([[start for start, _ in parts], *[line.x for line in lines]])
    )
    y_ticks = ticks(*value_range(np.concatenate([line.y for line in lines])))
    y_range = min(y_ticks), max(y_ticks)

    def place(x: float, y: float) -> tuple[float, float]:
        right = (x - x_range[0]) / (x_range[1] - x_range[0])
        up = (y - y_range[0]) / (y_range[1] - y_range[0])
        return LEFT + right * (edge - LEFT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    drawing = [f'<svg viewBox="0 0 {width} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    drawing.append(text(LEFT, 13, title, "title"))
    for value in y_ticks:
        y = place(x_range[0], value)[1]
        drawing.append(rule(LEFT, y, edge, y, "grid"))
        drawing.append(text(LEFT - 6, y + 3.5, f"{value:.6g}", "tick end"))
    for value in ticks(*x_range):
        if x_range[0] <= value <= x_range[1]:
            x = place(value, y_range[0])[0]
            drawing.append(text(x, HEIGHT - BOTTOM + 14, f"{value:.6g}", "tick middle"))
    drawing.append(text(edge, HEIGHT - 5, x_label, "tick end"))
    for start, name in parts:
        x = place(start, y_range[0])[0]
        drawing.append(rule(x, TOP, x, HEIGHT - BOTTOM, "part"))
        late = x > 0.7 * edge  # its name would not fit on the right
        drawing.append(
            text(x - 4 if late else x + 4, TOP + 10, name, "tick end" if late else "tick")
        )
    for number, line in enumerate(lines):
        points = [place(x, y) for x, y in zip(line.x, line.y, strict=True)]
        drawing.append(f'<path class="line line{number}" d="{path(points)}"/>')
    drawing.extend(legend([line.name for line in lines], edge))
    return "\n".join([*drawing, "</svg>"])


def value_range(values: np.ndarray) -> tuple[float, float]:
    """Smallest and largest finite value, at least a little apart."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def ticks(low: float, high: float) -> list[float]:
    """Round values from at or below `low` to at or above `high`."""
    rough = (high - low) / TICKS
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * next(nice for nice in (1, 2, 5, 10) if nice * power >= rough * 0.999)
    first, last = np.floor(low / step + 1e-6), np.ceil(high / step - 1e-6)
    return [float(step * n) for n in np.arange(first, last + 1)]


def path(points: Sequence[tuple[float, float]]) -> str:
    """SVG path through points in px, lifted over those with NaN."""
    commands, pen = [], "M"
    for x, y in points:
        if np.isnan(y):
            pen = "M"
            continue
        commands.append(f"{pen}{x:.1f},{y:.1f}")
        pen = "L"
    return "".join(commands)


def legend(names: Sequence[str], edge: float) -> list[str]:
    """Names of the lines above the plot, up to its right `edge`; none for a single line."""
    if len(names) < 2:
        return []
    drawing, x = [], edge
    for number in reversed(range(len(names))):
        x -= 7 * len(names[number])
        drawing.append(text(x, 13, names[number], "tick"))
        drawing.append(rule(x - 22, 9, x - 5, 9, f"line line{number}"))
        x -= 38
    return drawing


def text(x: float, y: float, content: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}">{escape(content)}</text>'


def rule(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>'

"""Line charts by matplotlib as SVG that stands inside the page and follows its style sheet.

Colours are those of the page by day. Inside the page each becomes the CSS variable that stands for
it, so that a chart is dark where the page is dark.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import StringIO

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# CSS variables of the page and their value by day. `line0` is the truth.
LINES = ["#1d2125", "#0b6bcb", "#d9480f", "#2b8a3e", "#9c36b5", "#a66f00", "#0c8599", "#c2255c"]
COLOURS = {"ink": "#1d2126", "soft": "#5f666e", "edge": "#dfe2e5"}
COLOURS |= {f"line{number}": colour for number, colour in enumerate(LINES)}
SIZES = {"wide": 1000, "narrow": 340}  # px of width; the page shows the one that fits
HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 190, 46, 12, 26, 36  # px
STYLE = {
    "svg.fonttype": "none",  # text stays text: smaller, selectable, in the page's font
    "path.simplify_threshold": 0.2,  # px
    "font.size": 11.0,
    "axes.edgecolor": COLOURS["edge"],
    "axes.labelcolor": COLOURS["soft"],
    "axes.titlecolor": COLOURS["ink"],
    "axes.titlesize": 12.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.xmargin": 0.0,
    "grid.color": COLOURS["edge"],
    "text.color": COLOURS["soft"],
    "xtick.labelcolor": COLOURS["soft"],
    "ytick.labelcolor": COLOURS["soft"],
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "lines.linewidth": 1.6,
}


@dataclass(frozen=True)
class Line:
    """One curve. x, y: (n,) of finite x; the line is broken where y is NaN."""

    name: str
    x: np.ndarray
    y: np.ndarray
    colour: int = 1  # index into LINES, which starts anew after its last


def chart(
    key: str,
    title: str,
    x_label: str,
    lines: Sequence[Line],
    alternative: str,
    parts: Sequence[tuple[float, str]] = (),
    width: int = SIZES["narrow"],
    style: str = "",
) -> str:
    """SVG of a line chart, `width` px wide unless the page scales it.

    key: tells the chart from all others of the page. alternative: the sentence that says what it
    shows. parts: (x where it starts, name) of sections marked in the plot. style: CSS classes of
    the SVG. Each line is a group of class `curve` with its name as data-name; the SVG says in
    data-left, data-right (shares of its width) and data-from, data-to where the x axis lies.
    """
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": key}):
        figure = Figure(figsize=(width / 72, HEIGHT / 72))
        edges = {"left": LEFT / width, "right": 1 - RIGHT / width}
        axes = figure.subplots(
            gridspec_kw=edges | {"top": 1 - TOP / HEIGHT, "bottom": BOTTOM / HEIGHT}
        )
        axes.set_title(title)
        axes.set_xlabel(x_label, loc="right")
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_locator(MaxNLocator(max(4, width // 100)))
        axes.ticklabel_format(useOffset=False)
        for number, line in enumerate(lines):
            colour = COLOURS[line_colour(line.colour)]
            axes.plot(line.x, line.y, color=colour, gid=f"curve:{number}", solid_joinstyle="round")
        if not any(np.isfinite(line.y).any() for line in lines):
            axes.set_yticks([])
        mark_parts(axes, parts)
        first, last = axes.get_xlim()
        text = StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    attributes = edges | {"from": first, "to": last}
    data = "".join(f' data-{name}="{value:.6g}"' for name, value in attributes.items())
    opening = f'<svg class="{style}" role="img" aria-label="{escape(alternative)}"{data}'
    return of_page(text.getvalue(), opening, [line.name for line in lines])


def line_colour(number: int) -> str:
    """CSS variable of a line's colour, without its dashes."""
    return f"line{number if number < len(LINES) else 1 + (number - 1) % (len(LINES) - 1)}"


def mark_parts(axes: Axes, parts: Sequence[tuple[float, str]]) -> None:
    """A dotted line where each section starts, with its name beside it."""
    for start, name in parts:
        axes.axvline(start, color=COLOURS["soft"], linewidth=0.8, linestyle=(0, (2, 3)))
        first, last = axes.get_xlim()
        late = start - first > 0.7 * (last - first)  # its name would not fit on the right
        axes.annotate(
            name,
            (start, 1),
            (-4 if late else 4, -10),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="right" if late else "left",
        )


def of_page(svg: str, opening: str, names: Sequence[str]) -> str:
    """matplotlib's SVG file as an element of the page that begins with `opening`.

    Names of the page's variables for colours, one digit behind the comma, no ids but those that
    are referred to; px instead of pt.
    """
    svg = re.sub(r"^.*?<svg\b", "<svg", svg, flags=re.DOTALL)
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<svg\b[^>]*?(viewBox="[^"]*")[^>]*>', rf"{opening} \1>", svg, count=1)
    for number, name in enumerate(names):
        group = f'class="curve" data-name="{escape(name)}"'
        svg = svg.replace(f'id="curve:{number}"', group)
    svg = re.sub(r' id="[a-zA-Z0-9.]+_\d+"', "", svg)
    svg = re.sub(r" font-family: [^;\"]*;", "", svg)  # the page's
    svg = re.sub(r' transform="rotate\(-0 [^"]*"', "", svg)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    for name, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    svg = re.sub(r'\bd="[^"]*"', lambda path: shorter(path[0]), svg)
    return re.sub(r"\n\s*", "\n", svg).strip()


def shorter(path: str) -> str:
    """A path's data with one digit behind the comma."""
    path = re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.1f}", path)
    return re.sub(r"\s+", " ", path)

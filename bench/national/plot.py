"""Two plots as SVG, written by hand: rates as bars on a logarithmic scale, memory over time as lines."""

from collections.abc import Mapping, Sequence
from math import log10
from typing import Final
from xml.sax.saxutils import escape

WIDTH: Final = 820
LEFT: Final = 270
LINE: Final = 26
COLOURS: Final = ("#005eb8", "#007f3b", "#d5281b", "#7c2855", "#ed8b00", "#425563", "#00a499", "#8a1538", "#41b6e6")


def bars(rates: Mapping[str, float], title: str) -> str:
    """Return a bar for each rate, a second, longest first as given; every tenfold is as wide as the next."""
    shown = {name: rate for name, rate in rates.items() if rate > 0}
    low = 10 ** int(log10(min(shown.values())))
    high = max(shown.values()) * 2.2
    parts = [_text(10, 20, title, bold=True)]
    for place, (name, rate) in enumerate(shown.items()):
        top = 36 + place * LINE
        width = max(2.0, (WIDTH - LEFT) * log10(rate / low) / log10(high / low))
        parts += [
            _text(LEFT - 8, top + 15, name, anchor="end"),
            f'<rect x="{LEFT}" y="{top}" width="{width:.1f}" height="18" fill="{COLOURS[place % len(COLOURS)]}"/>',
            _text(LEFT + width + 6, top + 15, f"{rate:,.0f}"),
        ]
    return _picture(parts, 46 + len(shown) * LINE)


def lines(series: Mapping[str, Sequence[float]], title: str, height: int = 260) -> str:
    """Return a line for each series of MiB, over the whole of the run."""
    most = 1.1 * max(max(seen) for seen in series.values() if seen)
    bottom, width = height + 36, WIDTH - LEFT
    parts = [_text(10, 20, title, bold=True), _text(LEFT - 8, bottom, "0", anchor="end")]
    parts += [_text(LEFT - 8, 46, f"{most:.0f} MiB", anchor="end")]
    parts += [f'<path d="M{LEFT},36 V{bottom} H{WIDTH - 10}" fill="none" stroke="#425563"/>']
    for place, (name, seen) in enumerate(series.items()):
        colour = COLOURS[place % len(COLOURS)]
        step = (width - 10) / max(1, len(seen) - 1)
        points = " ".join(f"{LEFT + n * step:.1f},{bottom - one / most * height:.1f}" for n, one in enumerate(seen))
        parts += [
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>',
            _text(10, 70 + place * 20, f"{name}: {max(seen):.0f} MiB at most", colour=colour),
        ]
    return _picture(parts, bottom + 14)


def _text(x: float, y: float, text: str, *, anchor: str = "start", bold: bool = False, colour: str = "#212b32") -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{weight}>{escape(text)}</text>'


def _picture(parts: Sequence[str], height: float) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
    body = "\n".join(parts)
    paper = '<rect width="100%" height="100%" fill="white"/>'
    return f'{head}font-family="Arial, sans-serif" font-size="13">\n{paper}\n{body}\n</svg>\n'

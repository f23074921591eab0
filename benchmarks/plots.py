"""Plots as SVG: dots on a logarithmic axis, lines on linear ones. Readable on light and on dark.

Written out by hand: two kinds of plot are less than a library. Colours are those of Okabe and Ito, which
people with any kind of colour vision can tell apart; shapes differ, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH = 760
_LEFT, _RIGHT, _TOP, _BOTTOM = 300, 24, 64, 44
_ROW = 24
_HEIGHT = 360
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
_DARK = ("#56b4e9", "#ff8c42", "#2fd6a3", "#f0a6cf", "#f0e442")


@dataclass(frozen=True, slots=True)
class Dot:
    """A median with its least and most."""

    median: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Point:
    """A median over ``x``, with its least and most."""

    x: float
    y: float
    least: float
    most: float


def dot_plot(
    title: str, rows: Sequence[tuple[str, Mapping[str, Dot]]], series: Sequence[str], *, unit: str = "s"
) -> str:
    """A row for each label, a dot for each series on it, with a line from least to most.

    Args:
        title: above it.
        rows: label and its dots, all greater than zero; at least one.
        series: names, in the order of the legend; a name keeps its colour in all plots of one list.
        unit: of the axis.
    """
    values = [value for _, dots in rows for dot in dots.values() for value in (dot.least, dot.most)]
    low = math.floor(math.log10(max(min(values), 1e-9)))
    high = max(math.ceil(math.log10(max(values))), low + 1)
    bottom = _TOP + _ROW * len(rows)

    def place(value: float) -> float:
        share = (math.log10(max(value, 1e-9)) - low) / (high - low)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    parts = []
    for exponent in range(low, high + 1):
        x = place(10.0**exponent)
        parts.append(_line(x, _TOP - 6, x, bottom, "grid"))
        parts.append(_text(x, bottom + 18, f"{10.0**exponent:g} {unit}", "middle"))
    for row, (label, dots) in enumerate(rows):
        y = _TOP + _ROW * (row + 0.5)
        parts.append(_text(_LEFT - 12, y + 4, label, "end"))
        for name, dot in dots.items():
            number = list(series).index(name)
            tip = f"{label}, {name}: {dot.median:.3g} {unit} ({dot.least:.3g}–{dot.most:.3g})"
            parts.append(_line(place(dot.least), y, place(dot.most), y, f"whisker s{number}"))
            parts.append(_mark(place(dot.median), y, number, tip))
    drawn = {name for _, dots in rows for name in dots}
    return _drawing(title, bottom + _BOTTOM, [*parts, _legend(series, drawn)])


def line_plot(
    title: str, curves: Mapping[str, Sequence[Point]], x_label: str, y_label: str, series: Sequence[str]
) -> str:
    """Curves on linear axes that begin at zero: a straight line is linear growth."""
    points = [point for curve in curves.values() for point in curve]
    x_ticks = _ticks(max((point.x for point in points), default=1.0))
    y_ticks = _ticks(max((point.most for point in points), default=1.0))
    left, bottom = 72, _HEIGHT - _BOTTOM - 12

    def place(x: float, y: float) -> tuple[float, float]:
        across = left + x / x_ticks[-1] * (_WIDTH - left - _RIGHT)
        return across, bottom - y / y_ticks[-1] * (bottom - _TOP)

    parts = []
    for tick in x_ticks:
        x, y = place(tick, 0)
        parts += [_line(x, _TOP, x, bottom, "grid"), _text(x, y + 18, f"{tick:,g}", "middle")]
    for tick in y_ticks:
        x, y = place(0, tick)
        parts += [_line(left, y, _WIDTH - _RIGHT, y, "grid"), _text(x - 8, y + 4, f"{tick:g}", "end")]
    parts.append(_text((left + _WIDTH - _RIGHT) / 2, _HEIGHT - 12, x_label, "middle"))
    parts.append(_text(8, _TOP - 5, y_label, "start"))
    for name, curve in curves.items():
        number = list(series).index(name)
        places = [place(point.x, point.y) for point in curve]
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline class="curve s{number}" points="{corners}"/>')
        for point, (x, y) in zip(curve, places, strict=True):
            least, most = place(point.x, point.least)[1], place(point.x, point.most)[1]
            tip = f"{name}, {point.x:,g}: {point.y:.3g} ({point.least:.3g}–{point.most:.3g})"
            parts += [_line(x, least, x, most, f"whisker s{number}"), _mark(x, y, number, tip)]
    return _drawing(title, _HEIGHT, [*parts, _legend(series, set(curves))])


def _ticks(most: float) -> list[float]:
    """Four to eight round numbers from zero to at least ``most``."""
    if most <= 0:
        return [0.0, 1.0]
    rough = most / 5
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    return [round(step * number, 12) for number in range(math.ceil(most / step - 1e-9) + 1)]


def _drawing(title: str, height: float, parts: Sequence[str]) -> str:
    style = (
        "text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-size:15px;font-weight:600}"
        ".back{fill:#fff}.grid{stroke:#d8dee4}.whisker{stroke-width:2;opacity:.55}"
        f".curve{{fill:none;stroke-width:2}}{_paint(_COLOURS)}"
        "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.back{fill:#0d1117}.grid{stroke:#30363d}"
        f"{_paint(_DARK)}}}"
    )
    body = "\n".join(part for part in parts if part)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:g}" role="img"'
        f' aria-label="{escape(title)}">\n<style>{style}</style>\n'
        f'<rect class="back" width="100%" height="100%"/>\n'
        f'<text class="title" x="12" y="22">{escape(title)}</text>\n{body}\n</svg>\n'
    )


def _paint(colours: Sequence[str]) -> str:
    return "".join(
        f".mark.s{number}{{fill:{colour}}}.whisker.s{number},.curve.s{number}{{stroke:{colour}}}"
        for number, colour in enumerate(colours)
    )


def _legend(series: Sequence[str], drawn: set[str]) -> str:
    parts, x = [], 12.0
    for number, name in enumerate(series):
        if name in drawn:
            parts += [_mark(x + 5, 38, number, name), _text(x + 16, 42, name, "start")]
            x += 34 + 7.5 * len(name)
    return "\n".join(parts)


def _mark(x: float, y: float, number: int, tip: str) -> str:
    sides = (0, 4, 3, 5, 2)[number % 5]
    title = f"<title>{escape(tip)}</title>"
    if sides == 0:
        return f'<circle class="mark s{number}" cx="{x:.1f}" cy="{y:.1f}" r="5">{title}</circle>'
    if sides == 2:
        place = f'x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9"'
        return f'<rect class="mark s{number}" {place}>{title}</rect>'
    angles = [math.tau * corner / sides - math.pi / 2 for corner in range(sides)]
    corners = " ".join(f"{x + 6 * math.cos(angle):.1f},{y + 6 * math.sin(angle):.1f}" for angle in angles)
    return f'<polygon class="mark s{number}" points="{corners}">{title}</polygon>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, content: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'

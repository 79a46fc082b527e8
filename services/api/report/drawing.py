"""Plots as SVG, inside a page that loads nothing: axes, bands, lines and points on linear or logarithmic scales."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from dyncal.domain.samples import FloatArray

WIDTH: Final = 640
HEIGHT: Final = 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 10, 10, 40
_COLUMNS: Final = 600


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One curve: `name` for the legend and the class of its style, `u` the half width of its band; shape (n,)."""

    name: str
    style: str
    x: FloatArray
    y: FloatArray
    u: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Axes:
    """What a plot is about. `level` lines run across it."""

    x: str
    y: str
    title: str
    log_x: bool = False
    log_y: bool = False
    levels: tuple[float, ...] = field(default=())


def plot(axes: Axes, lines: Sequence[Line]) -> Element:
    """Return a plot of lines, each thinned to what the eye can tell apart, extremes kept."""
    shown = [_thinned(line) for line in lines]
    shown = [line for line in shown if line.x.size]
    svg = Element("svg", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img")
    svg.set("aria-label", axes.title)
    SubElement(svg, "title").text = axes.title
    if not shown:
        return svg
    at_x = _scale([line.x for line in shown], (_LEFT, WIDTH - _RIGHT), log=axes.log_x)
    spread = [line.y + s * line.u for line in shown if line.u is not None for s in (-2, 2)]
    at_y = _scale([*(line.y for line in shown), *spread], (HEIGHT - _BOTTOM, _TOP), log=axes.log_y)
    _frame(svg, axes, at_x, at_y)
    for line in shown:
        if line.u is not None:
            outline = [
                *zip(line.x, line.y + 2 * line.u, strict=True),
                *zip(line.x[::-1], (line.y - 2 * line.u)[::-1], strict=True),
            ]
            SubElement(svg, "polygon", {"class": f"band {line.style}", "points": _points(outline, at_x, at_y)})
    for line in shown:
        for part in _unbroken(line):
            pairs = list(zip(line.x[part], line.y[part], strict=True))
            SubElement(svg, "polyline", {"class": f"line {line.style}", "points": _points(pairs, at_x, at_y)})
    return svg


@dataclass(frozen=True, slots=True)
class _Scale:
    place: Callable[[float], float]
    ticks: list[float]


def _scale(values: Sequence[FloatArray], ends: tuple[float, float], *, log: bool) -> _Scale:
    together = np.concatenate(values)
    together = together[np.isfinite(together) & (together > 0 if log else True)]
    low, high = (float(together.min()), float(together.max())) if together.size else (1.0, 2.0)
    if log:
        low, high = math.log10(low), math.log10(high)
    if high - low < 1e-12 * max(abs(high), abs(low), 1e-300):
        low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
    begin, end = ends

    def place(value: float) -> float:
        number = math.log10(max(value, 1e-300)) if log else value
        return begin + (end - begin) * min(max((number - low) / (high - low), 0.0), 1.0)

    return _Scale(place, _log_ticks(low, high) if log else _ticks(low, high))


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers inside an interval, about five."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((power * m for m in (1, 2, 5) if power * m >= rough), power * 10)
    first = math.ceil(low / step)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    whole = [10.0**k for k in range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)]
    return whole if len(whole) >= 2 else [10.0**k for k in (low, high)]


def _frame(svg: Element, axes: Axes, at_x: _Scale, at_y: _Scale) -> None:
    for value in at_y.ticks:
        y = f"{at_y.place(value):.1f}"
        SubElement(svg, "line", {"class": "grid", "x1": str(_LEFT), "x2": str(WIDTH - _RIGHT), "y1": y, "y2": y})
        SubElement(svg, "text", {"class": "end", "x": str(_LEFT - 6), "y": y, "dy": "4"}).text = f"{value:.6g}"
    for value in at_x.ticks:
        x = f"{at_x.place(value):.1f}"
        SubElement(svg, "line", {"class": "grid", "x1": x, "x2": x, "y1": str(_TOP), "y2": str(HEIGHT - _BOTTOM)})
        SubElement(svg, "text", {"class": "middle", "x": x, "y": str(HEIGHT - _BOTTOM + 16)}).text = f"{value:.6g}"
    middle = {"class": "middle", "x": str((_LEFT + WIDTH - _RIGHT) / 2), "y": str(HEIGHT - 6)}
    SubElement(svg, "text", middle).text = axes.x
    turned = {"class": "middle", "x": "14", "y": str((_TOP + HEIGHT - _BOTTOM) / 2)}
    turned["transform"] = f"rotate(-90 14 {turned['y']})"
    SubElement(svg, "text", turned).text = axes.y
    for level in axes.levels:
        y = f"{at_y.place(level):.1f}"
        SubElement(svg, "line", {"class": "level", "x1": str(_LEFT), "x2": str(WIDTH - _RIGHT), "y1": y, "y2": y})


def _points(pairs: Sequence[tuple[float, float]], at_x: _Scale, at_y: _Scale) -> str:
    return " ".join(f"{at_x.place(x):.1f},{at_y.place(y):.1f}" for x, y in pairs if math.isfinite(y))


def _unbroken(line: Line) -> list[slice]:
    """Return the runs of a line between values that are missing."""
    good = np.concatenate(([False], np.isfinite(line.y), [False]))
    begins, ends = np.flatnonzero(good[1:] & ~good[:-1]), np.flatnonzero(~good[1:] & good[:-1])
    return [slice(int(begin), int(end)) for begin, end in zip(begins, ends, strict=True)]


def _thinned(line: Line) -> Line:
    """Return a line with the smallest and the largest value of each of so many columns."""
    n = line.x.size
    if n <= 2 * _COLUMNS:
        return line
    kept: list[int] = []
    for part in np.array_split(np.arange(n), _COLUMNS):
        values = line.y[part]
        if not bool(np.any(np.isfinite(values))):
            kept.append(int(part[0]))
            continue
        kept += sorted({int(part[int(np.nanargmin(values))]), int(part[int(np.nanargmax(values))])})
    return Line(line.name, line.style, line.x[kept], line.y[kept], None if line.u is None else line.u[kept])

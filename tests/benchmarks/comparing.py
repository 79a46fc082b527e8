"""Figures of this run beside those that are committed, as ratios; times and rates over the machine's own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from tests.evidence import Figure, Section, number

_TIMES: Final = ("s", "ms", "µs", "us", "ns")
_RATES: Final = ("a second", "in a second of", "of a whole core", "times real time", "for each second")
NOTABLE: Final = 1.1


class Scale(IntEnum):
    """How a figure changes with the time that the machine takes for the same work."""

    RATE = -1
    NONE = 0
    TIME = 1


def scale(figure: Figure) -> Scale:
    """Return how a figure depends on the machine, by its unit and its words."""
    if figure.unit.split("/")[0].split(" ")[0] in _TIMES:
        return Scale.TIME
    if figure.unit in ("1/s", "×", "%"):
        return Scale.RATE if figure.unit == "1/s" else Scale.NONE
    return Scale.RATE if any(words in figure.what for words in _RATES) else Scale.NONE


@dataclass(frozen=True, slots=True)
class Change:
    """A figure, what it was, and the ratio of the two: times and rates as on a machine of the same speed."""

    section: str
    figure: Figure
    before: Figure
    ratio: float
    levelled: bool

    @property
    def mark(self) -> str:
        """What it is by a tenth or more: "better", "worse", or nothing, also where nobody knows which way is which."""
        better = _better(self.figure)
        if better is None or 1 / NOTABLE < self.ratio < NOTABLE:
            return ""
        return "better" if (self.ratio < 1) == (better < 0) else "worse"


def _better(figure: Figure) -> int | None:
    """Return -1 where less is better, 1 where more is, None where that is not known: by its scale, or by its bar."""
    if kind := scale(figure):
        return -int(kind)
    upwards, downwards = math.isfinite(figure.low) and figure.low > 0, math.isfinite(figure.high)
    return None if upwards == downwards else 1 if upwards else -1


def changes(before: Mapping[str, Section], now: Mapping[str, Section]) -> list[Change]:
    """Return the figures that both have, in order of `now`."""
    found = []
    for name, section in now.items():
        if name not in before:
            continue
        known = {figure.what: figure for figure in before[name].figures}
        machine = (
            section.reference_s / before[name].reference_s if section.reference_s and before[name].reference_s else 0.0
        )
        both = [figure for figure in section.figures if figure.what in known]
        found += [_change(name, figure, known[figure.what], machine) for figure in both]
    return found


def _change(section: str, figure: Figure, before: Figure, machine: float) -> Change:
    plain = figure.value / before.value if before.value else (1.0 if figure.value == before.value else math.inf)
    kind = scale(figure)
    levelled = bool(machine) and kind is not Scale.NONE
    return Change(section, figure, before, plain / machine**kind if levelled else plain, levelled)


def comparison(found: Iterable[Change]) -> list[str]:
    """Return the rows of one table."""
    rows = [
        "| section | what | before | now | now/before, as on the same machine | |",
        "|---|---|---|---|---|---|",
    ]
    for change in found:
        figure = change.figure
        kind = "" if change.levelled or scale(figure) is Scale.NONE else " (machine of before not known)"
        before, now = number(change.before.value, figure.unit), number(figure.value, figure.unit)
        rows.append(
            f"| {change.section} | {figure.what} | {before} | {now} | {change.ratio:.3g}{kind} | {change.mark} |"
        )
    return rows


def summary(found: Sequence[Change]) -> str:
    """Return how many are better and worse."""
    marks = [change.mark for change in found]
    return (
        f"{len(found)} figures compared with those that are committed: {marks.count('better')} better and "
        f"{marks.count('worse')} worse by a tenth or more"
    )

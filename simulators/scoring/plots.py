"""Plots of scores as files of SVG that stand alone: errors against a normal law, a corrected stretch, delays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
from scipy.stats import norm

from dyncal.domain.time import NS_PER_S
from services.api.report.drawing import HEIGHT, WIDTH, Axes, Line, plot
from simulators.datasets.store import MemberData
from simulators.datasets.trials import INDICATION
from simulators.scoring.figures import errors_over_bound
from simulators.scoring.records import ESTIMATES, Answer, Outcome

# of Okabe and Ito's palette: told apart by those who see few colours too; and by their dashes
_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#000000")
_DASHES: Final = ("", "6 3", "2 3", "8 3 2 3", "1 2", "4 4")
_FAR: Final = 6.0
_STRETCH: Final = 600
_ROW: Final = 18


def figure(member: MemberData, answers: dict[str, Sequence[Answer]]) -> bytes | None:
    """Return a plot of what methods made of a member, by their names; None where there is nothing to be seen."""
    task = member.about["task"]
    if task in ESTIMATES and not member.name.startswith("fault-"):
        axes, lines = _quantiles(member, answers)
    elif task == "correction":
        axes, lines = _stretch(member, answers)
    elif task == "drift":
        axes, lines = _delays(member, answers)
    else:
        return None
    return None if not lines else _alone(plot(axes, lines), lines)


def write(folder: Path, member: MemberData, answers: dict[str, Sequence[Answer]]) -> Path | None:
    """Write the plot of a member to a folder; return the file, or None where there is nothing to be seen."""
    drawn = figure(member, answers)
    if drawn is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{member.name}.svg"
    path.write_bytes(drawn)
    return path


def _quantiles(member: MemberData, answers: dict[str, Sequence[Answer]]) -> tuple[Axes, list[Line]]:
    """Errors over their bound, sorted, against those of a normal law: the bound is the diagonal."""
    lines: list[Line] = []
    edge = np.array([-2.5, 2.5])
    for name, given in answers.items():
        pairs = [(t, a) for t, a in zip(member.trials, given, strict=False) if a.outcome is Outcome.ANSWERED]
        if len(pairs) > 1:
            errors = np.concatenate([errors_over_bound(pairs, p["name"]) for p in member.about["parameters"]])
            at = norm.ppf((np.arange(errors.size) + 0.5) / errors.size)
            lines.append(Line(name, _style(len(lines)), np.asarray(at), np.clip(np.sort(errors), -_FAR, _FAR)))
    if lines:
        lines.append(Line("Cramér-Rao bound", "bound", edge, edge))
    words = "error over standard deviation of the bound"
    return Axes("of a normal law", words, f"{member.about['title']}: errors against the bound"), lines


def _stretch(member: MemberData, answers: dict[str, Sequence[Answer]]) -> tuple[Axes, list[Line]]:
    trial = member.trials[0]
    n = trial.t_ns.size
    part = slice(n // 3, n // 3 + _STRETCH)
    t = (trial.t_ns[part] - trial.t_ns[part][0]) / NS_PER_S
    lines = [Line("indication", "raw", t, trial.channels[INDICATION][part])]
    lines.append(Line("true measurand", "bound", t, trial.measurand[part]))
    for name, given in answers.items():
        if given and given[0].outcome is Outcome.ANSWERED:
            u = given[0].u_value[part] if given[0].u_value.size else None
            lines.append(Line(name, _style(len(lines) - 2), t, given[0].value[part], u))
    unit = member.about["unit"]["ucum"]
    return Axes("t [s]", f"[{unit}]", f"{member.about['title']}: the first trial"), lines


def _delays(member: MemberData, answers: dict[str, Sequence[Answer]]) -> tuple[Axes, list[Line]]:
    """Share of the trials with an alarm so long after the change."""
    lines: list[Line] = []
    for name, given in answers.items():
        delays, n = [], 0
        for trial, answer in zip(member.trials, given, strict=False):
            if not trial.truth["is_drift"]:
                continue
            n += 1
            after = answer.alarms_t_ns[answer.alarms_t_ns >= trial.truth["from_ns"]]
            if after.size:
                delays.append((int(after[0]) - trial.truth["from_ns"]) / NS_PER_S)
        if n:
            at = np.concatenate(([0.0], np.repeat(np.sort(delays), 2)))
            share = np.concatenate(([0.0], np.repeat(np.arange(len(delays)), 2) + np.tile([0, 1], len(delays)))) / n
            lines.append(Line(name, _style(len(lines)), at, share))
    return Axes("time since the change [s]", "share found", f"{member.about['title']}: delay of alarms"), lines


def _style(index: int) -> str:
    return f"m{index % len(_COLOURS)}"


def _alone(drawn: Element, lines: Sequence[Line]) -> bytes:
    """Return a plot with its own style, a legend and a white ground, as a file."""
    drawn.set("xmlns", "http://www.w3.org/2000/svg")
    drawn.set("viewBox", f"0 0 {WIDTH} {HEIGHT + _ROW * len(lines)}")
    pairs = enumerate(zip(_COLOURS, _DASHES, strict=True))
    styles = [f".m{i}{{stroke:{colour};stroke-dasharray:{dash or 'none'}}}" for i, (colour, dash) in pairs]
    bands = [f".band.m{i}{{fill:{c};stroke:none;opacity:.15}}" for i, c in enumerate(_COLOURS)]
    style = Element("style")
    style.text = (
        "text{font:12px sans-serif;fill:#222}.end{text-anchor:end}.middle{text-anchor:middle}"
        ".grid{stroke:#ddd}.line{fill:none;stroke-width:1.4}.raw{stroke:#999}.bound{stroke:#222;stroke-width:.8}"
        + "".join((*styles, *bands))
    )
    ground = Element("rect", {"width": "100%", "height": "100%", "fill": "white"})
    drawn.insert(0, style)
    drawn.insert(1, ground)
    for k, line in enumerate(lines):
        y = str(HEIGHT + _ROW * k + 6)
        SubElement(drawn, "line", {"class": f"line {line.style}", "x1": "66", "x2": "106", "y1": y, "y2": y})
        SubElement(drawn, "text", {"x": "114", "y": y, "dy": "4"}).text = line.name
    return bytes(tostring(drawn, encoding="utf-8", xml_declaration=True))

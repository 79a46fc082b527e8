"""Tables of scores in Markdown: a row a member, a column a method, and where another is surely better than dyncal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from simulators.scoring.figures import MemberScore, ParameterScore, Share

OURS: Final = "dyncal"
_DASH: Final = "–"
_ENOUGH: Final = 5
"""Trials below which a score is chance: of one trial, an error of the stated gain may happen to cancel."""


def markdown(scores: Sequence[MemberScore]) -> list[str]:
    """Return all tables, each with a heading."""
    lines: list[str] = []
    for heading, words, cell, these in _sections(scores):
        if not these:
            continue
        methods = list(dict.fromkeys(s.method for s in these))
        members = list(dict.fromkeys(s.member for s in these))
        rule = "|---" * (1 + len(methods)) + "|"
        lines += ["", f"## {heading}", "", words, "", f"| member | {' | '.join(methods)} |", rule]
        of = {(s.member, s.method): s for s in these}
        for member in members:
            cells = [cell(of[member, method]) if (member, method) in of else "" for method in methods]
            lines.append(f"| {member} | {' | '.join(cells)} |")
        lines += _times(these, methods)
        lost = [line for member in members for line in _lost([s for s in these if s.member == member])]
        of_those = f"Where another is better than dyncal by twice the scatter of both, at {_ENOUGH} trials or more: "
        lines += ["", of_those + ("; ".join(lost) if lost else "nowhere") + "."]
    return lines


_ESTIMATES: Final = (
    "Root mean square error over the Cramér-Rao bound of the worst parameter (1 is the bound), in brackets its typical"
    " value (median of absolute errors, as of a normal law), and the share of 95 % intervals that cover, over all"
    " parameters."
)
_FAULTS: Final = "Refused / right nevertheless / wrong without a word."
_CORRECTIONS: Final = (
    "Root mean square error raw over corrected (the higher the better), corrected over the mean-square optimum where"
    " that is known, and the share of 95 % intervals that cover."
)
_DRIFTS: Final = (
    "Mean time between false alarms over what was asked for (1 is right), the share of changes found, and the mean"
    " delay to the first alarm. Delays compare only between methods with like intervals of false alarms."
)


def _sections(
    scores: Sequence[MemberScore],
) -> list[tuple[str, str, Callable[[MemberScore], str], list[MemberScore]]]:
    def of(task: str) -> list[MemberScore]:
        return [s for s in scores if s.task == task and s.faults is None]

    return [
        ("Identification", _ESTIMATES, _estimate, of("identification")),
        ("Frequency response points", _ESTIMATES, _estimate, of("frequency_response")),
        ("Records with something wrong", _FAULTS, _fault, [s for s in scores if s.faults is not None]),
        ("Correction", _CORRECTIONS, _correction, of("correction")),
        ("Drift", _DRIFTS, _drift, of("drift")),
    ]


def worst(score: MemberScore) -> tuple[str, ParameterScore] | None:
    """Return the parameter with the largest error over its bound."""
    return max(score.parameters.items(), key=lambda item: item[1].efficiency) if score.parameters else None


def covered(score: MemberScore) -> Share | None:
    """Return the coverage over all parameters of a member."""
    shares = [p.coverage for p in score.parameters.values() if p.coverage is not None]
    return Share.of(sum(round(s.value * s.n) for s in shares), sum(s.n for s in shares)) if shares else None


def _estimate(score: MemberScore) -> str:
    found = worst(score)
    if found is None:
        return f"{_DASH}{_left_out(score)}"
    _, parameter = found
    share = covered(score)
    return f"{_number(parameter.efficiency)} ({_number(parameter.typical)}); {_share(share)}{_left_out(score)}"


def _fault(score: MemberScore) -> str:
    f = score.faults
    failed = f", {score.failed} failed" if score.failed else ""
    return "" if f is None else f"{f.refused} / {f.right} / {f.wrong}{failed}"


def _correction(score: MemberScore) -> str:
    c = score.correction
    if c is None:
        return f"{_DASH}{_left_out(score)}"
    over = "" if c.over_optimum is None else f", {_number(c.over_optimum)} × optimum"
    return f"{_number(c.gain)} ×{over}; {_share(c.coverage)}{_left_out(score)}"


def _drift(score: MemberScore) -> str:
    d = score.drift
    if d is None:
        return f"{_DASH}{_left_out(score)}"
    more = "> " if d.n_false == 0 else ""
    arl0 = f"{more}{_number(d.arl0_s / d.asked_s)}"
    if d.found is None:
        low, high = (edge / d.asked_s for edge in d.arl0_interval_s)
        return f"{arl0} ({_number(low)} to {_number(high)}){_left_out(score)}"
    return f"{arl0}; {_share(d.found)} after {_number(d.delay_s)} s{_left_out(score)}"


def _left_out(score: MemberScore) -> str:
    words = [f"{n} {what}" for n, what in ((score.refused, "refused"), (score.failed, "failed")) if n]
    return f"; {', '.join(words)} of {score.n}" if words else ""


def _times(scores: Sequence[MemberScore], methods: Sequence[str]) -> list[str]:
    cells = []
    for method in methods:
        answered = [s for s in scores if s.method == method and s.n > s.refused + s.failed]
        times = [s.seconds_per_sample for s in answered if math.isfinite(s.seconds_per_sample)]
        cells.append(f"{_number(1e6 * min(times))} to {_number(1e6 * max(times))}" if times else _DASH)
    trials = [_range([s.n for s in scores if s.method == method]) for method in methods]
    return [f"| *processor time a sample or point, µs* | {' | '.join(cells)} |", f"| *trials* | {' | '.join(trials)} |"]


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def _lost(scores: Sequence[MemberScore]) -> list[str]:
    """Return in words where another method's figure is better than dyncal's best by more than both scatter."""
    ranked = [(s, *figure) for s in scores if s.n >= _ENOUGH and (figure := _figure(s)) is not None]
    ours = [entry for entry in ranked if entry[0].method.startswith(OURS)]
    others = [entry for entry in ranked if not entry[0].method.startswith(OURS)]
    if not others or not any(s.method.startswith(OURS) for s in scores):
        return []
    best = min(others, key=lambda entry: entry[1])
    if not ours:
        return [f"{best[0].member} (dyncal has no answer)"]
    own = min(ours, key=lambda entry: entry[1])
    if own[1] - best[1] <= 2 * math.hypot(own[2], best[2]):
        return []
    return [f"{own[0].member} ({best[0].method} {best[3]} against {own[3]})"]


def _figure(score: MemberScore) -> tuple[float, float, str] | None:
    """Return what counts of a member, the lower the better, its scatter, and its words."""
    if score.faults is not None:
        wrong = score.faults.wrong + score.failed
        return wrong, math.sqrt(wrong + 0.25), f"wrong {wrong}"
    found = worst(score)
    if found is not None:
        if score.n - score.refused - score.failed < 0.5 * score.n:
            return None
        return found[1].efficiency, found[1].u_efficiency, _number(found[1].efficiency)
    if score.correction is not None and score.correction.gain > 0:
        # errors scatter from trial to trial by about a half, as the stated parameters' errors do
        scatter = 0.5 / math.sqrt(score.n)
        return -math.log(score.correction.gain), scatter, f"{_number(score.correction.gain)} ×"
    if score.drift is not None and score.drift.found is None:
        d = score.drift
        off = abs(math.log(d.arl0_s / d.asked_s))
        return off, 1 / math.sqrt(max(d.n_false, 1)), f"ARL0 / asked {_number(d.arl0_s / d.asked_s)}"
    if score.drift is not None and math.isfinite(score.drift.delay_s):
        d = score.drift
        if d.found is not None and d.found.value < 0.9:
            return None
        return d.delay_s, d.u_delay_s if math.isfinite(d.u_delay_s) else 0.0, f"{_number(d.delay_s)} s"
    return None


def _share(share: Share | None) -> str:
    return "no u" if share is None else f"{100 * share.value:.0f} %"


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "∞" if value > 0 else _DASH
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.2g}"

"""A channel that stood still, or was held between samples, where the fit shows that the measurand did not."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from dyncal.correction.design.stale import Stale, stale
from dyncal.domain.calibration import Verdict
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.identification.record_fit.descent import BoolArray
from dyncal.identification.record_fit.result import RecordFit, Series
from dyncal.identification.record_fit.segments import Segment, Taken
from dyncal.identification.report import ljung_box

_LOUDER: Final = 4.0  # variance of the residuals there over elsewhere
_NORMAL_MEDIAN: Final = 0.4549  # median of x² of a standard normal x
_SURELY_NOT_WHITE: Final = 1e-8
_FEW: Final = 8  # residuals
_ROUNDING: Final = 1e-9


def with_standstill(fit: RecordFit, taken: Taken) -> RecordFit:
    """Return a fit that is not accepted where a channel repeats itself and the residuals show that it was no command.

    What stands still in a command leaves the residuals there as small as elsewhere, what is held throughout leaves
    them white.
    """
    told = [said for name, segment in _channels(taken) if (said := _said(fit, name, segment))]
    if not told:
        return fit
    found = "; ".join(words for words, _ in told)
    if fit.verdict is Verdict.ACCEPTED:
        return replace(fit, verdict=Verdict.BAD_DATA, detail=found)
    if all(held for _, held in told):
        # a command may be held, and something else be wrong
        return replace(fit, detail=f"{fit.detail}; {found}")
    return replace(fit, verdict=Verdict.BAD_DATA, detail=f"{found}; with that, {fit.detail}")


def _channels(taken: Taken) -> list[tuple[str, Segment]]:
    return [(name, segment) for name in ("indication", "reference") for segment in taken.segments]


def _said(fit: RecordFit, name: str, segment: Segment) -> tuple[str, bool] | None:
    """Return what is to be said of a channel, and whether it is held throughout; None where nothing is."""
    values = segment.y if name == "indication" else segment.r
    seen = np.flatnonzero(np.isfinite(values))
    runs = stale(values[seen])
    if runs is None:
        return None
    series = next((each for each in fit.series if segment.t_ns[0] <= each.t_ns[0] <= segment.t_ns[-1]), None)
    if series is None or series.residual.size <= _FEW or _exact(series):
        return None
    if runs.held:
        if not ljung_box(series.residual) < _SURELY_NOT_WHITE:
            return None
        words = f"the {name} repeats each value some {runs.length} times: leave out (NaN) what was not measured anew"
        return words, True
    t_ns = segment.t_ns[seen]
    longest = int(np.argmax(runs.end - runs.begin))
    begin, n = runs.begin[longest], runs.end[longest] - runs.begin[longest]
    if not _louder(series.residual, _within(series.t_ns, t_ns, runs)):
        return None
    where = f"{values[seen[begin]]:.6g} for {n} samples from {int(t_ns[begin])} ns"
    return f"the {name} stands still at {where}, which is not what was measured: leave that out (NaN)", False


def _exact(series: Series) -> bool:
    return float(np.std(series.residual)) <= _ROUNDING * float(np.std(series.indication))


def _within(at_ns: Int64Array, t_ns: Int64Array, runs: Stale) -> BoolArray:
    """Tell which instants are in a run or, as the sensor remembers it, within as long after it."""
    inside = np.zeros(at_ns.size, dtype=np.bool_)
    for begin, end in zip(runs.begin.tolist(), runs.end.tolist(), strict=True):
        last = min(2 * end - begin, t_ns.size) - 1
        inside |= (at_ns >= t_ns[begin]) & (at_ns <= t_ns[last])
    return inside


def _louder(residual: FloatArray, inside: BoolArray) -> bool:
    if np.count_nonzero(inside) < _FEW:
        return False
    usual = float(np.median(residual**2)) / _NORMAL_MEDIAN
    return float(np.mean(residual[inside] ** 2)) > _LOUDER * max(usual, 1e-300)

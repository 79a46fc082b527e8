"""A channel that stood still, or was held between samples, where the fit shows that the measurand did not."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from dyncal.correction.design.stale import stale
from dyncal.domain.calibration import Verdict
from dyncal.identification.record_fit.result import RecordFit, Series
from dyncal.identification.record_fit.segments import Segment, Taken
from dyncal.identification.report import ljung_box
from dyncal.identification.standstill import FEW, louder, repeated, standing, within

_NORMAL_MEDIAN: Final = 0.4549  # median of x² of a standard normal x
_SURELY_NOT_WHITE: Final = 1e-8
_ROUNDING: Final = 1e-9


def with_standstill(fit: RecordFit, taken: Taken) -> RecordFit:
    """Return a fit that is not accepted where a channel repeats itself and the residuals show that it was no command.

    What stands still in a command leaves the residuals there as small as elsewhere, what is held throughout leaves
    them white.
    """
    told = said(fit, taken)
    if not told:
        return fit
    found = "; ".join(words for words, _ in told)
    if fit.verdict is Verdict.ACCEPTED:
        return replace(fit, verdict=Verdict.BAD_DATA, detail=found)
    if all(held for _, held in told):
        # a command may be held, and something else be wrong
        return replace(fit, detail=f"{fit.detail}; {found}")
    return replace(fit, verdict=Verdict.BAD_DATA, detail=f"{found}; with that, {fit.detail}")


def said(fit: RecordFit, taken: Taken) -> list[tuple[str, bool]]:
    """Return what is to be said of channels that were not measured, and of each whether it is held throughout."""
    return [words for name, segment in _channels(taken) if (words := _said(fit, name, segment))]


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
    if series is None or series.residual.size <= FEW or _exact(series):
        return None
    if runs.held:
        return (repeated(name, runs), True) if ljung_box(series.residual) < _SURELY_NOT_WHITE else None
    t_ns = segment.t_ns[seen]
    usual = float(np.median(series.residual**2)) / _NORMAL_MEDIAN
    if not louder(series.residual, within(series.t_ns, t_ns, runs), usual):
        return None
    return standing(name, t_ns, values[seen], runs), False


def _exact(series: Series) -> bool:
    return float(np.std(series.residual)) <= _ROUNDING * float(np.std(series.indication))

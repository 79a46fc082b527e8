"""A reference that lags: told from a clock that is late, where the data can.

With r = u/(1 + τ_r s) the indications are H (1 + τ_r s) r: to first order in τ_r what a clock that is late by τ_r makes
of them, to second order not. So the reference is put right by its own derivative, r + τ_r dr/dt, for the τ_r that
leaves the smallest residuals, and that is compared with the best shift in time. A lead of the sensor itself looks the
same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dyncal.domain.time import NS_PER_S
from dyncal.identification.record_fit.descent import descend
from dyncal.identification.record_fit.method import WHITE, time_constants
from dyncal.identification.record_fit.segments import Segment
from dyncal.identification.record_fit.stages import Setup, Stage
from dyncal.identification.report import ljung_box

_CLEARLY: Final = 20.0  # twice a log-likelihood ratio, of lag against none and against a shift
_SHORTEST: Final = 1e-3  # of the sensor's longest time
_GRID: Final = 9
_STEPS: Final = 14  # of a golden section: a thousandth of the interval
_GOLDEN: Final = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class Lag:
    """Time constant of a reference that lags [s]."""

    tau_s: float

    @property
    def words(self) -> str:
        """What is to be said of it."""
        return (
            f"the reference lags the measurand, with a time constant of about {self.tau_s:.3g} s: a clock that is late "
            "would leave far more; correct the reference first, or take a faster one"
        )


def lag_of_reference(setup: Setup, stage: Stage) -> Lag | None:
    """Return the lag of the reference that explains an output-error fit's misfit; None where it cannot be told.

    Only where what is left then is white, and where neither no lag nor a shift in time explains as much.
    """
    if any(not np.isfinite(each.r).all() for each in setup.taken.segments) or stage.free[stage.problem.p]:
        return None
    _, slow = time_constants(setup.model, stage.h[: setup.model.n_parameters])
    logs = np.linspace(np.log(_SHORTEST * slow), np.log(slow), _GRID)
    costs = [_cost(_put_right(setup, stage, float(np.exp(each)))) for each in logs]
    k = int(np.argmin(costs))
    if not costs[k] < stage.done.cost - _CLEARLY:
        return None
    tau_s = float(np.exp(_least(setup, stage, float(logs[max(k - 1, 0)]), float(logs[min(k + 1, _GRID - 1)]))))
    best = _put_right(setup, stage, tau_s)
    if best is None or not ljung_box(best.e) >= WHITE:
        return None
    shifted = _shifted(setup, stage, tau_s)
    # a shift reads less of the record: what is compared is the cost of a sample
    if shifted is not None and (_each(shifted) - _each(best)) * stage.problem.n_y < _CLEARLY:
        return None
    return Lag(tau_s)


def _each(stage: Stage) -> float:
    return stage.done.cost / stage.problem.n_y


def _cost(stage: Stage | None) -> float:
    return float("inf") if stage is None else stage.done.cost


def _least(setup: Setup, stage: Stage, low: float, high: float) -> float:
    """Return ln τ_r of the smallest cost by a golden section."""
    a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_a, at_b = (_cost(_put_right(setup, stage, float(np.exp(each)))) for each in (a, b))
    for _ in range(_STEPS):
        if at_a < at_b:
            high, b, at_b = b, a, at_a
            a = high - _GOLDEN * (high - low)
            at_a = _cost(_put_right(setup, stage, float(np.exp(a))))
        else:
            low, a, at_a = a, b, at_b
            b = low + _GOLDEN * (high - low)
            at_b = _cost(_put_right(setup, stage, float(np.exp(b))))
    return (low + high) / 2


def _put_right(setup: Setup, stage: Stage, tau_s: float) -> Stage | None:
    """Return the fit with the lag taken out of the reference; None where there is none."""
    segments = [_faster(each, tau_s) for each in setup.taken.segments]
    problem = setup.problem_of(segments, stage.between)
    if problem.n_y != stage.problem.n_y:
        return None
    done = descend(problem, stage.done.last.at, stage.free, stage.prior)
    return None if done is None else replace(stage, problem=problem, done=done, rivals=())


def _faster(segment: Segment, tau_s: float) -> Segment:
    from scipy.interpolate import CubicSpline  # noqa: PLC0415 - only where a fit is in doubt

    t_s = (segment.t_ns - segment.t_ns[0]) / NS_PER_S
    slope = CubicSpline(t_s, segment.r).derivative()(t_s)
    return replace(segment, r=segment.r + tau_s * slope)


def _shifted(setup: Setup, stage: Stage, reach_s: float) -> Stage | None:
    """Return the fit with a shift in time of up to several `reach_s` free."""
    there = replace(setup, settings=replace(setup.settings, u_clock_s=max(setup.settings.u_clock_s, reach_s)))
    free = stage.free.copy()
    free[stage.problem.p] = True
    problem = there.problem(stage.between)
    done = descend(problem, stage.done.last.at, free, stage.prior)
    return None if done is None else replace(stage, problem=problem, done=done, free=free, rivals=())

"""Where to begin: a grid over the poles, refined instrumental variables, and what the caller knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S
from dyncal.identification.record_fit.segments import Segment, Taken
from dyncal.identification.record_fit.shapes import Shape, shape_of
from dyncal.identification.record_fit.srivc import Ratio, Uniform, screened, srivc
from dyncal.models import SensorModel

_LONGEST: Final = 2000  # samples that a grid is tried on
_LONGEST_SRIVC: Final = 8000
_FIRST_ROUNDS: Final = 2
_REFINED: Final = 4
_KEPT: Final = 3
_APART: Final = 2.0  # ratio of coefficients below which two starts of the grid are neighbours
_DELAYS: Final = 16
_SAME: Final = 0.05  # in logarithms: starts that end in one minimum


@dataclass(frozen=True, slots=True, eq=False)
class Begin:
    """A start: η, T [s], and the share of the indications' variance that it leaves (NaN where that is not known)."""

    eta: FloatArray
    delay_s: float
    unexplained: float = float("nan")


def starts(model: SensorModel, taken: Taken, delays_s: tuple[float, float], given: FloatArray | None) -> list[Begin]:
    """Return starts (η, T), the most promising first.

    Parameters
    ----------
    delays_s : (float, float)
        Range of T [s] to look in.
    given : float64, shape (p,), optional
        θ of the caller: it comes first, and refined.
    """
    shape = shape_of(model)
    if shape is None:
        gain = np.zeros(model.n_parameters)
        gain[0] = _gain(taken)
        return [Begin(model.to_internal(gain), 0.0)]
    data = uniform(_richest(taken), taken.dt_s)
    found: list[Begin] = []
    if given is not None:
        found.append(Begin(model.to_internal(given), 0.0))
    ranked: list[Begin] = []
    for delay in _delays(delays_s, data.dt_s):
        late = _late(data, delay)
        spread = max(float(np.var(late.y)) * late.y.size, 1e-300)
        for ratio in _refined(shape, late):
            eta = _internal(model, shape, ratio)
            if eta is not None:
                ranked.append(Begin(eta, delay, ratio.sse / spread))
    ranked.sort(key=lambda each: each.unexplained)
    kept: list[Begin] = []
    for each in ranked:
        if len(kept) < _KEPT and all(_differ(each, other, data.dt_s) for other in kept):
            kept.append(each)
    return found + kept


def _differ(a: Begin, b: Begin, dt_s: float) -> bool:
    return abs(a.delay_s - b.delay_s) > 3 * dt_s or float(np.max(np.abs(a.eta[1:] - b.eta[1:]), initial=0.0)) > _SAME


def _delays(delays_s: tuple[float, float], dt_s: float) -> list[float]:
    low, high = (round(each / dt_s) for each in delays_s)
    return [dt_s * int(each) for each in np.unique(np.linspace(low, high, min(_DELAYS, high - low + 1)).round())]


def _late(data: Uniform, delay_s: float) -> Uniform:
    k = round(delay_s / data.dt_s)
    if k == 0:
        return data
    if k > 0:
        return Uniform(data.y[k:], np.ascontiguousarray(data.u[:-k]), data.dt_s)
    return Uniform(np.ascontiguousarray(data.y[:k]), data.u[-k:], data.dt_s)


def _refined(shape: Shape, data: Uniform) -> list[Ratio]:
    begins = _diverse(screened(_cut(data, _LONGEST), shape.grid(data.dt_s, data.dt_s * data.y.size), shape.n_zeros))
    longer = _cut(data, _LONGEST_SRIVC)
    found: list[Ratio] = []
    for k, begin in enumerate(begins):
        first = srivc(longer, begin, shape.n_zeros, _FIRST_ROUNDS)
        # the best of the grid is followed to its end; the others where they promise more
        if k == 0 or first.sse < min(ratio.sse for ratio in found):
            first = srivc(longer, first, shape.n_zeros)
        found.append(first)
    return found


def _diverse(ratios: list[Ratio]) -> list[Ratio]:
    """Return the best few that are no neighbours of each other."""
    kept: list[Ratio] = []
    for ratio in ratios:
        apart = all(float(np.max(np.abs(np.log(ratio.a / other.a)))) > np.log(_APART) for other in kept)
        if apart:
            kept.append(ratio)
        if len(kept) == _REFINED:
            break
    return kept


def _internal(model: SensorModel, shape: Shape, ratio: Ratio) -> FloatArray | None:
    try:
        eta = model.to_internal(shape.theta(ratio.b, ratio.a))
    except InvalidData:
        return None
    return eta if bool(np.all(np.isfinite(eta))) else None


def _gain(taken: Taken) -> float:
    """Return the gain of a sensor without dynamics, by least squares."""
    pairs = [uniform(segment, taken.dt_s) for segment in taken.segments]
    return sum(float(each.y @ each.u) for each in pairs) / max(sum(float(each.u @ each.u) for each in pairs), 1e-300)


def _richest(taken: Taken) -> Segment:
    """Return the segment in which the reference does most."""
    return max(taken.segments, key=lambda segment: float(np.var(segment.knots[1])) * segment.t_ns.size)


def uniform(segment: Segment, dt_s: float) -> Uniform:
    """Return a segment on an even grid, holes of the indication bridged by straight lines."""
    seen = np.isfinite(segment.y)
    if segment.even and bool(np.all(seen)):
        return Uniform(segment.y, segment.r, segment.length_s / (segment.t_ns.size - 1))
    t = (segment.t_ns - segment.t_ns[0]) / NS_PER_S
    known = np.isfinite(segment.r)
    # never finer than the record itself is on average
    n = max(min(round(segment.length_s / dt_s) + 1, 2 * t.size), 2)
    grid = np.linspace(0.0, segment.length_s, n)
    y, u = np.interp(grid, t[seen], segment.y[seen]), np.interp(grid, t[known], segment.r[known])
    return Uniform(y, u, float(grid[1]))


def _cut(data: Uniform, longest: int) -> Uniform:
    window = _window(data, longest)
    return Uniform(data.y[window], data.u[window], data.dt_s)


def _window(data: Uniform, longest: int) -> slice:
    """Return the window of at most `longest` samples in which the reference moves most."""
    n = data.u.size
    if n <= longest:
        return slice(0, n)
    moved = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(data.u)))])
    begins = np.arange(0, n - longest + 1, max(longest // 8, 1))
    best = int(begins[np.argmax(moved[begins + longest - 1] - moved[begins])])
    return slice(best, best + longest)

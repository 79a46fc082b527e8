"""Where to begin: a grid over the poles, refined instrumental variables, and what the caller knows."""

from __future__ import annotations

from collections.abc import Iterator
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
_LONGEST_SRIVC: Final = 4000
_REFINED: Final = 4
_APART: Final = 2.0  # ratio of coefficients below which two starts of the grid are neighbours
_DELAYS: Final = 16  # dead times of the first, coarse grid
_SAME: Final = 0.05  # in logarithms: starts that end in one minimum


@dataclass(frozen=True, slots=True, eq=False)
class Begin:
    """A start: η, T [s], and the share of the indications' variance that it leaves (NaN where that is not known)."""

    eta: FloatArray
    delay_s: float
    unexplained: float = float("nan")


def starts(
    model: SensorModel, taken: Taken, delays_s: tuple[float, float], given: FloatArray | None
) -> Iterator[Begin]:
    """Yield starts (η, T), the most promising first; each is worked out only when it is asked for.

    Parameters
    ----------
    delays_s : (float, float)
        Range of T [s] to look in.
    given : float64, shape (p,), optional
        θ of the caller: it comes first.
    """
    shape = shape_of(model)
    if shape is None:
        gain = np.zeros(model.n_parameters)
        gain[0] = _gain(taken)
        yield Begin(model.to_internal(gain), 0.0)
        return
    if given is not None:
        yield Begin(model.to_internal(given), 0.0)
    done: list[Begin] = []
    for late, delay, ratio in _ranked(shape, uniform(richest(taken), taken.dt_s), delays_s):
        data = _cut(late, _LONGEST_SRIVC)
        refined = srivc(data, ratio, shape.n_zeros)
        eta = _internal(model, shape, refined)
        if eta is None:
            continue
        begin = Begin(eta, delay, refined.sse / _spread(data))
        if all(_differ(begin, other, data.dt_s) for other in done):
            done.append(begin)
            yield begin


def _ranked(shape: Shape, data: Uniform, delays_s: tuple[float, float]) -> list[tuple[Uniform, float, Ratio]]:
    """Return the best candidates of the grid with the data as read at their delay, one or more of each delay."""
    most = data.y.size // 2
    low, high = (min(max(round(each / data.dt_s), -most), most) for each in delays_s)
    tried = {k: _screened_at(shape, data, k) for k in _spaced(low, high)}

    def left(k: int) -> float:
        return tried[k][0][0] if tried[k] else float("inf")

    step = max((high - low) // _DELAYS, 1)
    while high > low and step > 1:
        # closer and closer about the best delay so far
        step = (step + 1) // 2
        best = min(tried, key=left)
        for k in (best - step, best + step):
            if low <= k <= high and k not in tried:
                tried[k] = _screened_at(shape, data, k)
    each_best = sorted(tried, key=left)[:_REFINED]
    number = max(_REFINED // len(each_best), 1)
    return [(_late(data, k), k * data.dt_s, ratio) for k in each_best for _, ratio in tried[k][:number]]


def read_later(taken: Taken, delay_s: float, offset: float) -> Uniform:
    """Return a piece of the richest segment on an even grid, the reference `offset` higher and read `delay_s` earlier.

    The part of the delay that is no whole number of samples is taken out of the indications, which are smoother.
    """
    data = uniform(richest(taken), taken.dt_s)
    whole = round(delay_s / data.dt_s)
    late = _late(data, whole)
    k = np.arange(late.y.size, dtype=np.float64)
    y = np.interp(k + (delay_s / data.dt_s - whole), k, late.y)
    return _cut(Uniform(y, late.u + offset, data.dt_s), _LONGEST_SRIVC)


def _spaced(low: int, high: int) -> list[int]:
    return sorted({round(float(each)) for each in np.linspace(low, high, min(_DELAYS, high - low + 1))})


def _screened_at(shape: Shape, data: Uniform, k: int) -> list[tuple[float, Ratio]]:
    """Return the best candidates for a delay of k samples, with the share of the variance that they leave."""
    cut = _cut(_late(data, k), _LONGEST)
    ratios = screened(cut, shape.grid(data.dt_s, data.dt_s * data.y.size), shape.n_zeros)
    return [(ratio.sse / _spread(cut), ratio) for ratio in _diverse(ratios)]


def _spread(data: Uniform) -> float:
    return max(float(np.var(data.y)) * data.y.size, 1e-300)


def _differ(a: Begin, b: Begin, dt_s: float) -> bool:
    return abs(a.delay_s - b.delay_s) > 3 * dt_s or float(np.max(np.abs(a.eta[1:] - b.eta[1:]), initial=0.0)) > _SAME


def _late(data: Uniform, k: int) -> Uniform:
    if k == 0:
        return data
    if k > 0:
        return Uniform(data.y[k:], data.u[:-k], data.dt_s)
    return Uniform(data.y[:k], data.u[-k:], data.dt_s)


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


def richest(taken: Taken) -> Segment:
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

"""The first estimate: a grid over the lags, linear parameters solved exactly, then Levenberg-Marquardt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dyncal.domain.calibration import Verdict
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import Int64Array
from dyncal.identification.interpolation import CONTEXT, Interpolation, is_even
from dyncal.identification.online import saturation
from dyncal.identification.online.block import BlockData, BlockProblem, Fit, Pass, Prior, fit
from dyncal.identification.online.passes import NO_NOISE
from dyncal.identification.online.posterior import inverse
from dyncal.identification.report import physical
from dyncal.identification.screen import constant, trouble_with_gain
from dyncal.models import SensorModel

KAPPA: Final = -2.0
U_KAPPA: Final = 5.0  # prior of ln(input noise / sensor noise): from a perfect reference to a useless one
U_START: Final = 0.05
_CANDIDATES: Final = 3
_ROUNDS: Final = 4
_CLEARLY_BETTER: Final = 6.0  # twice a log-likelihood ratio
UNEXPLAINED: Final = 0.5
_START_UNEXPLAINED: Final = 0.25
_MUCH_BETTER: Final = 0.3  # ratio of relative variances that shows a swapped pair
_NEARLY: Final = 2.0  # further rounds of a fit do not lower its variance by more
_FEWEST: Final = 16
_ROUNDING: Final = 1e-15  # of the largest indication: less noise shows in no record
_MEMORIES: Final = 3.0  # record length in time constants before a start is believed


@dataclass(frozen=True, slots=True, eq=False)
class Started:
    """A first estimate, with the noise variance that belongs to it."""

    fit: Fit[Pass]
    variance: float
    data: BlockData
    interpolation: Interpolation = Interpolation.LINEAR
    unexplained: float = 0.0


@dataclass(frozen=True, slots=True)
class Refused:
    """Why there is no first estimate; `final` where more of the same data cannot help."""

    verdict: Verdict
    detail: str
    final: bool


def start(
    model: SensorModel, t_ns: Int64Array, y: FloatArray, r: FloatArray, max_u: float = U_START
) -> Started | Refused:
    """Estimate from nothing, or say why not.

    Parameters
    ----------
    t_ns, y, r : shape (n,), n >= 16 + 2·CONTEXT
        The record; `CONTEXT` samples at either end serve the interpolation only.
    max_u : float
        Largest standard uncertainty of the logarithm of the lag that is enough to begin with.
    """
    data = BlockData.between(t_ns, y, r, Interpolation.LINEAR, fresh=True)
    for name, values in (("indication", data.y), ("reference", r[CONTEXT:-CONTEXT])):
        numbers = values[np.isfinite(values)]
        if numbers.size < _FEWEST:
            detail = f"only {numbers.size} of {values.size} values of the {name} are finite"
            return Refused(Verdict.BAD_DATA, detail, final=False)
        trouble = constant(name, numbers)
        if trouble:
            return Refused(Verdict.BAD_DATA, trouble, final=True)
    return _found(model, data, t_ns, y, r, max_u)


def _found(
    model: SensorModel, data: BlockData, t_ns: Int64Array, y: FloatArray, r: FloatArray, max_u: float
) -> Started | Refused:
    found = _search(model, data)
    best = _refine(model, data, found.fit.h) if found is not None else None
    if best is None:
        return Refused(Verdict.DIVERGED, "no start led to a fit", final=False)
    trouble = _saturated(model, best, t_ns, y, r)
    if trouble:
        return Refused(Verdict.BAD_DATA, trouble, final=True)
    short = _too_little(model, data, best, max_u)
    return short or _judge(model, data, _interpolated(model, best, t_ns, y, r), max_u)


def _interpolated(model: SensorModel, linear: Started, t_ns: Int64Array, y: FloatArray, r: FloatArray) -> Started:
    """Return the fit with the interpolation of the reference that predicts the sensor best."""
    if not is_even(t_ns):
        return linear
    best, margin = linear, _CLEARLY_BETTER
    for kind in (Interpolation.CUBIC, Interpolation.QUINTIC):
        data = BlockData.between(t_ns, y, r, kind, fresh=True)
        there = _refine(model, data, linear.fit.h)
        if there is not None and data.n * np.log(best.variance / there.variance) > margin:
            best, margin = replace(there, interpolation=kind), 0.0
    return best


def _saturated(model: SensorModel, best: Started, t_ns: Int64Array, y: FloatArray, r: FloatArray) -> str:
    """Name a channel that is saturated; it is looked at by straight lines, which a change of the reference suits."""
    at, inner = t_ns[CONTEXT:-CONTEXT], slice(CONTEXT, -CONTEXT)
    h0 = best.fit.h

    def fitted(y: FloatArray, r: FloatArray) -> tuple[float, saturation.Predictor] | None:
        # from where it stands without noise of the input: the noise model would take what is missing for noise
        there = _refine(model, BlockData.of(at, y, r, fresh=True), np.append(h0[:-1], KAPPA))
        return None if there is None else (there.variance, _simulation(model, at, there.fit.h))

    return saturation.of_record(y[inner], r[inner], fitted)


def _simulation(model: SensorModel, t_ns: Int64Array, h: FloatArray) -> saturation.Predictor:
    h = np.append(h[:-1], -NO_NOISE)

    def residuals(y: FloatArray, r: FloatArray) -> FloatArray | None:
        done = BlockProblem(model, BlockData.of(t_ns, y, r, fresh=True), h, None).evaluate(h)
        return None if done is None else done.e

    return residuals


def _too_little(model: SensorModel, data: BlockData, started: Started, max_u: float) -> Refused | None:
    """Say of a pair that does belong together why its record is not enough yet; None of one to be looked at further."""
    h = started.fit.h
    if unexplained(model, data, h) > _START_UNEXPLAINED or trouble_with_gain(float(h[0])):
        return None
    length, memory = float(data.t_ns[-1] - data.t_ns[0]) / 1e9, slowest(model, h)
    if length < _MEMORIES * memory:
        detail = f"a record of {length:.3g} s is short against a time constant of about {memory:.3g} s"
        return Refused(Verdict.NOT_EXCITED, detail, final=False)
    if lag_u(model, started.fit.last.a / started.variance) > 2 * max_u and fastest(model, h) > _interval_s(data):
        return Refused(Verdict.NOT_EXCITED, _little(model, started), final=False)
    return None


def _little(model: SensorModel, started: Started) -> str:
    """Say parameter by parameter how little a record determines."""
    h, last = started.fit.h, started.fit.last
    with np.errstate(all="ignore"):  # where next to nothing is known, numbers overflow
        theta, cov = physical(model, h, inverse(last.a / started.variance + kappa_prior(h.size)))
        relative = np.sqrt(np.diag(cov)) / np.abs(theta)
    known = (
        f"{name} {f'to {100 * u:.2g} %' if u < 1 else 'not at all'}"
        for name, u in zip(model.names, relative, strict=True)
    )
    return f"the record says too little of the dynamics: it determines {', '.join(known)}"


def _judge(model: SensorModel, data: BlockData, started: Started, max_u: float) -> Started | Refused:
    h, variance = started.fit.h, started.variance
    if _swapped(model, data, variance):
        detail = "the reference lags the sensor: the two seem to be swapped, or their clocks are apart"
        return Refused(Verdict.INCONSISTENT, detail, final=True)
    missing = unexplained(model, data, h)
    if missing > _START_UNEXPLAINED:
        detail = f"the reference does not explain {100 * min(missing, 1):.0f} % of what the sensor shows"
        return Refused(Verdict.NOT_EXCITED, detail, final=False)
    trouble = trouble_with_gain(float(h[0]))
    if trouble:
        return Refused(Verdict.INCONSISTENT, trouble, final=True)
    short = _too_little(model, data, started, max_u)
    if short is not None:
        return short
    if lag_u(model, started.fit.last.a / variance) > max_u:
        return Refused(Verdict.NOT_EXCITED, _little(model, started), final=False)
    if fastest(model, h) < 0.1 * _interval_s(data):
        detail = "the sensor is faster than its sampling can show: no lag to be identified"
        return Refused(Verdict.NOT_IDENTIFIABLE, detail, final=False)
    return replace(started, unexplained=missing)


def unexplained(model: SensorModel, data: BlockData, h: FloatArray) -> float:
    """Return the share of the indication's variance that the reference does not explain at all.

    By simulation alone (K = 0): with a gain, any smooth indication is predicted well from its own past.
    """
    return BlockProblem(model, data, h, None).unexplained(h[: model.n_parameters])


def slowest(model: SensorModel, h: FloatArray) -> float:
    """Return the time constant [s] with which the model forgets."""
    if model.kind is ModelKind.SECOND_ORDER:
        damping, omega = float(np.exp(h[1])), 2 * np.pi * float(np.exp(h[2]))
        return 1 / (omega * min(damping, 1 / max(damping, 1e-300)))
    return float(np.exp(np.max(h[1 : 1 + model.n_states])))


def fastest(model: SensorModel, h: FloatArray) -> float:
    """Return the shortest time [s] that shapes the response."""
    if model.kind is ModelKind.SECOND_ORDER:
        return 1 / (2 * np.pi * float(np.exp(h[2])))
    return float(np.exp(h[1]))


def lag_u(model: SensorModel, information: FloatArray) -> float:
    """Return the standard uncertainty of the logarithm of the lag (of the resonance) with only the gain unknown.

    It is the measure of excitation: a steady measurand determines the gain, and nothing of this.
    """
    lag = 2 if model.kind is ModelKind.SECOND_ORDER else 1
    i_gg, i_gl, i_ll = float(information[0, 0]), float(information[0, lag]), float(information[lag, lag])
    efficient = i_ll - i_gl * (i_gl / i_gg) if i_gg > 0 else 0.0
    return float(1 / np.sqrt(efficient)) if efficient > 0 else float("inf")


def _interval_s(data: BlockData) -> float:
    return data.middle_s


def _search(model: SensorModel, data: BlockData) -> Started | None:
    """Return the best of the grid after one round of `_refine`, or None."""
    starts = _grid(model, _interval_s(data), float(data.t_ns[-1] - data.t_ns[0]) / 1e9)
    ranked: list[tuple[float, FloatArray]] = []
    for eta in starts:
        solved = _solve_linear(model, data, eta)
        if solved is not None:
            ranked.append(solved)
    ranked.sort(key=lambda pair: pair[0])
    best: Started | None = None
    for _, eta in ranked[:_CANDIDATES]:
        there = _refine(model, data, np.append(eta, KAPPA), rounds=1)
        if there is not None and (best is None or there.variance < best.variance):
            best = there
    return best


def _grid(model: SensorModel, dt: float, length: float) -> list[FloatArray]:
    taus = np.geomspace(0.3 * dt, length / 2, 16)
    if model.kind is ModelKind.FIRST_ORDER:
        return [np.array([1.0, np.log(tau)]) for tau in taus]
    if model.kind is ModelKind.SECOND_ORDER:
        f0s = np.geomspace(min(2 / length, 0.05 / dt), 0.6 / dt, 24)
        return [np.array([1.0, np.log(d), np.log(f0)]) for f0 in f0s for d in (0.03, 0.15, 0.5, 1.2)]
    taus = np.geomspace(0.5 * dt, length / 2, 10)
    pairs = [(slow, fast) for i, slow in enumerate(taus) for fast in taus[:i]]
    return [np.array([1.0, np.log(slow), np.log(fast), 0.3]) for slow, fast in pairs]


def _solve_linear(model: SensorModel, data: BlockData, eta: FloatArray) -> tuple[float, FloatArray] | None:
    """Return the residual sum of squares and η with the gain (and the modes' shares) solved exactly."""
    h = np.append(eta, -NO_NOISE)
    at = BlockProblem(model, data, h, None).evaluate(h)
    if at is None:
        return None
    # the output is linear in g, and for two modes in g(1 - α) and gα: one Gauss-Newton step in those is exact
    linear = [0, 3] if model.kind is ModelKind.LEAD_LAG else [0]
    a, b = at.a[np.ix_(linear, linear)], at.b[linear]
    ridge = 1e-12 * float(np.trace(a)) * np.eye(len(linear))
    step = np.linalg.solve(a + ridge + 1e-300 * np.eye(len(linear)), b)
    solved = eta.copy()
    if len(linear) == 2:
        # at g = 1: ∂/∂g moves both shares, ∂/∂α moves weight between them
        solved[0] = 1 + step[0]
        solved[3] = eta[3] + step[1] / solved[0] if abs(solved[0]) > 1e-12 else eta[3]
    else:
        solved[0] += step[0]
    return at.sse - float(b @ step), solved


def _refine(model: SensorModel, data: BlockData, h: FloatArray, rounds: int = _ROUNDS) -> Started | None:
    information = kappa_prior(h.size)
    variance, result = float("nan"), None
    least = max((_ROUNDING * float(np.nanmax(np.abs(data.y)))) ** 2, 1e-300)
    for _ in range(rounds):  # the noise variance is part of the answer, and K is shaped by η
        problem = BlockProblem(model, data, h, None)
        first = problem.evaluate(h)
        if first is None:
            return None
        before = variance if np.isfinite(variance) else max(first.sse / data.n, least)
        # the prior is of κ alone, and stays where it is
        origin = np.append(h[:-1], KAPPA)
        result = fit(problem, Prior(origin, information, before), first)
        h = result.h
        variance = max(result.sse / max(data.n - h.size - model.n_states, 1), least)
        if abs(before / variance - 1) < 0.02:
            break
    return Started(result, variance, data) if result is not None else None


def kappa_prior(m: int) -> FloatArray:
    """Return the information (m, m) that is there before any data: on κ, the last coordinate, alone."""
    information = np.zeros((m, m))
    information[-1, -1] = 1 / U_KAPPA**2
    return information


def _swapped(model: SensorModel, data: BlockData, variance: float) -> bool:
    """Tell whether the reference follows the sensor much better than the sensor the reference."""
    turned = BlockData.of(data.t_ns, data.r, data.y, fresh=True)
    limit = _MUCH_BETTER * variance / max(float(np.nanvar(data.y)), 1e-300) * max(float(np.var(data.r)), 1e-300)
    mirrored = _search(model, turned)
    if mirrored is None or mirrored.variance > _NEARLY * limit:
        return False
    done = _refine(model, turned, mirrored.fit.h)
    if done is None or not (done.variance < limit and done.fit.h[0] > 0):
        return False
    # a reference that hardly moves follows any sensor, through a lag that nothing determines
    return lag_u(model, done.fit.last.a / done.variance) <= U_START

"""Levenberg-Marquardt on the innovations, the noise variance concentrated out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain.samples import FloatArray
from dyncal.identification.record_fit.problem import Evaluation, Point, RecordProblem

BoolArray = npt.NDArray[np.bool_]

_MAX_PASSES: Final = 60
_GOOD_STEP: Final = 1e-6  # squared length of a last step, in standard deviations
_SMALLEST_GAIN: Final = 1e-9  # of the cost, which is twice a log-likelihood
_LONGEST_STEP: Final = 1.5  # in logarithms
_POOR: Final = 0.25
_GOOD: Final = 0.75
_ROUNDING: Final = 1e-24  # squared, relative to the indications


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """Normal priors of single coordinates: means and information (1/u²), both (m,); information 0 for none."""

    mean: FloatArray
    information: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Descent:
    """Where it ended: the last evaluation, its cost N ln(Σe²/N) + priors, and whether it came to rest."""

    last: Evaluation
    cost: float
    converged: bool
    passes: int


def descend(
    problem: RecordProblem,
    begin: Point,
    free: BoolArray,
    prior: Prior,
    max_passes: int = _MAX_PASSES,
) -> Descent | None:
    """Minimise over the coordinates where `free` (m,) is true, from `begin`; None if it cannot be evaluated there."""
    first = problem.evaluate(begin)
    if first is None:
        return None
    # the initial states are linear: solved exactly before anything else moves
    here = problem.evaluate(Point(begin.h, begin.x0 + first.dx0))
    if here is None:
        return None
    damping, passes, cost, converged = 0.0, 2, _cost(here, problem.n_y, prior), False
    floor = _ROUNDING * problem.power + 1e-300
    while passes < max_passes:
        step, length, promised = _step(here, problem, free, prior, damping)
        if length < _GOOD_STEP and damping < 1.0:
            converged = True
            break
        there = problem.evaluate(Point(here.at.h + step, here.at.x0 + here.dx0 - here.mix @ step))
        passes += 1
        new = _cost(there, problem.n_y, prior) if there is not None else np.inf
        if there is not None and new <= cost:
            little = cost - new < _SMALLEST_GAIN or there.sse <= floor
            kept = (cost - new) / max(promised, 1e-300)
            here, cost, damping = there, new, _trusted(damping, kept)
            if little and damping < 1.0:
                converged = True
                break
        elif damping > 1e8:
            # no step down the hill is short enough: at rest to the last digit, or stuck
            converged = length < 1e-2
            break
        else:
            damping = max(10 * damping, 1e-3)
    return Descent(here, cost, converged, passes)


def promised(
    problem: RecordProblem, begin: Point, free: BoolArray, prior: Prior, most: float
) -> tuple[Point, float] | None:
    """Return `begin` with the best initial states, and the cost that one step from there promises.

    Where one pass shows already that this is above `most`, the second is spared, and the cost is about right.
    """
    first = problem.evaluate(begin)
    if first is None:
        return None
    cost = _promise(first, first.free_sse, problem, free, prior)
    if cost > most:
        return begin, cost
    here = problem.evaluate(Point(begin.h, begin.x0 + first.dx0))
    return None if here is None else (here.at, _promise(here, here.sse, problem, free, prior))


def _promise(at: Evaluation, sse: float, problem: RecordProblem, free: BoolArray, prior: Prior) -> float:
    _, _, gain = _step(at, problem, free, prior, 0.0)
    n = problem.n_y
    # the step is of Σe² at fixed variance: what it leaves of it, and not the quadratic model's drop of the logarithm
    left = max(1 - gain / n, 1e-6)
    return _cost(at, n, prior, sse) + n * float(np.log(left))


def _trusted(damping: float, kept: float) -> float:
    """Return the damping after a step that kept this share of what its quadratic model promised."""
    if kept < _POOR:
        return max(4 * damping, 0.3)
    if kept > _GOOD:
        return damping / 10 if damping > 1e-6 else 0.0
    return damping


def _cost(at: Evaluation, n: int, prior: Prior, sse: float | None = None) -> float:
    away = at.at.h - prior.mean
    return n * float(np.log(max((at.sse if sse is None else sse) / n, 1e-300))) + float(away**2 @ prior.information)


def _step(
    at: Evaluation, problem: RecordProblem, free: BoolArray, prior: Prior, damping: float
) -> tuple[FloatArray, float, float]:
    """Return a step, its squared length in standard deviations, and by how much it should lower the cost."""
    variance = max(at.free_sse / problem.n_y, 1e-300)
    chosen = np.flatnonzero(free)
    hessian = (at.a / variance + np.diag(prior.information))[np.ix_(chosen, chosen)]
    gradient = (at.b / variance - prior.information * (at.at.h - prior.mean))[chosen]
    scale = np.sqrt(np.maximum(np.diag(hessian), 1e-300))
    unit = hessian / np.outer(scale, scale) + (damping + 1e-14) * np.eye(scale.size)
    part = np.linalg.solve(unit, gradient / scale) / scale
    logs = np.isin(chosen, np.arange(1, problem.p))
    longest = float(np.abs(part[logs]).max(initial=0.0))
    part *= min(1.0, _LONGEST_STEP / max(longest, 1e-300))
    step = np.zeros(problem.m)
    step[chosen] = part
    length = float(part @ hessian @ part)
    return step, length, 2 * float(gradient @ part) - length

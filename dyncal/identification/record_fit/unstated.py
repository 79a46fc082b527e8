"""A zero offset, or a shift in time, between sensor and reference that nothing stated allows for.

Either goes into gain and lags where nobody asks for it: ten standard uncertainties of them without a trace in the
residuals. It is asked for its size by a score test, and confirmed by a fit in which it is free.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from dyncal.domain.calibration import Verdict
from dyncal.domain.samples import FloatArray
from dyncal.identification.record_fit.assemble import Parts, effects
from dyncal.identification.record_fit.descent import Prior, descend
from dyncal.identification.record_fit.full_likelihood import FullFit, coordinates, full_likelihood
from dyncal.identification.record_fit.judge import Judgement
from dyncal.identification.record_fit.method import WHITE
from dyncal.identification.record_fit.numbers import Numbers, of_innovations
from dyncal.identification.record_fit.reference import inverse
from dyncal.identification.record_fit.stages import Setup, Stage
from dyncal.identification.report import ljung_box
from dyncal.identification.shift import Shift, surest

_LOOSE: Final = 10.0  # prior of what is confirmed, over its size
_TOLD: Final = 1e-9  # of an unknown's own information: less of it is left only by rounding


def unstated(parts: Parts, numbers: Numbers) -> Judgement | None:
    """Say that gain and lags hide an offset or a shift in time; None where they do not.

    Parameters
    ----------
    numbers : Numbers
        Of the fit that is to be judged, whichever its likelihood.
    """
    parts = _with_all(parts)
    effect = effects(parts)
    numbers = replace(numbers, cov=numbers.cov + effect @ effect.T)
    p = parts.setup.model.n_parameters
    missing = [_score(parts.stage, numbers, index) for index in (p, p + 1) if not parts.stage.free[index]]
    told = [shift for shift in missing if shift is not None]
    if not any(_matters(parts, shift) for shift in told):
        return None
    # together: with one of them missing the other stands for it
    sure = [shift for shift in _confirmed(parts, numbers, told) if _matters(parts, shift)]
    if not sure:
        return None
    return Judgement(Verdict.INCONSISTENT, surest(sure).words)


def _with_all(parts: Parts) -> Parts:
    """Return the parts under settings in which what the caller counts apart is stated too."""
    said = parts.setup.settings
    u_reference, u_clock_s = max(said.u_reference, said.offset_apart), max(said.u_clock_s, said.clock_apart_s)
    return replace(
        parts, setup=replace(parts.setup, settings=replace(said, u_reference=u_reference, u_clock_s=u_clock_s))
    )


def _matters(parts: Parts, shift: Shift) -> bool:
    settings = parts.setup.settings
    return shift.matters(settings.u_clock_s if shift.clock else settings.u_reference)


def _index(shift: Shift, p: int) -> int:
    """Return where a shift is among h = (η (p), T, offset, κ)."""
    return p if shift.clock else p + 1


def _loose(shift: Shift) -> float:
    """Return a prior that leaves a shift to the data."""
    return _LOOSE * max(abs(shift.value), shift.u)


def _score(stage: Stage, numbers: Numbers, index: int) -> Shift | None:
    """Return the step to where an unknown would go if it were free; None where nothing tells it from the others."""
    last, core = stage.done.last, stage.core
    pull = inverse(last.a[np.ix_(core, core)]) @ last.a[core, index]
    left = float(last.a[index, index] - last.a[index, core] @ pull)
    if not left > _TOLD * last.a[index, index]:
        return None
    value = float(last.b[index] - last.b[core] @ pull) / left
    variance = numbers.widened * last.sse / max(stage.problem.n_y - core.size, 1)
    p = stage.problem.p
    moved = _in_u(-value * pull[:p], numbers.cov[:p, :p])
    return Shift(index == p, value, float(np.sqrt(variance / left)), moved)


def _in_u(moved: FloatArray, cov: FloatArray) -> float:
    return float(np.max(np.abs(moved) / np.sqrt(np.maximum(np.diag(cov), 1e-300))))


def _confirmed(parts: Parts, numbers: Numbers, shifts: list[Shift]) -> list[Shift]:
    """Return the shifts by a fit in which they are free: output error if its residuals are white, else as the fit."""
    freed = _freed(parts.setup, parts.stage, shifts)
    if freed is None:
        return []
    if numbers.n_values == parts.stage.problem.n_y or ljung_box(freed.e) >= WHITE:
        with_them = of_innovations(parts.setup, freed)
        return _between(numbers, with_them.h, with_them.cov, shifts)
    found = _by_kalman(parts, shifts)
    return [] if found is None else _between(numbers, *coordinates(found, parts.setup.delayed), shifts)


def _between(numbers: Numbers, h: FloatArray, cov: FloatArray, shifts: list[Shift]) -> list[Shift]:
    p = h.size - 2
    moved, u = _in_u(h[:p] - numbers.h[:p], numbers.cov[:p, :p]), np.sqrt(np.diag(cov))
    at = [_index(each, p) for each in shifts]
    return [Shift(each.clock, float(h[i]), float(u[i]), moved) for each, i in zip(shifts, at, strict=True)]


def _freed(setup: Setup, stage: Stage, shifts: list[Shift]) -> Stage | None:
    free = stage.free.copy()
    prior = Prior(stage.prior.mean.copy(), stage.prior.information.copy())
    for shift in shifts:
        at = _index(shift, setup.model.n_parameters)
        free[at], prior.mean[at], prior.information[at] = True, 0.0, _loose(shift) ** -2
        if shift.clock:
            # the reference is read no farther away than clocks are said to be apart
            settings = replace(setup.settings, u_clock_s=max(setup.settings.u_clock_s, abs(shift.value), shift.u))
            there = replace(setup, settings=settings, noise=stage.problem.noise)
            stage = replace(stage, problem=there.problem(stage.between))
    done = descend(stage.problem, stage.done.last.at, free, prior)
    return None if done is None else replace(stage, free=free, prior=prior, done=done, rivals=())


def _by_kalman(parts: Parts, shifts: list[Shift]) -> FullFit | None:
    settings, unknowns = parts.setup.settings, parts.unknowns
    for shift in shifts:
        if shift.clock:
            settings, unknowns = replace(settings, u_clock_s=_loose(shift)), replace(unknowns, clock_freed=True)
        else:
            settings, unknowns = replace(settings, u_reference=_loose(shift)), replace(unknowns, offset_freed=True)
    found = full_likelihood(replace(parts.setup, settings=settings), parts.stage, unknowns)
    return found if isinstance(found, FullFit) else None

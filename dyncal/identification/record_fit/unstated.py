"""A zero offset, or a shift in time, between sensor and reference that nothing stated allows for.

Either goes into gain and lags where nobody asks for it: ten standard uncertainties of them without a trace in the
residuals. It is asked for its size by a score test, and confirmed by a fit in which it is free.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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

_SURE: Final = 4.5  # standard uncertainties: by chance once in 150 000 fits
_MATTERS: Final = 2.0  # standard uncertainties of a parameter that it moves
_STATED: Final = 4.0  # what is stated of it is exceeded by so much
_LOOSE: Final = 10.0  # prior of what is confirmed, over its size
_TOLD: Final = 1e-9  # of an unknown's own information: less of it is left only by rounding


@dataclass(frozen=True, slots=True, eq=False)
class _Shift:
    """An unknown of h that is missing: its size with u, and by how many u of θ̂ a parameter moves with it."""

    index: int
    value: float
    u: float
    moved: float

    @property
    def loose(self) -> float:
        """A prior that leaves it to the data."""
        return _LOOSE * max(abs(self.value), self.u)


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
    return Judgement(Verdict.INCONSISTENT, _words(parts, max(sure, key=lambda each: abs(each.value) / each.u)))


def _with_all(parts: Parts) -> Parts:
    """Return the parts under settings in which what the caller counts apart is stated too."""
    said = parts.setup.settings
    u_reference, u_clock_s = max(said.u_reference, said.offset_apart), max(said.u_clock_s, said.clock_apart_s)
    return replace(
        parts, setup=replace(parts.setup, settings=replace(said, u_reference=u_reference, u_clock_s=u_clock_s))
    )


def _matters(parts: Parts, shift: _Shift) -> bool:
    settings = parts.setup.settings
    stated = settings.u_clock_s if shift.index == parts.setup.model.n_parameters else settings.u_reference
    return abs(shift.value) > max(_SURE * shift.u, _STATED * stated) and shift.moved > _MATTERS


def _score(stage: Stage, numbers: Numbers, index: int) -> _Shift | None:
    """Return the step to where an unknown would go if it were free; None where nothing tells it from the others."""
    last, core = stage.done.last, stage.core
    pull = inverse(last.a[np.ix_(core, core)]) @ last.a[core, index]
    left = float(last.a[index, index] - last.a[index, core] @ pull)
    if not left > _TOLD * last.a[index, index]:
        return None
    value = float(last.b[index] - last.b[core] @ pull) / left
    variance = numbers.widened * last.sse / max(stage.problem.n_y - core.size, 1)
    p = stage.problem.p
    return _Shift(index, value, float(np.sqrt(variance / left)), _in_u(-value * pull[:p], numbers.cov[:p, :p]))


def _in_u(moved: FloatArray, cov: FloatArray) -> float:
    return float(np.max(np.abs(moved) / np.sqrt(np.maximum(np.diag(cov), 1e-300))))


def _confirmed(parts: Parts, numbers: Numbers, shifts: list[_Shift]) -> list[_Shift]:
    """Return the shifts by a fit in which they are free: output error if its residuals are white, else as the fit."""
    freed = _freed(parts.setup, parts.stage, shifts)
    if freed is None:
        return []
    if numbers.n_values == parts.stage.problem.n_y or ljung_box(freed.e) >= WHITE:
        with_them = of_innovations(parts.setup, freed)
        return _between(numbers, with_them.h, with_them.cov, shifts)
    found = _by_kalman(parts, shifts)
    return [] if found is None else _between(numbers, *coordinates(found, parts.setup.delayed), shifts)


def _between(numbers: Numbers, h: FloatArray, cov: FloatArray, shifts: list[_Shift]) -> list[_Shift]:
    p = h.size - 2
    moved, u = _in_u(h[:p] - numbers.h[:p], numbers.cov[:p, :p]), np.sqrt(np.diag(cov))
    return [_Shift(each.index, float(h[each.index]), float(u[each.index]), moved) for each in shifts]


def _freed(setup: Setup, stage: Stage, shifts: list[_Shift]) -> Stage | None:
    free = stage.free.copy()
    prior = Prior(stage.prior.mean.copy(), stage.prior.information.copy())
    for shift in shifts:
        free[shift.index], prior.mean[shift.index], prior.information[shift.index] = True, 0.0, shift.loose**-2
        if shift.index == setup.model.n_parameters:
            # the reference is read no farther away than clocks are said to be apart
            settings = replace(setup.settings, u_clock_s=max(setup.settings.u_clock_s, abs(shift.value), shift.u))
            there = replace(setup, settings=settings, noise=stage.problem.noise)
            stage = replace(stage, problem=there.problem(stage.between))
    done = descend(stage.problem, stage.done.last.at, free, prior)
    return None if done is None else replace(stage, free=free, prior=prior, done=done, rivals=())


def _by_kalman(parts: Parts, shifts: list[_Shift]) -> FullFit | None:
    settings, unknowns = parts.setup.settings, parts.unknowns
    for shift in shifts:
        if shift.index == parts.setup.model.n_parameters:
            settings, unknowns = replace(settings, u_clock_s=shift.loose), replace(unknowns, clock_freed=True)
        else:
            settings, unknowns = replace(settings, u_reference=shift.loose), replace(unknowns, offset_freed=True)
    found = full_likelihood(replace(parts.setup, settings=settings), parts.stage, unknowns)
    return found if isinstance(found, FullFit) else None


def _words(parts: Parts, shift: _Shift) -> str:
    size = f"{abs(shift.value):.3g} (u {shift.u:.2g})"
    if shift.index == parts.setup.model.n_parameters:
        later = "sensor" if shift.value > 0 else "reference"
        why = "clocks that are apart (state u_clock_s), a dead time, or another course between samples"
        return f"the {later} seems {size} s late: {why}"
    lower = "reference" if shift.value > 0 else "sensor"
    return f"the {lower} reads too low by {size} of the measurand: a zero offset that nothing allows for (u_reference)"

"""The full Kalman likelihood as one of the methods of a record fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S
from dyncal.identification.kalman import KalmanFit, KalmanSettings, Process, fit_kalman
from dyncal.identification.record_fit import judge
from dyncal.identification.record_fit.segments import Segment
from dyncal.identification.record_fit.settings import InterSample
from dyncal.identification.record_fit.stages import Setup, Stage, Unknowns
from dyncal.identification.records import AlignedRecord

_FREE_DELAY: Final = 10.0  # sampling intervals: as good as no prior for what is left of a dead time
_OURS: Final = ("clock_offset_s", "reference_offset")  # after η, as `RecordProblem` orders them
_ROUNDS: Final = 3
_NEAR: Final = 0.05  # of a sampling interval: a clock offset that enters to first order is that small


@dataclass(frozen=True, slots=True, eq=False)
class FullFit:
    """A Kalman fit and the dead time at which the reference was read for it [s], its own clock offset included."""

    fit: KalmanFit
    delay_s: float


def full_likelihood(setup: Setup, stage: Stage, unknowns: Unknowns) -> FullFit | str:
    """Return the fit, begun where output error ended; or why there is none."""
    p, settings = setup.model.n_parameters, setup.settings
    eta, delay = stage.h[:p], float(stage.h[p]) if setup.delayed else 0.0
    clock = _FREE_DELAY * setup.taken.dt_s if setup.delayed else settings.u_clock_s * unknowns.clock_freed
    wishes = KalmanSettings(
        u_reference_noise=settings.u_reference_noise or None,
        u_reference=settings.u_reference * unknowns.offset_freed,
        u_clock_s=clock,
        max_relative_u=settings.max_relative_u,
        process=Process.STEPS if settings.between is InterSample.ZERO and not setup.delayed else None,
        levels=judge.commanded(setup.taken.r),
    )
    found: KalmanFit | None = None
    for _ in range(_ROUNDS):
        try:
            found = fit_kalman(_read_at(setup, delay), setup.model, eta, settings=wishes)
        except InvalidData as error:
            return str(error)
        if found.parameters is None or not found.converged:
            return found.detail or "no maximum of the likelihood was found"
        # a clock of the sensor that is late reads the measurand too early
        moved, eta = -found.clock_offset_s, found.eta
        if not setup.delayed:
            break
        delay += moved
        if abs(moved) <= _NEAR * setup.taken.dt_s:
            break
    return "no maximum of the likelihood was found" if found is None else FullFit(found, delay)


def _read_at(setup: Setup, delay_s: float) -> list[AlignedRecord]:
    """Return the segments with the reference's instants later by the dead time, no longer those of the sensor."""
    late = round(delay_s * NS_PER_S)
    return [_shifted(segment, late) for segment in setup.taken.segments]


def _shifted(segment: Segment, late_ns: int) -> AlignedRecord:
    if late_ns == 0:
        return AlignedRecord(segment.t_ns, segment.y, segment.measured)
    instants = np.union1d(segment.t_ns, segment.t_ns + late_ns)
    y, r = np.full(instants.size, np.nan), np.full(instants.size, np.nan)
    y[np.searchsorted(instants, segment.t_ns)] = segment.y
    r[np.searchsorted(instants, segment.t_ns + late_ns)] = segment.measured
    return AlignedRecord(instants, y, r)


def coordinates(found: FullFit, delayed: bool) -> tuple[FloatArray, FloatArray]:
    """Return (η, T, offset) of a fit and their covariance; T and offset are 0, and certain, where not free."""
    fit = found.fit
    p = fit.eta.size
    late = found.delay_s if delayed else -fit.clock_offset_s
    h, cov = np.concatenate([fit.eta, [late, -fit.reference_offset]]), np.zeros((p + 2, p + 2))
    at = {name: p + i for i, name in enumerate(fit.nuisance_names)}
    where = [*range(p), *(at[name] for name in _OURS if name in at)]
    ours = [*range(p), *(p + i for i, name in enumerate(_OURS) if name in at)]
    # both unknowns are counted the other way round there
    sign = np.where(np.asarray(ours) < p, 1.0, -1.0)
    cov[np.ix_(ours, ours)] = fit.cov[np.ix_(where, where)] * np.outer(sign, sign)
    return h, cov

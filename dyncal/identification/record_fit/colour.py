"""Output error with the sensor's noise as coloured as its residuals show it (Box-Jenkins form).

θ and the parameters of such noise are asymptotically independent (Ljung, System Identification, 2nd ed., 9.4): so the
noise is found from the residuals, θ with these and their derivatives whitened by it, and so on until both stay.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from dyncal.identification.coloured import Noise, Residuals, noise_of
from dyncal.identification.record_fit.descent import descend
from dyncal.identification.record_fit.method import WHITE
from dyncal.identification.record_fit.otherwise import SHORTEST_READ, WITHIN, otherwise
from dyncal.identification.record_fit.reference import inverse
from dyncal.identification.record_fit.srivc import least_squares
from dyncal.identification.record_fit.stages import Setup, Stage, with_course
from dyncal.identification.report import ljung_box

_ROUNDS: Final = 4
_STAYS: Final = 0.03  # standard uncertainties
_MISFIT: Final = 20.0  # twice a log-likelihood ratio of two unknowns: p < 5e-5
_LAGS_MISFIT: Final = 62.0  # the same of twenty: p < 1e-5


def coloured_stage(setup: Setup, stage: Stage) -> Stage | None:
    """Return the fit with coloured noise of the sensor, from where output error ended; None if its noise is white.

    None also where noise at the sensor's input explains the colour as well, where no model of the noise leaves white
    residuals, and where these follow from the reference, read later or with an offset: that is no noise.
    """
    here = stage
    for _ in range(_ROUNDS):
        noise = _noise(setup, here)
        if noise is None:
            break
        there = _fitted(replace(setup, noise=noise), here)
        if there is None:
            break
        moved, here = _moved(here, there), there
        if moved < _STAYS:
            break
    if here is stage or not ljung_box(here.e) >= WHITE or _follows(here, even=setup.taken.even):
        return None
    return here


def by_coloured_noise(stage: Stage) -> str:
    """Return why this model of the noise is right, in words."""
    noise = stage.problem.noise
    label = "white" if noise is None else noise.label
    return (
        f"its residuals show noise of the sensor {label}, which noise at the sensor's input would not explain and "
        f"which leaves white residuals (p = {ljung_box(stage.e):.2g})"
    )


def _noise(setup: Setup, stage: Stage) -> Noise | None:
    model = setup.model
    readings, raw = stage.problem.readings, stage.done.last.raw
    runs = [Residuals(reading.t_ns, e) for reading, e in zip(readings, raw, strict=True)]
    return noise_of(runs, setup.taken.dt_s, even=setup.taken.even, sensor=(model, stage.h[: model.n_parameters]))


def _fitted(setup: Setup, stage: Stage) -> Stage | None:
    problem = setup.problem(stage.between)
    done = descend(problem, stage.done.last.at, stage.free, stage.prior)
    if done is None:
        return None
    there = replace(stage, problem=problem, done=done, rivals=())
    return there if setup.settings.between else with_course(setup, there)


def _follows(stage: Stage, *, even: bool) -> bool:
    """Tell whether what is left still follows from the reference, so that it is no noise."""
    if _explained(stage) > _MISFIT:
        return True
    return even and any(_by_lags(stage, k) > _LAGS_MISFIT for k in range(stage.problem.n_segments))


def _by_lags(stage: Stage, k: int) -> float:
    """Return what the reference, earlier, later and smoothed, explains of a segment's innovations, in variances.

    χ² of as many degrees of freedom as there are lags, or less (Ljung, System Identification, 2nd ed., 16.6).
    """
    problem, e = stage.problem, stage.done.last.e[k]
    track = problem.readings[k].at(float(stage.h[problem.p]))
    if track is None or e.size < SHORTEST_READ:
        return 0.0
    columns = problem.whitened(k, otherwise(track))[WITHIN]
    e = e[WITHIN]
    solution = least_squares(columns.T @ columns, columns.T @ e)
    return float(solution @ (columns.T @ e)) * problem.n_y / stage.done.last.sse


def _explained(stage: Stage) -> float:
    """Return by how much a shift of the reference in time and an offset would raise twice the log-likelihood.

    Whichever of them is not free anyway (score test). What is missing in the model's fast dynamics looks like the one.
    """
    last, core, p = stage.done.last, stage.core, stage.problem.p
    missing = np.array([i for i in (p, p + 1) if not stage.free[i] and last.a[i, i] > 0], dtype=np.int64)
    if not missing.size:
        return 0.0
    cov, pull = inverse(last.a[np.ix_(core, core)]), last.a[np.ix_(missing, core)]
    score = last.b[missing] - pull @ cov @ last.b[core]
    left = last.a[np.ix_(missing, missing)] - pull @ cov @ pull.T
    return float(score @ inverse(left) @ score) * stage.problem.n_y / last.sse


def _moved(before: Stage, after: Stage) -> float:
    """Return by how many standard uncertainties a coordinate moved at most."""
    core = after.core
    variance = after.done.last.sse / after.problem.n_y
    cov = variance * inverse(after.done.last.a[np.ix_(core, core)])
    return float(np.max(np.abs((after.h - before.h)[core]) / np.sqrt(np.maximum(np.diag(cov), 1e-300))))

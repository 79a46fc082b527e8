"""One model fitted and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.calibration import Verdict
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.identification.expected import against_expected
from dyncal.identification.frequency_response.points import FrequencyPoints
from dyncal.identification.frequency_response.problem import Problem, Solution, solve
from dyncal.identification.frequency_response.result import (
    Birge,
    Candidate,
    Criterion,
    FrequencyFitSettings,
    LaboratoryResult,
)
from dyncal.identification.frequency_response.start import starts
from dyncal.models.base import ResponseModel
from dyncal.models.delayed import DELAY

_RANK: Final = 1e-9
# a dead time or a gain this many standard uncertainties below zero is not noise
_SURELY: Final = 4.0
_SLOPE: Final = 0.05
"""Response over gain below which, at the lowest frequency, no point says anything of the gain."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A model with its row of the table, and its estimate where there is one."""

    model: ResponseModel
    row: Candidate
    theta: FloatArray | None = None
    cov: FloatArray | None = None
    laboratories: tuple[LaboratoryResult, ...] = ()

    @property
    def eligible(self) -> bool:
        """Whether the points determine this model."""
        return self.theta is not None and self.row.verdict in {Verdict.ACCEPTED, Verdict.INCONSISTENT}

    def score(self, criterion: Criterion) -> float:
        """Return the criterion's value, the lower the better."""
        return self.row.aicc if criterion is Criterion.AICC else self.row.bic


def fit_model(model: ResponseModel, laboratories: Sequence[FrequencyPoints], settings: FrequencyFitSettings) -> Fitted:
    """Fit one model and judge it."""
    problem = Problem(model, laboratories)
    if problem.n_values <= model.n_parameters + 1:
        detail = f"{problem.n_values} real values are too few for {model.n_parameters} parameters"
        return _refused(model, problem, Verdict.NOT_IDENTIFIABLE, detail)
    try:
        begin = starts(model, laboratories)
    except InvalidData as error:
        return _refused(model, problem, Verdict.NOT_IDENTIFIABLE, str(error))
    best: Solution | None = None
    for theta in begin:
        found = solve(problem, problem.coordinates(theta), best.chi2 if best else -np.inf)
        if found is not None and (best is None or found.chi2 < best.chi2):
            best = found
    if best is None:
        return _refused(model, problem, Verdict.DIVERGED, "no start led to a stable sensor")
    return _judged(model, problem, best, settings)


def _judged(model: ResponseModel, problem: Problem, best: Solution, settings: FrequencyFitSettings) -> Fitted:
    theta = problem.theta(best.x)
    cov, lost = _covariance(best.jacobian)
    p = model.n_parameters
    if lost:
        unobservable = tuple(model.names[i] for i in lost if i < p)
        detail = f"the points do not determine {', '.join(unobservable)}"
        row = _row(model, problem, best.chi2, Verdict.NOT_IDENTIFIABLE, unobservable, detail)
        return Fitted(model, row)
    scale = problem.scale(best.x)
    dof = problem.n_values - p
    widened = best.chi2 / dof if settings.birge is Birge.SCALE and best.chi2 > dof else 1.0
    cov_theta = widened * scale[:, None] * cov[:p, :p] * scale
    row = _row(model, problem, best.chi2, *_verdict(model, problem, best, theta, cov_theta, settings))
    return Fitted(model, row, theta, cov_theta, _laboratories(problem, best, widened * cov))


def _covariance(jacobian: FloatArray) -> tuple[FloatArray, list[int]]:
    """Return (JᵀJ)⁻¹ and the coordinates in directions without information (then the inverse is the pseudo-inverse)."""
    size = np.linalg.norm(jacobian, axis=0)
    dead = size < 1e-150
    scaled = jacobian / np.where(dead, 1.0, size)
    _, s, v = np.linalg.svd(scaled, full_matrices=False)
    weak = s <= _RANK * s[0]
    inverse = v.T @ ((1 / np.where(weak, np.inf, s) ** 2)[:, None] * v)
    share = np.abs(v[weak]).max(axis=0, initial=0.0)
    safe = np.where(dead, 1.0, size)
    return inverse / (safe[:, None] * safe), np.flatnonzero(dead | (share > 0.1)).tolist()


def _verdict(
    model: ResponseModel,
    problem: Problem,
    best: Solution,
    theta: FloatArray,
    cov: FloatArray,
    settings: FrequencyFitSettings,
) -> tuple[Verdict, tuple[str, ...], str]:
    u = np.sqrt(np.diag(cov))
    unobservable = tuple(
        name
        for name, value, own, floor in zip(model.names, theta, u, _floors(model, problem, theta), strict=True)
        if not own <= settings.max_relative_u * max(abs(value), floor)
    )
    if unobservable:
        return Verdict.NOT_IDENTIFIABLE, unobservable, f"the points do not determine {', '.join(unobservable)}"
    if not best.converged and (share := _of_gain(model, problem, theta)) < _SLOPE:
        detail = f"the response is {100 * share:.2g} % of the gain at the lowest frequency: all points lie on the slope"
        return Verdict.NOT_IDENTIFIABLE, model.names, f"{detail} far above the sensor's band, and do not determine it"
    if not best.converged:
        return Verdict.DIVERGED, (), "the iteration did not come to an end"
    against = _implausible(model, theta, u, settings)
    if against:
        return Verdict.INCONSISTENT, (), against
    return *_consistency(best.chi2, problem.n_values - model.n_parameters, settings), ""


def _of_gain(model: ResponseModel, problem: Problem, theta: FloatArray) -> float:
    """Return the response at the lowest frequency over the gain that the fit claims for DC."""
    lowest = min(float(points.f_hz.min()) for points in problem.laboratories)
    return abs(complex(model.frequency_response(theta, np.array([lowest]))[0])) / max(abs(float(theta[0])), 1e-300)


def _consistency(chi2: float, dof: int, settings: FrequencyFitSettings) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict of χ²; Birge's factor cures a moderate excess where it was asked for."""
    ratio = float(np.sqrt(chi2 / dof))
    cured = settings.birge is Birge.SCALE and ratio <= settings.max_birge
    good = cured or p_value(chi2, dof) >= settings.consistency_level
    return Verdict.ACCEPTED if good else Verdict.INCONSISTENT, ()


def _implausible(model: ResponseModel, theta: FloatArray, u: FloatArray, settings: FrequencyFitSettings) -> str:
    for name, value, own in zip(model.names, theta.tolist(), u.tolist(), strict=True):
        if against := against_expected(name, value, own, settings.expected):
            return against
        if name == DELAY and value < -_SURELY * own:
            return f"{name} is {value:.4g} s, before its cause: a phase of the wrong sign, or a time offset"
        if name == "gain" and value < -_SURELY * own and name not in settings.expected:
            return f"gain is {value:.6g}: polarity inverted (phase off by 180°)?"
    return ""


def _floors(model: ResponseModel, problem: Problem, theta: FloatArray) -> FloatArray:
    """Return the size below which a parameter may be zero as far as the points can tell, shape (p,).

    A dead time, a lead and a rational model's coefficients may be zero: their effect at the highest frequency counts.
    """
    top = 2 * np.pi * max(float(points.f_hz.max()) for points in problem.laboratories)
    floors = np.zeros(theta.size)
    for i, name in enumerate(model.names):
        if name in {DELAY, "tauz_s"}:
            floors[i] = 1 / top
        elif name[0] in "ab" and name[1:2].isdigit():
            floors[i] = (abs(theta[0]) if name[0] == "b" else 1.0) / top ** int(name[1])
    return floors


def _laboratories(problem: Problem, best: Solution, cov: FloatArray) -> tuple[LaboratoryResult, ...]:
    results, begin = [], 0
    for points, (magnitude, offset) in zip(problem.laboratories, problem.columns, strict=True):
        own = best.residuals[begin : begin + 2 * len(points)]
        begin += 2 * len(points)
        factor = 1.0 if magnitude is None else float(np.exp(points.u_magnitude * best.x[magnitude]))
        u_factor = 0.0 if magnitude is None else factor * points.u_magnitude * float(np.sqrt(cov[magnitude, magnitude]))
        late = 0.0 if offset is None else points.u_delay_s * float(best.x[offset])
        u_late = 0.0 if offset is None else points.u_delay_s * float(np.sqrt(cov[offset, offset]))
        chi2 = float(own @ own)
        results.append(LaboratoryResult(points.laboratory, len(points), chi2, factor, u_factor, late, u_late))
    return tuple(results)


def p_value(chi2: float, dof: int) -> float:
    """Return the probability of a χ² at least this large."""
    from scipy.special import gammaincc  # noqa: PLC0415 - not needed where fits are only read

    return float(gammaincc(dof / 2, chi2 / 2)) if dof > 0 else float("nan")


def _row(
    model: ResponseModel, problem: Problem, chi2: float, verdict: Verdict, unobservable: tuple[str, ...], detail: str
) -> Candidate:
    n, p = problem.n_values, model.n_parameters
    dof = n - p
    aicc = chi2 + 2 * p + 2 * p * (p + 1) / (n - p - 1) if n > p + 1 else float("inf")
    bic = chi2 + p * float(np.log(n))
    return Candidate(model.label, p, chi2, dof, p_value(chi2, dof), aicc, bic, verdict, unobservable, detail)


def _refused(model: ResponseModel, problem: Problem, verdict: Verdict, detail: str) -> Fitted:
    return Fitted(model, _row(model, problem, float("inf"), verdict, (), detail))

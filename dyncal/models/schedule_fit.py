"""Schedules fitted to calibrations at several conditions, by generalised least squares.

    minimise  Σᵢ (zᵢ - Φ(cᵢ)β)ᵀ Wᵢ (zᵢ - Φ(cᵢ)β),      Wᵢ⁻¹ = cov(zᵢ) + Gᵢ cov(cᵢ) Gᵢᵀ + diag(ω²)

zᵢ are the parameters of calibration i (logarithms where `dyncal.models.schedule` says so), Gᵢ = ∂z/∂c carries the
uncertainty of the condition (effective variance: Orear, Am. J. Phys. 50 (1982) 912), and ω is the scatter between
calibrations that χ² asks for, parameter by parameter (Mandel & Paule, Anal. Chem. 42 (1970) 1194); ω = 0 where χ² is
content without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.models.axes import Axis, Box, monomials, powers
from dyncal.models.consistency import chi2_p_value, coverage_factor
from dyncal.models.covariances import checked_covariance
from dyncal.models.schedule import ParameterSchedule, coordinates, design, logarithmic, physical

_ROUNDS: Final = 4
_HALVINGS: Final = 25
_MOST_CALIBRATIONS: Final = 10_000
_UNITS: Final = (1e3, 1e-3, 1e6, 1e-6, 60.0, 1 / 60)


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationAt:
    """A calibration and the condition it was made under, with standard uncertainties (0 unless given)."""

    condition: Mapping[str, float]
    parameters: Parameters
    u_condition: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class ScheduleSettings:
    """How a schedule is fitted.

    Attributes
    ----------
    degree : int or mapping of parameter name to int, optional
        Total degree of the polynomials. What is not named gets one degree more than Akaike's criterion (for known
        variances, χ² + twice the number of coefficients) asks for, where the calibrations determine it and
        `max_degree` allows it: a term too small to be seen is then in the covariance. Without it 95 % intervals covered
        86 % (docs/evidence).
    max_degree : int
    consistency_level : float
        Probability of χ² below which calibrations and polynomials do not stand together.
    common_cov : float64, shape (p, p), optional
        Covariance of an error that all calibrations share (their reference's), in the coordinates of the schedule:
        relative for a parameter that is scheduled by its logarithm, in its own unit for another.
    """

    degree: int | Mapping[str, int] | None = None
    max_degree: int = 3
    consistency_level: float = 0.01
    common_cov: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    names: tuple[str, ...]
    z: FloatArray  # (N, p)
    cov: FloatArray  # (N, p, p)
    x: FloatArray  # (N, k)
    u_x: FloatArray  # (N, k)


@dataclass(frozen=True, slots=True, eq=False)
class _Solution:
    beta: FloatArray
    cov: FloatArray
    residuals: FloatArray
    chi2: float


def fit_schedule(
    axes: Sequence[Axis], calibrations: Sequence[CalibrationAt], settings: ScheduleSettings | None = None
) -> ParameterSchedule:
    """Return the schedule of calibrations at two or more conditions.

    Raises
    ------
    InvalidData
        If there are too few calibrations, models or parameters differ, a number is not finite, a covariance is not
        one, a condition is missing or never changed, or the conditions do not determine polynomials of the degree asked
        for.
    """
    chosen = settings or ScheduleSettings()
    box, data = _prepared(tuple(axes), calibrations)
    degrees = tuple(_degree(data, i, chosen) for i in range(len(data.names)))
    still = np.zeros(len(data.names))
    plain = _solve(data, degrees, still)
    dof = data.z.size - plain.beta.size
    p_value = chi2_p_value(plain.chi2, dof)
    consistent = dof == 0 or p_value >= chosen.consistency_level
    level = chosen.consistency_level
    lack = still if consistent else np.array([_scatter(data, i, degrees[i], level) for i in range(still.size)])
    found = plain if consistent else _solve(data, degrees, lack)
    own = np.sqrt(np.einsum("npp->np", data.cov))
    cov = found.cov + _common(data.names, degrees, len(axes), chosen.common_cov)
    detail = "" if consistent else _trouble(data, degrees, calibrations, plain)
    if dof == 0:
        detail = "there are as many coefficients as calibrations: nothing speaks for or against the polynomials"
    if dof > 0 and p_value > 1 - chosen.consistency_level:
        detail = f"the calibrations agree better than their uncertainties let expect: χ² {plain.chi2:.3g} for {dof}"
    kind = calibrations[0].parameters.model
    return ParameterSchedule(
        kind, data.names, box, degrees, found.beta, cov, lack, plain.chi2, dof, p_value, consistent,
        found.residuals / own, detail,
    )  # fmt: skip


def _prepared(axes: tuple[Axis, ...], calibrations: Sequence[CalibrationAt]) -> tuple[Box, _Data]:
    wanted = [axis.name for axis in axes]
    if not axes or len(set(wanted)) != len(wanted):
        raise InvalidData(f"a schedule needs one or more conditions of different names, not {wanted}")
    if not 2 <= len(calibrations) <= _MOST_CALIBRATIONS:
        raise InvalidData(f"a schedule needs 2 to {_MOST_CALIBRATIONS} calibrations, not {len(calibrations)}")
    first = calibrations[0].parameters
    c, u, z, cov = [], [], [], []
    for number, each in enumerate(calibrations):
        said = each.parameters
        if (said.model, said.names) != (first.model, first.names):
            raise InvalidData(
                f"calibration {number} is of {said.model} {said.names}, and 0 of {first.model} {first.names}"
            )
        if not bool(np.all(np.isfinite(said.values))):
            raise InvalidData(f"calibration {number}: parameters must be finite, not {said.values}")
        c.append(_values(each.condition, wanted, f"calibration {number}: condition"))
        u.append(
            _values({**dict.fromkeys(wanted, 0.0), **each.u_condition}, wanted, f"calibration {number}: u_condition")
        )
        if min(u[-1]) < 0:
            raise InvalidData(f"calibration {number}: u_condition cannot be negative")
        own = checked_covariance(said.cov, f"calibration {number}: covariance", positive=said.names)
        value, slope = coordinates(said.names, said.values)
        z.append(value)
        cov.append(slope[:, None] * own * slope)
    conditions = np.array(c)
    box = Box.of(axes, conditions)
    x, slope = box.unit(conditions)
    return box, _Data(first.names, np.array(z), np.array(cov), x, np.abs(slope) * np.array(u))


def _values(given: Mapping[str, float], wanted: list[str], what: str) -> list[float]:
    if set(given) != set(wanted):
        raise InvalidData(f"{what} must name {', '.join(wanted)}, not {', '.join(sorted(given)) or 'nothing'}")
    values = [float(given[name]) for name in wanted]
    if not bool(np.all(np.isfinite(values))):
        raise InvalidData(f"{what} must be finite, not {dict(given)}")
    return values


def _degree(data: _Data, i: int, settings: ScheduleSettings) -> int:
    asked = settings.degree if not isinstance(settings.degree, Mapping) else settings.degree.get(data.names[i])
    if asked is not None:
        if asked < 0 or _rank(data, asked) < len(powers(data.x.shape[1], asked)):
            raise InvalidData(f"{len(data.x)} calibrations do not determine a polynomial of degree {asked}")
        return asked
    own = _alone(data, i)
    best, least, largest = 0, np.inf, 0
    for degree in range(settings.max_degree + 1):
        n = len(powers(data.x.shape[1], degree))
        if _rank(data, degree) < n:
            break
        largest = degree
        score = _solve(own, (degree,), np.zeros(1)).chi2 + 2 * n
        if score < least and n < len(data.x):
            best, least = degree, score
    return min(best + 1, largest)


def _rank(data: _Data, degree: int) -> int:
    return int(np.linalg.matrix_rank(monomials(data.x, powers(data.x.shape[1], degree))[0], rtol=1e-9))


def _alone(data: _Data, i: int) -> _Data:
    return _Data((data.names[i],), data.z[:, i : i + 1], data.cov[:, i : i + 1, i : i + 1], data.x, data.u_x)


def _solve(data: _Data, degrees: tuple[int, ...], lack: FloatArray) -> _Solution:
    rows, gradients = design(data.names, degrees, data.x)
    beta = np.zeros(rows.shape[2])
    moving = bool(np.any(data.u_x > 0))
    for _ in range(_ROUNDS if moving else 1):
        spread = np.einsum("npqk,q->npk", gradients, beta) * data.u_x[:, None, :]
        root = np.linalg.cholesky(data.cov + spread @ spread.transpose(0, 2, 1) + np.diag(lack**2))
        white = np.linalg.solve(root, rows).reshape(-1, beta.size)
        target = np.linalg.solve(root, data.z[:, :, None]).ravel()
        scale = np.linalg.norm(white, axis=0)
        q, r = np.linalg.qr(white / scale)
        beta = np.linalg.solve(r, q.T @ target) / scale
    inverse = np.linalg.inv(r) / scale[:, None]
    misfit = target - white @ beta
    return _Solution(beta, inverse @ inverse.T, data.z - rows @ beta, float(misfit @ misfit))


def _scatter(data: _Data, i: int, degree: int, level: float) -> float:
    """Return ω of one parameter, with which its own χ² is as large as its degrees of freedom; 0 if χ² is content.

    Widened as Student's t is, so that twice of it still covers 95 % where few calibrations tell it.
    """
    own = _alone(data, i)
    dof = len(own.z) - len(powers(own.x.shape[1], degree))
    if dof < 1 or chi2_p_value(_solve(own, (degree,), np.zeros(1)).chi2, dof) >= level:
        return 0.0
    low, high = 0.0, float(np.ptp(own.z)) + float(np.sqrt(own.cov.max()))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        small = _solve(own, (degree,), np.array([middle])).chi2 > dof
        low, high = (middle, high) if small else (low, middle)
    # of the whole scatter, the calibrations' own uncertainties are known and do not count twice
    known = float(own.cov.mean())
    wide = (coverage_factor(dof) / coverage_factor(None)) ** 2 * (high**2 + known) - known
    return float(np.sqrt(wide))


def _common(names: tuple[str, ...], degrees: tuple[int, ...], n_axes: int, cov: FloatArray | None) -> FloatArray:
    """Return the covariance that a shared error gives the coefficients: it moves the constants alone."""
    sizes = [len(powers(n_axes, degree)) for degree in degrees]
    begins = np.cumsum([0, *sizes])
    whole = np.zeros((begins[-1], begins[-1]))
    if cov is None:
        return whole
    checked = checked_covariance(np.asarray(cov, dtype=np.float64), "common_cov")
    if checked.shape != (len(names), len(names)):
        raise InvalidData(f"common_cov has shape {checked.shape}, and there are {len(names)} parameters")
    whole[np.ix_(begins[:-1], begins[:-1])] = checked
    return whole


def _trouble(data: _Data, degrees: tuple[int, ...], calibrations: Sequence[CalibrationAt], plain: _Solution) -> str:
    """Say which calibration is farthest off, and whether by a factor that units make."""
    u = np.sqrt(np.einsum("npp->np", data.cov))
    worst, i = divmod(int(np.argmax(np.abs(plain.residuals / u))), len(data.names))
    name, where = data.names[i], dict(calibrations[worst].condition)
    text = f"χ² {plain.chi2:.4g} is too large: {name} of calibration {worst} at {where} is farthest off"
    others = np.arange(len(data.z)) != worst
    rest = _Data(data.names, data.z[others], data.cov[others], data.x[others], data.u_x[others])
    if not bool(logarithmic((name,))[0]) or _rank(rest, degrees[i]) < len(powers(data.x.shape[1], degrees[i])):
        return text
    beta = _solve(_alone(rest, i), (degrees[i],), np.zeros(1)).beta
    expected = design((name,), (degrees[i],), data.x[worst : worst + 1])[0][0] @ beta
    factor = float(physical((name,), data.z[worst, i : i + 1])[0][0] / physical((name,), expected)[0][0])
    for unit in _UNITS:
        if abs(np.log(factor / unit)) < 0.2:
            return f"{text}: {unit:g} times what the others say, as with wrong units"
    return text

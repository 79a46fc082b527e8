"""Static calibrations: a polynomial of the indication fitted to pairs with uncertainty in both.

    minimise  (x - p(η))ᵀ Cx⁻¹ (x - p(η)) + (y - η)ᵀ Cy⁻¹ (y - η)

over the coefficients of p and the true indications η, by Gauss and Newton, η eliminated: with P = diag p'(η), the
residuals x - p(η) - P(y - η) have covariance V = Cx + P Cy P (ISO/TS 28037:2010, 7 and 10, for straight lines;
ISO/TS 28038:2018 for polynomials). The basis is Chebyshev's over the range of indications, in which no degree is
ill-conditioned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.polynomial import chebyshev

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.models.consistency import chi2_p_value
from dyncal.models.covariances import checked_covariance
from dyncal.models.static import MAX_DEGREE
from dyncal.models.static_calibration import StaticCalibration, is_monotone

_ROUNDS: Final = 50
_DONE: Final = 1e-10
_MOST_PAIRS: Final = 2000
_SURELY: Final = 3.0
_LARGEST: Final = 1e100
_UNITS: Final = (1e3, 1e-3, 1e6, 1e-6, -1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Indications y and the values x of the measurand that the reference stated, n of each.

    Attributes
    ----------
    y, x : float64, shape (n,)
    u_y, u_x : float64, shape (n,) or (n, n), or a number
        Standard uncertainties, or covariance matrices (a reference's systematic part is the same in all of x).
    """

    y: FloatArray
    x: FloatArray
    u_y: FloatArray | float
    u_x: FloatArray | float


@dataclass(frozen=True, slots=True, eq=False)
class StaticSettings:
    """How a static calibration is fitted.

    Attributes
    ----------
    degree : int, optional
        Of the polynomial; without it, one more than Akaike's criterion asks for, up to `max_degree`, where the pairs
        determine it and it is monotone (`ScheduleSettings` says why one more).
    max_degree : int
    slope_limits : (float, float), optional
        Between which the mean dx/dy must lie: to catch a wrong sign and wrong units.
    consistency_level : float
        Probability of χ² below which pairs and polynomial do not stand together.
    """

    degree: int | None = None
    max_degree: int = 4
    slope_limits: tuple[float, float] | None = None
    consistency_level: float = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    y: FloatArray
    x: FloatArray
    cov_y: FloatArray  # (n,) variances, or (n, n)
    cov_x: FloatArray
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class _Solution:
    a: FloatArray
    cov: FloatArray
    chi2: float
    residuals: FloatArray


def fit_static(pairs: Pairs, settings: StaticSettings | None = None) -> StaticCalibration:
    """Return the polynomial x = p(y) over the range of the pairs' indications, with covariance.

    Raises
    ------
    InvalidData
        If shapes differ, a number is not finite, an uncertainty is negative or missing in both x and y, a covariance is
        not one, there are too few different indications, they do not depend on the measurand, the slope is outside its
        limits, the iteration does not end, or the polynomial is not monotone.
    """
    chosen = settings or StaticSettings()
    data = _checked(pairs)
    _check_slope(_solve(data, 1), data, chosen)
    degree = _degree(data, chosen)
    solution = _solve(data, degree)
    if not is_monotone(solution.a):
        where = f"over indications {data.low:g} to {data.high:g}"
        raise InvalidData(f"the polynomial of degree {degree} is not monotone {where}")
    dof = data.y.size - degree - 1
    p_value = chi2_p_value(solution.chi2, dof)
    level = chosen.consistency_level
    return StaticCalibration(
        data.low, data.high, solution.a, solution.cov, solution.chi2, dof, p_value, dof == 0 or p_value >= level,
        solution.residuals, _detail(solution, dof, p_value, level),
    )  # fmt: skip


def _checked(pairs: Pairs) -> _Data:
    y, x = np.asarray(pairs.y, dtype=np.float64), np.asarray(pairs.x, dtype=np.float64)
    if y.ndim != 1 or x.shape != y.shape:
        raise InvalidData(f"indications {y.shape} and measurands {x.shape} are no pairs")
    if not 2 <= y.size <= _MOST_PAIRS:
        raise InvalidData(f"a static calibration needs 2 to {_MOST_PAIRS} pairs, not {y.size}")
    if not bool(np.all(np.abs(y) < _LARGEST) and np.all(np.abs(x) < _LARGEST)):
        raise InvalidData(f"indications and measurands must be finite, and below {_LARGEST:g}")
    if not y.max() > y.min():
        raise InvalidData(f"the indication was {y[0]} for every measurand: a sensor that is stuck, or saturated")
    cov_y, cov_x = _variances(pairs.u_y, y.size, "u_y"), _variances(pairs.u_x, y.size, "u_x")
    nothing = np.flatnonzero((_diagonal(cov_y) == 0) & (_diagonal(cov_x) == 0))
    if nothing.size:
        raise InvalidData(f"pair {nothing[0]} has an uncertainty neither of the indication nor of the measurand")
    return _Data(y, x, cov_y, cov_x, float(y.min()), float(y.max()))


def _variances(u: FloatArray | float, n: int, what: str) -> FloatArray:
    values = np.asarray(u, dtype=np.float64)
    if values.ndim == 2:
        if values.shape != (n, n):
            raise InvalidData(f"the covariance {what} has shape {values.shape} for {n} pairs")
        return checked_covariance(values, f"the covariance {what}")
    if values.shape not in {(), (n,)} or not bool(np.all(np.isfinite(values)) and np.all(values >= 0)):
        raise InvalidData(f"{what} must be {n} finite numbers, or one, not negative")
    return np.broadcast_to(values**2, (n,))


def _diagonal(cov: FloatArray) -> FloatArray:
    return cov if cov.ndim == 1 else np.diag(cov)


def _degree(data: _Data, settings: StaticSettings) -> int:
    most = min(np.unique(data.y).size - 1, MAX_DEGREE)
    if settings.degree is not None:
        if not 1 <= settings.degree <= most:
            raise InvalidData(f"these pairs determine degrees 1 to {most}, not {settings.degree}")
        return settings.degree
    best, least, largest = 1, np.inf, 1
    for degree in range(1, min(settings.max_degree, most) + 1):
        solution = _solve(data, degree)
        if not is_monotone(solution.a):
            continue
        score = solution.chi2 + 2 * degree
        if score < least and degree + 1 < data.y.size:
            best, least = degree, score
        if degree == best + 1:
            largest = degree
    return largest if largest == best + 1 else best


def _solve(data: _Data, degree: int) -> _Solution:
    scale = 2 / (data.high - data.low)
    middle = (data.high + data.low) / 2
    eta = data.y
    a: FloatArray = np.asarray(chebyshev.chebfit(scale * (eta - middle), data.x, degree), dtype=np.float64)
    for _ in range(_ROUNDS):
        t = scale * (eta - middle)
        basis: FloatArray = np.asarray(chebyshev.chebvander(t, degree), dtype=np.float64)
        slope: FloatArray = np.asarray(chebyshev.chebval(t, chebyshev.chebder(a)) * scale, dtype=np.float64)
        whiten = _Whitening(data, slope)
        target = data.x - slope * (data.y - eta)
        q, r = np.linalg.qr(whiten(basis))
        before, a = a, np.linalg.solve(r, q.T @ whiten(target[:, None])[:, 0])
        white = whiten((target - basis @ a)[:, None])[:, 0]
        moved = data.y + _times(data.cov_y, slope * whiten(white[:, None], transposed=True)[:, 0])
        shift, eta = float(np.abs(moved - eta).max()) * scale, moved
        if float(np.abs(a - before).max()) <= _DONE * float(np.abs(a).max()) and shift <= _DONE:
            inverse = np.linalg.inv(r)
            u = np.sqrt(_diagonal(data.cov_x) + slope**2 * _diagonal(data.cov_y))
            return _Solution(a, inverse @ inverse.T, float(white @ white), (target - basis @ a) / u)
    raise InvalidData(f"the fit of degree {degree} does not settle: are the uncertainties larger than the range?")


class _Whitening:
    """V^(-1/2) for V = Cx + P Cy P, in the way of Cholesky."""

    def __init__(self, data: _Data, slope: FloatArray) -> None:
        self._root: FloatArray
        if data.cov_x.ndim == 1 and data.cov_y.ndim == 1:
            self._root = np.sqrt(data.cov_x + slope**2 * data.cov_y)
            singular = not bool(np.all(self._root > 0))
        else:
            whole = _full(data.cov_x) + slope[:, None] * _full(data.cov_y) * slope
            try:
                self._root, singular = np.asarray(np.linalg.cholesky(whole), dtype=np.float64), False
            except np.linalg.LinAlgError:
                singular = True
        if singular:
            raise InvalidData("the uncertainties of the pairs leave one of them without any")

    def __call__(self, columns: FloatArray, *, transposed: bool = False) -> FloatArray:
        if self._root.ndim == 1:
            return columns / self._root[:, None]
        solved: FloatArray = np.asarray(np.linalg.solve(self._root.T if transposed else self._root, columns))
        return solved


def _full(cov: FloatArray) -> FloatArray:
    return np.diag(cov) if cov.ndim == 1 else cov


def _times(cov: FloatArray, column: FloatArray) -> FloatArray:
    return cov * column if cov.ndim == 1 else cov @ column


def _check_slope(line: _Solution, data: _Data, settings: StaticSettings) -> None:
    if not abs(line.a[1]) > _SURELY * float(np.sqrt(line.cov[1, 1])):
        raise InvalidData("the indication does not depend on the measurand, as far as these pairs can tell")
    if settings.slope_limits is None:
        return
    low, high = settings.slope_limits
    slope = 2 * float(line.a[1]) / (data.high - data.low)
    if not low <= slope <= high:
        wrong = next((f for f in _UNITS if low <= slope / f <= high), None)
        hint = f": {wrong:g} times what it should be, as with wrong units or sign" if wrong else ""
        raise InvalidData(f"the slope dx/dy is {slope:.6g}, and {low:g} to {high:g} was expected{hint}")


def _detail(solution: _Solution, dof: int, p_value: float, level: float) -> str:
    if dof == 0:
        return "there are as many coefficients as pairs: nothing speaks for or against the polynomial"
    if p_value < level:
        worst = int(np.argmax(np.abs(solution.residuals)))
        off = f"pair {worst} is farthest off, by {solution.residuals[worst]:.3g} standard uncertainties"
        return f"χ² {solution.chi2:.4g} for {dof} is too large: {off}"
    if p_value > 1 - level:
        return f"the pairs agree better than their uncertainties let expect: χ² {solution.chi2:.3g} for {dof}"
    return ""

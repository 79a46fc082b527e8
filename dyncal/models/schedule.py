"""Schedules: a sensor's parameters as functions of its operating conditions, with covariance.

Each parameter (its logarithm where it cannot be negative) is a polynomial in the conditions, or in their logarithm or
reciprocal. The covariance of what a schedule says has four parts: that of the polynomials' coefficients, what the
calibrations have in common (the reference), the uncertainty of the condition through the slope, and the lack of fit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.models import named_model
from dyncal.models.axes import Box, monomials, powers
from dyncal.models.base import ResponseModel

_DENOMINATOR: Final = re.compile(r"a\d_s\d?")


@dataclass(frozen=True, slots=True, eq=False)
class Scheduled:
    """What a schedule says for one condition.

    Attributes
    ----------
    parameters : Parameters
    extrapolated : bool
        The condition lies outside those that were calibrated: nothing stands behind value or covariance there.
    """

    parameters: Parameters
    extrapolated: bool


@dataclass(frozen=True, slots=True, eq=False)
class ParameterSchedule:
    """θ as a function of operating conditions.

    Attributes
    ----------
    kind, names
        Model and its p parameters.
    box : Box
        The conditions that were calibrated.
    degrees : tuple of int
        Total degree of each parameter's polynomial.
    coefficients : float64, shape (q,)
        Of the monomials (`dyncal.models.axes.powers`) in the box's coordinates, parameter by parameter.
    cov : float64, shape (q, q)
        Their covariance, with what is common to all calibrations.
    u_lack_of_fit : float64, shape (p,)
        Scatter between calibrations beyond their uncertainties, in the coordinates; 0 where χ² is content.
    chi2, dof, p_value
        Of the calibrations about the polynomials, without lack of fit.
    consistent : bool
        Whether χ² lets the calibrations' uncertainties and the polynomials stand together.
    residuals : float64, shape (N, p)
        Deviations of the calibrations from the schedule over the calibrations' own standard uncertainties.
    detail : str
        For people: what is wrong where something is.
    """

    kind: ModelKind
    names: tuple[str, ...]
    box: Box
    degrees: tuple[int, ...]
    coefficients: FloatArray
    cov: FloatArray
    u_lack_of_fit: FloatArray
    chi2: float
    dof: int
    p_value: float
    consistent: bool
    residuals: FloatArray
    detail: str = ""

    def at(self, condition: Mapping[str, float], u_condition: Mapping[str, float] | None = None) -> Parameters:
        """Return θ with its covariance at a condition, standard uncertainties `u_condition` (0 unless given).

        Raises
        ------
        InvalidData
            If the condition is incomplete, unknown, not finite, or outside those that were calibrated.
        """
        scheduled = self.evaluate(condition, u_condition)
        if scheduled.extrapolated:
            raise InvalidData(f"{_said(condition)} is outside the calibrated conditions, {self._range()}")
        return scheduled.parameters

    def evaluate(self, condition: Mapping[str, float], u_condition: Mapping[str, float] | None = None) -> Scheduled:
        """Return what `at` does, but outside the calibrated conditions too, and say so.

        Raises
        ------
        InvalidData
            If the condition is incomplete, unknown or not finite, or no stable sensor has what the polynomials give
            there.
        """
        values = self._values(condition, "condition")
        u = self._values(dict.fromkeys(condition, 0.0) | dict(u_condition or {}), "uncertainty of the condition")
        if bool(np.any(u < 0)):
            raise InvalidData(f"the uncertainty of a condition cannot be negative: {_said(u_condition or {})}")
        x, slope = self.box.unit(values[None])
        rows, gradients = design(self.names, self.degrees, x)
        z = rows[0] @ self.coefficients
        by_condition = np.einsum("pqk,q->pk", gradients[0], self.coefficients) * slope[0] * u
        cov_z = rows[0] @ self.cov @ rows[0].T + by_condition @ by_condition.T + np.diag(self.u_lack_of_fit**2)
        theta, scale = physical(self.names, z)
        named_model(self.kind, self.names).check_physical(theta)
        cov = scale[:, None] * cov_z * scale
        extrapolated = not self.box.holds(values)
        return Scheduled(Parameters(self.kind, self.names, theta, (cov + cov.T) / 2), extrapolated)

    def _values(self, given: Mapping[str, float], what: str) -> FloatArray:
        names = [axis.name for axis in self.box.axes]
        if set(given) != set(names):
            raise InvalidData(f"the {what} must name {', '.join(names)}, not {', '.join(sorted(given)) or 'nothing'}")
        values = np.array([given[name] for name in names], dtype=np.float64)
        if not bool(np.all(np.isfinite(values))):
            raise InvalidData(f"the {what} must be finite: {_said(given)}")
        return values

    def _range(self) -> str:
        ends = zip(self.box.axes, self.box.low.tolist(), self.box.high.tolist(), strict=True)
        return ", ".join(f"{axis.name} {low:g} to {high:g}" for axis, low, high in ends)


def logarithmic(names: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Return which parameters are scheduled by their logarithm, shape (p,): those that no sensor has at or below 0."""
    return np.array([name in ResponseModel.positive or _DENOMINATOR.fullmatch(name) is not None for name in names])


def coordinates(names: tuple[str, ...], theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return z, shape (p,), and dz/dθ, shape (p,); raise `InvalidData` where a logarithm is not to be had."""
    by_log = logarithmic(names)
    for name, value in zip(np.array(names)[by_log].tolist(), theta[by_log].tolist(), strict=True):
        if not value > 0:
            raise InvalidData(f"{name} must be positive, not {value}")
    safe = np.where(by_log, theta, 1.0)
    return np.where(by_log, np.log(safe), theta), 1 / safe


def physical(names: tuple[str, ...], z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return θ for z and dθ/dz, each of shape (p,)."""
    by_log = logarithmic(names)
    theta = np.where(by_log, np.exp(np.where(by_log, z, 0.0)), z)
    return theta, np.where(by_log, theta, 1.0)


def design(names: tuple[str, ...], degrees: tuple[int, ...], x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return ∂z/∂coefficients at x (N, k), shape (N, p, q), and its gradients in x, shape (N, p, q, k)."""
    parts = [monomials(x, powers(x.shape[1], degree)) for degree in degrees]
    q = sum(values.shape[1] for values, _ in parts)
    rows = np.zeros((x.shape[0], len(names), q))
    gradients = np.zeros((*rows.shape, x.shape[1]))
    begin = 0
    for i, (values, slopes) in enumerate(parts):
        own = slice(begin, begin + values.shape[1])
        rows[:, i, own], gradients[:, i, own] = values, slopes
        begin = own.stop
    return rows, gradients


def _said(condition: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in condition.items())

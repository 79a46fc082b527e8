"""What a design asks of a sensor, whatever its kind: roots, dead time, gain at DC."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.coefficients import Parameters
from dyncal.domain.covariances import correlations
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.models import DELAY, Delayed, Rational, ResponseModel, named_model
from dyncal.models.base import ComplexArray

_COMPLEX_STEP: Final = 1e-30
_LEAST_GAIN, _MOST_GAIN = 1e-100, 1e100


@dataclass(frozen=True, slots=True, eq=False)
class Sensor:
    """A model at its parameters.

    Attributes
    ----------
    model : ResponseModel
    theta : float64, shape (p,)
    numerator, denominator : float64
        B and A of H(s) = B(s)/A(s) e^(-sT), lowest power first, A(0) = 1.
    dead_time_s : float
        T, 0 for a model without.
    """

    model: ResponseModel
    theta: FloatArray
    numerator: FloatArray
    denominator: FloatArray
    dead_time_s: float

    @property
    def dc_gain(self) -> float:
        """H(0)."""
        return float(self.numerator[0])

    @property
    def poles(self) -> ComplexArray:
        """Roots of A [rad/s]."""
        return roots(self.denominator)

    @property
    def zeros(self) -> ComplexArray:
        """Roots of B [rad/s]."""
        return roots(self.numerator)

    def response(self, omega: FloatArray) -> ComplexArray:
        """Return H(jω) for ω [rad/s] of any shape."""
        f_hz = omega.ravel() / (2 * np.pi)
        return self.model.frequency_response(self.theta, f_hz).reshape(omega.shape)

    def log_sensitivities(self, omega: FloatArray) -> ComplexArray:
        """Return -∂ln H/∂θ_i at ω [rad/s] of shape (n,), shape (n, p)."""
        f_hz = omega / (2 * np.pi)
        h = self.model.frequency_response(self.theta, f_hz)
        return np.asarray(-self.model.jacobian(self.theta, f_hz) / h[:, None], np.complex128)


def sensor_of(parameters: Parameters) -> Sensor:
    """Return the sensor that these parameters describe.

    Raises
    ------
    InvalidData
        If no model has such parameters, a number is not finite, the sensor is not stable, has no gain at DC, or a
        covariance is not one (negative variance, not symmetric, indefinite).
    """
    model = named_model(parameters.model, parameters.names)
    theta = model.check_physical(parameters.values)
    correlations(parameters.cov, "the parameters' covariance")
    inner, values, delay = model, theta, 0.0
    if isinstance(model, Delayed):
        inner, values, delay = model.model, theta[:-1], float(theta[-1])
    b, a = _polynomials(inner, values)
    if not _LEAST_GAIN < abs(b[0]) < _MOST_GAIN:
        raise InvalidData(f"a sensor with gain {b[0]} at DC cannot be corrected")
    return Sensor(model, theta, b, a, delay)


def roots(polynomial: FloatArray) -> ComplexArray:
    """Return the roots of a polynomial, lowest power first, scaled so that very slow and very fast roots are found."""
    order = int(np.flatnonzero(polynomial)[-1])
    if order == 0:
        return np.empty(0, np.complex128)
    w = float(abs(polynomial[0] / polynomial[order]) ** (1 / order))
    scaled = polynomial[: order + 1] / polynomial[0] * w ** np.arange(order + 1)
    return np.asarray(np.roots(scaled[::-1]) * w, np.complex128)


def polynomial_derivatives(sensor: Sensor) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return ∂b_k/∂θ_i, ∂a_k/∂θ_i and ∂T/∂θ_i, shapes (p, m + 1), (p, n + 1), (p,)."""
    model, p = sensor.model, sensor.theta.size
    db, da, dt = np.zeros((p, sensor.numerator.size)), np.zeros((p, sensor.denominator.size)), np.zeros(p)
    inner: ResponseModel = model
    if isinstance(model, Delayed):
        inner, dt[-1] = model.model, 1.0
    if isinstance(inner, Rational):
        db[: db.shape[1]] = np.eye(db.shape[1])
        da[db.shape[1] : db.shape[1] + da.shape[1] - 1, 1:] = np.eye(da.shape[1] - 1)
        return db, da, dt
    for i in range(inner.n_parameters):
        moved = sensor.theta[: inner.n_parameters].astype(np.complex128)
        moved[i] += 1j * _COMPLEX_STEP
        b, a = _coefficients(inner, moved)
        db[i], da[i] = b.imag / _COMPLEX_STEP, a.imag / _COMPLEX_STEP
    return db, da, dt


def _polynomials(model: ResponseModel, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    if isinstance(model, Rational):
        return model.polynomials(theta)
    b, a = _coefficients(model, theta.astype(np.complex128))
    return b.real, a.real


def _coefficients(model: ResponseModel, theta: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
    value = dict(zip(model.names, theta.tolist(), strict=True))
    gain = value["gain"]
    if "tau_s" in value:
        return np.array([gain]), np.array([1.0, value["tau_s"]])
    if "f0_hz" in value:
        omega = 2 * math.pi * value["f0_hz"]
        return np.array([gain]), np.array([1.0, 2 * value["damping"] / omega, omega**-2])
    if "tauz_s" in value:
        tau1, tau2 = value["tau1_s"], value["tau2_s"]
        return gain * np.array([1.0, value["tauz_s"]]), np.array([1.0, tau1 + tau2, tau1 * tau2])
    raise InvalidData(f"a {model.label} model has no transfer function to correct")


__all__ = ["DELAY", "Sensor", "polynomial_derivatives", "roots", "sensor_of"]

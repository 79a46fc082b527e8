"""The Cramér-Rao bound of a trial: what no unbiased estimator can do better, from the definition.

With z(θ, x0) the indications of a sensor whose measurand is known at every instant, J its derivatives, and Σ the
covariance of the noise, cov θ̂ >= [(Jᵀ Σ⁻¹ J)⁻¹]_θθ (Kay, *Fundamentals of Statistical Signal Processing: Estimation
Theory*, 3.7 and 3.9). The state in which the sensor enters the record is unknown, and among the columns of J.

White noise of the reference, of variance σ_r², is seen through the sensor: the equation error y - H r has the spectrum
σ_y² + σ_r² |H|², and Σ is its Toeplitz covariance (Pintelon & Schoukens, *System Identification*, 2nd ed., ch. 9: the
errors-in-variables likelihood for known noise and a measurand of which nothing else is known).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import scipy.linalg

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, Int64Array
from simulators.datasets.definitions import DELAY, SensorSpec
from simulators.physics import dynamics

STEP: Final = 1e-4
"""Of ln θ, for central differences: 1e-8 of the second order, against 1e-10 in the integrated indications."""


def record_bound(
    sensor: SensorSpec,
    theta: FloatArray,
    t_ns: Int64Array,
    answer: Callable[[FloatArray], FloatArray],
    noise: float,
    reference_noise: float = 0.0,
) -> FloatArray:
    """Return the standard deviations of the bound, shape (p,), of a record of shape (n,).

    Parameters
    ----------
    answer : callable
        Parameters, shape (p,) → noiseless indications, shape (n,).
    noise, reference_noise : float
        Standard deviations; with a noisy reference, `t_ns` is an even grid.
    """
    columns = np.stack([_slope(answer, theta, i) for i in range(theta.size)], axis=1)
    jacobian = np.concatenate((columns, free_responses(sensor, theta, t_ns)), axis=1)
    if reference_noise > 0:
        dt_s = int(t_ns[1] - t_ns[0]) / NS_PER_S
        covariance = equation_error(sensor, theta, dt_s, t_ns.size, noise, reference_noise)
        whitened = scipy.linalg.solve_toeplitz(covariance, jacobian)
        information = jacobian.T @ whitened
    else:
        information = jacobian.T @ jacobian / noise**2
    return of_information(information)[: theta.size]


def of_information(information: FloatArray) -> FloatArray:
    """Return the square roots of the diagonal of an inverse, the matrix scaled first."""
    scale = np.sqrt(np.diag(information))
    inverse = np.linalg.pinv(information / np.outer(scale, scale), rcond=1e-13, hermitian=True)
    return np.asarray(np.sqrt(np.diag(inverse)) / scale, np.float64)


def free_responses(sensor: SensorSpec, theta: FloatArray, t_ns: Int64Array) -> FloatArray:
    """Return c e^(A t) for every state the record may begin in, shape (n, k)."""
    dynamic = theta[:-1] if sensor.names[-1] == DELAY else theta
    space = dynamics.state_space(sensor.form, dynamic[None, :])
    values, vectors = np.linalg.eig(space.a[0])
    modes = np.exp(np.outer((t_ns - t_ns[0]) / NS_PER_S, values)) * (space.c[0] @ vectors)
    free = np.asarray((modes @ np.linalg.inv(vectors)).real, np.float64)
    return np.asarray(free / np.maximum(np.max(np.abs(free), axis=0), 1e-300), np.float64)


def equation_error(
    sensor: SensorSpec, theta: FloatArray, dt_s: float, n: int, noise: float, reference_noise: float
) -> FloatArray:
    """Return the autocovariance of y - H r at lags 0 to n - 1; n dt must be long against the sensor's times."""
    size = 1 << (2 * n - 1).bit_length()
    dynamic = theta[:-1] if sensor.names[-1] == DELAY else theta
    response = dynamics.frequency_response(sensor.form, dynamic, np.asarray(np.fft.rfftfreq(size, dt_s), np.float64))
    covariance = reference_noise**2 * np.fft.irfft(np.abs(response) ** 2, size)[:n]
    covariance[0] += noise**2
    return np.asarray(covariance, np.float64)


def points_bound(
    sensor: SensorSpec, theta: FloatArray, f_hz: FloatArray, cov: FloatArray, u_common: float = 0.0
) -> FloatArray:
    """Return the bound for points at `f_hz`, shape (n,), whose (Re, Im) have the covariances `cov`, shape (n, 2, 2).

    A factor 1 + b that all points share is unknown, with b ~ N(0, u_common²): a nuisance with a prior (van Trees).
    """

    def at(values: FloatArray) -> FloatArray:
        h = response_of(sensor, values, f_hz)
        return np.concatenate((h.real, h.imag))

    columns = [_slope(at, theta, i) for i in range(theta.size)]
    if u_common > 0:
        columns.append(at(theta))
    jacobian = np.stack(columns, axis=1).reshape(2, f_hz.size, -1).transpose(1, 0, 2)
    information = np.einsum("nip,nij,njq->pq", jacobian, np.linalg.inv(cov), jacobian)
    if u_common > 0:
        information[-1, -1] += 1 / u_common**2
    return of_information(information)[: theta.size]


def response_of(
    sensor: SensorSpec, theta: FloatArray, f_hz: FloatArray
) -> np.ndarray[tuple[int], np.dtype[np.complex128]]:
    """Return H at frequencies [Hz], dead time included."""
    delayed = sensor.names[-1] == DELAY
    h = dynamics.frequency_response(sensor.form, theta[:-1] if delayed else theta, f_hz)
    return h * np.exp(-2j * np.pi * f_hz * theta[-1]) if delayed else h


def _slope(of: Callable[[FloatArray], FloatArray], theta: FloatArray, index: int) -> FloatArray:
    up, down = theta.copy(), theta.copy()
    up[index] *= 1 + STEP
    down[index] *= 1 - STEP
    slope: FloatArray = (of(up) - of(down)) / (up[index] - down[index])
    return slope

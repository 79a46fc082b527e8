"""From a sensor and its measurand's spectrum to the system that the smoother runs.

The measurand is a Butterworth process of the spectrum's corner and (rounded) order and variance, plus a random walk for
what is constant: far below the corner its density crosses the process's, so that a level is followed exactly
in the end and the band is left alone. Or it is an integrated Wiener process, which has no level of its own.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from dyncal.correction.design.asked import check_asked
from dyncal.correction.design.sensor import Sensor, polynomial_derivatives, sensor_of
from dyncal.correction.design.spectrum import MeasurandSpectrum
from dyncal.correction.smoother.model import SmootherModel
from dyncal.correction.smoother.rest import shortest_lag
from dyncal.domain.choices import choice
from dyncal.domain.coefficients import MOST_ORDER, CorrectionSmoother, MeasurandPrior, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, DurationNs

_WALK: Final = 1e-7  # density of the random walk at ω_B, of S0
_LEVEL: Final = 100.0  # variance of the level about the first indication, of the measurand's
_LEAST_SIZE: Final = 1e-8  # of the largest variance: a scale, so that the drift stays of moderate size
_SPEED: Final = 10.0  # variance of an integrated Wiener process's slope at the start, of (ω_B σ)²
_LINE: Final = 0.5  # of the corner [rad]: a line through so much of a tone is 2 % short
_NS: Final = 1e-9  # what rounding a latency to nanoseconds can do [s]
_LEAST_NOISE: Final = 1e-12  # of the indications' variance


def build_smoother(
    parameters: Parameters,
    *,
    dt_ns: int,
    noise_std: float,
    spectrum: MeasurandSpectrum,
    prior: MeasurandPrior = MeasurandPrior.BUTTERWORTH,
    lag_s: float | None = None,
    max_lag_s: float | None = None,
) -> SmootherModel:
    """Return the smoother for a sensor.

    Parameters
    ----------
    parameters : Parameters
    dt_ns : int
        Nominal sampling interval [ns].
    noise_std : float
        Standard deviation of the sensor's white noise, in its unit.
    spectrum : MeasurandSpectrum
    prior : MeasurandPrior
        An integrated Wiener process has the spectrum's density at its corner, and no bandwidth of its own.
    lag_s : float, optional
        The lag; by default the shortest within 3 % of the rms error of a long one, at most `max_lag_s`.

    Raises
    ------
    InvalidData
        If the parameters are no stable sensor with a gain at DC, a zero lies in the right half-plane (its sensitivity
        is not causal: take the FIR design), or numbers are out of range.
    """
    check_asked(dt_ns, noise_std, spectrum, lag_s=lag_s, max_lag_s=max_lag_s)
    prior = choice(MeasurandPrior, prior, "prior")
    sensor = sensor_of(parameters)
    if bool(np.any(sensor.zeros.real > 0)):
        raise InvalidData("a zero in the right half-plane has no causal sensitivity: take the FIR design")
    with np.errstate(all="ignore"):  # what leaves the range of numbers is refused by the model
        model = _system(sensor, spectrum, prior, dt_ns, noise_std)
    if lag_s is None:
        lag_s = shortest_lag(model, max_lag_s)
    return _with_lag(model, lag_s)


def _system(
    sensor: Sensor, spectrum: MeasurandSpectrum, prior: MeasurandPrior, dt_ns: int, noise_std: float
) -> SmootherModel:
    """Return the smoother without a lag."""
    f, q, m, variance = _measurand(spectrum, prior)
    drift, diffusion, observe, measurand, rest = _joint(sensor, f, q, m)
    stationary = _start(drift, diffusion, rest, variance, prior is MeasurandPrior.BUTTERWORTH)
    # states of the size of their standard deviation at the start: covariances are well scaled
    size = np.sqrt(np.maximum(np.diag(stationary), _LEAST_SIZE * float(np.max(np.diag(stationary)))))
    outer = np.outer(size, size)
    noise = max(noise_std**2, _LEAST_NOISE * variance * sensor.dc_gain**2)
    return SmootherModel(
        DurationNs(dt_ns), drift * np.outer(1 / size, size), diffusion / outer, observe * size, measurand * size,
        rest / size, stationary / outer, noise, 0.0, max(sensor.dead_time_s, 0.0), _LINE / spectrum.corner_rad_s,
        *_sensitivities(sensor),
    )  # fmt: skip


def model_of(correction: CorrectionSmoother, parameters: Parameters) -> SmootherModel:
    """Return what the smoother of a set runs.

    Raises
    ------
    InvalidData
        As `build_smoother`, and if the latency is shorter than the sensor's dead time.
    """
    dead_s = max(sensor_of(parameters).dead_time_s, 0.0)
    lag_s = correction.latency_ns / NS_PER_S - dead_s
    if lag_s < -_NS:
        raise InvalidData(
            f"a latency of {correction.latency_ns / NS_PER_S:g} s is less than the dead time {dead_s:g} s"
        )
    return build_smoother(
        parameters,
        dt_ns=correction.dt_ns,
        noise_std=correction.noise_std,
        spectrum=MeasurandSpectrum(correction.density, correction.corner_rad_s, correction.order),
        prior=correction.prior,
        lag_s=max(lag_s, 0.0),
    )


def whole_order(spectrum: MeasurandSpectrum) -> int:
    """Return the order that a smoother has for a spectrum's."""
    return min(max(round(spectrum.order), 1), MOST_ORDER)


def _with_lag(model: SmootherModel, lag_s: float) -> SmootherModel:
    values = {name: getattr(model, name) for name in SmootherModel.__slots__}
    return SmootherModel(**(values | {"lag_s": lag_s}))


def _measurand(spectrum: MeasurandSpectrum, prior: MeasurandPrior) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """Return F, Q, m of the measurand with the random walk as last state, and its variance."""
    w, variance = spectrum.corner_rad_s, spectrum.variance
    if prior is MeasurandPrior.INTEGRATED_WIENER:
        # density w_q/ω⁴ at the corner: that of the spectrum
        f = np.array([[0.0, 1.0], [0.0, 0.0]])
        q = np.diag([0.0, float(spectrum.at(np.array([w]))[0]) * w**4])
        return f, q, np.array([1.0, 0.0]), variance
    order = whole_order(spectrum)
    f, b, c = _butterworth(order, w)
    density = MeasurandSpectrum(1.0, w, float(order)).variance
    n = order + 1
    whole, q = np.zeros((n, n)), np.zeros((n, n))
    whole[:order, :order] = f
    q[:order, :order] = np.outer(b, b) * variance / density
    q[order, order] = _WALK * variance / density * w**2
    return whole, q, np.append(c, 1.0), variance


def _butterworth(order: int, w: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return a chain of sections with |c (jω - F)⁻¹ b|² = 1/(1 + (ω/w)^2m)."""
    f, b = np.zeros((order, order)), np.zeros(order)
    b[0] = w
    at = 0
    if order % 2:
        f[0, 0], at = -w, 1
    for k in range(order // 2):
        damping = math.sin(math.pi * (2 * k + 1) / (2 * order))
        # states (z'/w, z) of z'' + 2δw z' + w² z = w² input
        f[at, at : at + 2] = -2 * damping * w, -w
        f[at + 1, at] = w
        if at:
            f[at, at - 1] = w
        at += 2
    c = np.zeros(order)
    c[-1] = 1.0
    return f, b, c


def _joint(
    sensor: Sensor, f: FloatArray, q: FloatArray, m: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    a, b, c, d = state_space(sensor.numerator, sensor.denominator)
    n, k = f.shape[0], b.size
    drift, diffusion = np.zeros((n + k, n + k)), np.zeros((n + k, n + k))
    drift[:n, :n], drift[n:, :n], drift[n:, n:] = f, np.outer(b, m), a
    diffusion[:n, :n] = q
    rest = np.zeros(n + k)
    level = n - 1 if f[0, 0] != 0 else 0  # the random walk; the position of an integrated Wiener process
    rest[level] = 1.0
    if k:
        rest[n:] = -np.linalg.solve(a, b)
    return drift, diffusion, np.concatenate([d * m, c]), np.concatenate([m, np.zeros(k)]), rest / sensor.dc_gain


def _start(drift: FloatArray, diffusion: FloatArray, rest: FloatArray, variance: float, stationary: bool) -> FloatArray:
    """Return the covariance about `rest` y0: all but the level at its stationary covariance, the level nearly free."""
    n = rest.size
    level = int(np.flatnonzero(rest)[0])
    others = np.array([i for i in range(n) if i != level])
    p = np.zeros((n, n))
    if stationary and others.size:
        f, q = drift[np.ix_(others, others)], diffusion[np.ix_(others, others)]
        eye = np.eye(others.size)
        solved = np.linalg.solve(np.kron(f, eye) + np.kron(eye, f), -q.ravel()).reshape(q.shape)
        p[np.ix_(others, others)] = (solved + solved.T) / 2
    elif others.size:
        p[1, 1] = _SPEED * variance * (diffusion[1, 1] / variance) ** (2 / 3)  # the corner squared, in the end
        for i in others[1:].tolist():  # the sensor's states, scaled in time, are all of the size of the first
            p[i, i] = variance * rest[others[1]] ** 2 / rest[level] ** 2
    direction = rest / rest[level]
    floor = np.diag(1e-12 * variance * np.maximum(direction**2, 1e-12))
    return p + _LEVEL * variance * np.outer(direction, direction) + floor


def state_space(numerator: FloatArray, denominator: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """Return A, b, c, d of B(s)/A(s), lowest power first, degree of B at most that of A; scaled in time."""
    order = int(np.flatnonzero(denominator)[-1])
    if order == 0:
        return np.empty((0, 0)), np.empty(0), np.empty(0), float(numerator[0])
    w = float(abs(denominator[order])) ** (-1 / order)
    alpha = denominator[: order + 1] * w ** np.arange(order + 1)
    beta = np.zeros(order + 1)
    beta[: numerator.size] = numerator * w ** np.arange(numerator.size)
    a, b = companion(alpha, w)
    d = float(beta[order] / alpha[order])
    return a, b, (beta - d * alpha)[:order], d


def companion(alpha: FloatArray, w: float) -> tuple[FloatArray, FloatArray]:
    """Return A and b of ξ_k = (s/w)^k / A(s) for k = 0 … n - 1."""
    n = alpha.size - 1
    a, b = np.zeros((n, n)), np.zeros(n)
    a[np.arange(n - 1), np.arange(1, n)] = w
    a[n - 1] = -w * alpha[:-1] / alpha[-1]
    b[n - 1] = w / alpha[-1]
    return a, b


def _sensitivities(sensor: Sensor) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return the system of c = Σ_k ∂a_k/∂θ s^k/A - Σ_k ∂b_k/∂θ s^k/B + ∂T/∂θ s."""
    db, da, dt = polynomial_derivatives(sensor)
    p = dt.size
    drifts, inputs, outputs, direct = [], [], [], np.zeros(p)
    for sign, polynomial, slopes in ((-1.0, sensor.numerator, db), (1.0, sensor.denominator, da)):
        order = int(np.flatnonzero(polynomial)[-1])
        scaled = polynomial[: order + 1] / polynomial[0]
        moves = sign * slopes / polynomial[0]
        if order == 0:
            direct += moves[:, 0]
            continue
        w = float(abs(scaled[order])) ** (-1 / order)
        alpha = scaled * w ** np.arange(order + 1)
        a, b = companion(alpha, w)
        weights = moves[:, : order + 1] * w ** np.arange(order + 1)
        last = weights[:, order] / alpha[order]
        drifts.append(a)
        inputs.append(b)
        outputs.append(weights[:, :order] - np.outer(last, alpha[:order]))
        direct += last
    k = sum(b.size for b in inputs)
    drift, at = np.zeros((k, k)), 0
    for a in drifts:
        drift[at : at + a.shape[0], at : at + a.shape[0]] = a
        at += a.shape[0]
    return (
        drift,
        np.concatenate([*inputs, np.empty(0)]),
        np.column_stack([*outputs, np.empty((p, 0))]),
        direct,
        dt,
    )

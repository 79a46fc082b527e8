"""What a coefficient set must satisfy before a stream is corrected with it.

The edge asks this of every set, whoever signed it: a signature says who made a set, not that it is harmless. Only numpy
is used, so that the check runs where scipy does not.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from dyncal.correction.smoother.build import model_of
from dyncal.correction.smoother.rest import AtRest, n_lags
from dyncal.domain.coefficients import CoefficientSet, Correction, CorrectionFilter, CorrectionSmoother, Parameters
from dyncal.domain.covariances import correlations
from dyncal.domain.errors import InvalidData, RejectedSet
from dyncal.domain.samples import FloatArray


@dataclass(frozen=True, slots=True)
class SafetyLimits:
    """What an edge tolerates of a set.

    Attributes
    ----------
    max_pole_radius : float
        Poles of the recursive sections and of the sensitivity biquads must lie inside this radius, below 1.
    max_noise_gain : float
        Largest standard deviation of white noise out over in, recursive sections included.
    max_delay : int
        Longest latency [samples].
    max_taps, max_sections : int
        Most FIR taps and recursive sections, which bounds memory and time.
    max_interval_mismatch : float
        Largest relative difference between the set's sampling interval and the stream's.
    """

    max_pole_radius: float = 0.99999
    max_noise_gain: float = 1000.0
    max_delay: int = 4096
    max_taps: int = 4096
    max_sections: int = 16
    max_interval_mismatch: float = 1e-3


def check(coefficients: CoefficientSet, limits: SafetyLimits | None = None, *, dt_ns: int | None = None) -> None:
    """Raise `RejectedSet` unless a set may be applied.

    Parameters
    ----------
    coefficients : CoefficientSet
    limits : SafetyLimits, optional
        The edge's own limits; the defaults are used where there are none.
    dt_ns : int, optional
        Nominal sampling interval of the stream [ns]; not compared where it is not given.

    Raises
    ------
    RejectedSet
        With `reason` one of ``not_finite``, ``covariance``, ``uncertainty``, ``size``, ``latency``, ``interval``,
        ``pole_radius`` (of a smoother ``model``: its parameters make no sensor, or nothing that settles), ``dc_gain``,
        ``noise_gain``; the first that applies, in this order.
    """
    limits = limits or SafetyLimits()
    c = coefficients.correction
    _check_finite(coefficients)
    _check_covariance(coefficients.parameters.cov)
    _check_uncertainty(coefficients)
    if isinstance(c, CorrectionFilter):
        _check_size(c, limits)
    _check_latency(c, limits)
    _check_interval(c, limits, dt_ns)
    if isinstance(c, CorrectionFilter):
        _check_poles(c, limits)
        gains = dc_gain(c.fir, c.sos), noise_gain(c.fir, c.sos)
    else:
        gains = _smoother_gains(c, coefficients.parameters)
    _check_gains(coefficients, *gains, limits)


def _check_finite(coefficients: CoefficientSet) -> None:
    c, p = coefficients.correction, coefficients.parameters
    numbers = {part.name: getattr(c, part.name) for part in fields(c) if part.name != "prior"}
    numbers |= {
        "values": p.values,
        "cov": p.cov,
        "gain_limits": coefficients.gain_limits,
        "residual_limit": coefficients.residual_limit,
    }
    for name, array in numbers.items():
        if not bool(np.all(np.isfinite(array))):
            raise RejectedSet("not_finite", f"{name} holds NaN or infinity")


def _check_covariance(cov: FloatArray) -> None:
    try:
        correlations(cov, "the parameters' covariance")
    except InvalidData as error:
        raise RejectedSet("covariance", str(error)) from error


def _check_uncertainty(coefficients: CoefficientSet) -> None:
    c = coefficients.correction
    stated = {"residual_limit": coefficients.residual_limit}
    if isinstance(c, CorrectionFilter):
        stated |= {"u_noise": c.u_noise, "u_model": c.u_model}
    for name, value in stated.items():
        if value < 0:
            raise RejectedSet("uncertainty", f"{name} is negative: {value:g}")
    if isinstance(c, CorrectionSmoother):
        for name, value in {"noise_std": c.noise_std, "density": c.density, "corner_rad_s": c.corner_rad_s}.items():
            if not value > 0:
                raise RejectedSet("uncertainty", f"{name} is not positive: {value:g}")


def _check_size(f: CorrectionFilter, limits: SafetyLimits) -> None:
    if f.fir.size > limits.max_taps:
        raise RejectedSet("size", f"{f.fir.size} taps, at most {limits.max_taps} are allowed")
    if f.sos.shape[0] > limits.max_sections:
        raise RejectedSet("size", f"{f.sos.shape[0]} recursive sections, at most {limits.max_sections} are allowed")


def _check_latency(c: Correction, limits: SafetyLimits) -> None:
    if c.delay > limits.max_delay:
        raise RejectedSet("latency", f"{c.delay} samples of latency, at most {limits.max_delay} are allowed")


def _check_interval(c: Correction, limits: SafetyLimits, dt_ns: int | None) -> None:
    if dt_ns is not None and abs(c.dt_ns - dt_ns) > limits.max_interval_mismatch * dt_ns:
        raise RejectedSet("interval", f"designed for samples every {c.dt_ns} ns, the stream has {dt_ns} ns")


def _check_poles(f: CorrectionFilter, limits: SafetyLimits) -> None:
    for row in f.sos:
        if row[3] != 1.0:
            raise RejectedSet("pole_radius", f"a section is not normalised: a0 = {row[3]:g}")
    for name, radius in (
        ("recursive sections", pole_radius(f.sos[:, 4:6])),
        ("sensitivity biquads", pole_radius(f.sensitivities[:, 3:5])),
    ):
        if not radius < limits.max_pole_radius:
            raise RejectedSet("pole_radius", f"{name} have a pole at radius {radius:.9g}")


def _smoother_gains(smoother: CorrectionSmoother, parameters: Parameters) -> tuple[float, float]:
    """Return the gain at DC and that of white noise of what the smoother comes to do, which must exist."""
    try:
        model = model_of(smoother, parameters)
        rest, lags = AtRest.of(model), n_lags(model)
        return rest.dc_gain(lags), rest.noise_gain(lags)
    except (InvalidData, ArithmeticError, np.linalg.LinAlgError) as error:
        raise RejectedSet("model", str(error)) from error


def _check_gains(coefficients: CoefficientSet, dc: float, noise: float, limits: SafetyLimits) -> None:
    low, high = coefficients.gain_limits
    if not low <= high:
        raise RejectedSet("dc_gain", f"the limits are out of order: {low:g} to {high:g}")
    if not low <= dc <= high:
        raise RejectedSet("dc_gain", f"the gain at DC is {dc:g}, the set allows {low:g} to {high:g}")
    if not noise <= limits.max_noise_gain:
        raise RejectedSet(
            "noise_gain", f"white noise would grow by {noise:g}, at most {limits.max_noise_gain:g} allowed"
        )


def pole_radius(denominators: FloatArray) -> float:
    """Return the largest modulus among the roots of z² + a1 z + a2, rows (a1, a2) of shape (n, 2); 0 where n = 0."""
    if denominators.shape[0] == 0:
        return 0.0
    a1, a2 = denominators[:, 0], denominators[:, 1]
    root = np.sqrt((a1 * a1 - 4 * a2).astype(np.complex128))
    return float(np.maximum(np.abs(-a1 + root), np.abs(-a1 - root)).max() / 2)


def dc_gain(fir: FloatArray, sos: FloatArray) -> float:
    """Return the gain at DC of `fir` followed by `sos`, the poles inside the unit circle."""
    gain = float(np.sum(fir))
    for b0, b1, b2, _, a1, a2 in sos:
        gain *= float((b0 + b1 + b2) / (1 + a1 + a2))
    return gain


def noise_gain(fir: FloatArray, sos: FloatArray, *, points: int = 1 << 14) -> float:
    """Return √((1/π)∫|G|²dω) of `fir` followed by `sos`: white noise out over white noise in.

    Without recursive sections this is √Σg² exactly (Parseval); with them the integral is taken on `points` frequencies.
    """
    if sos.shape[0] == 0:
        return float(np.sqrt(np.sum(fir**2)))
    z = np.exp(-1j * np.pi * (np.arange(points) + 0.5) / points)
    response = np.polynomial.polynomial.polyval(z, fir).astype(np.complex128)
    for b0, b1, b2, _, a1, a2 in sos:
        response *= (b0 + b1 * z + b2 * z * z) / (1 + a1 * z + a2 * z * z)
    return float(np.sqrt(np.mean(np.abs(response) ** 2)))

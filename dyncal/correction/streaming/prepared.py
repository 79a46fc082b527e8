"""A coefficient set's filter brought into the form that the kernels run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.correction import inputs, safety
from dyncal.correction.streaming import kernels
from dyncal.correction.streaming.slope import slope_taps
from dyncal.domain import covariances
from dyncal.domain.coefficients import CorrectionFilter, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S

SETTLED: Final = 1e-3
"""What may remain of a start-up transient: the share at which a recursion counts as settled."""

_MOST_SETTLING: Final = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class PreparedFilter:
    """The filter, ready to run.

    Attributes
    ----------
    denominators : float64, shape (m, 2), m >= 1
        Distinct (a1, a2) among the sensitivity biquads.
    factor : float64, shape (3m, 3m), upper triangular
        F with u_par² = ‖F w‖² = cᵀ·cov·c, w the direct-form-II states w[k], w[k-1], w[k-2] of each denominator:
        one recursion serves all biquads with the same poles, and a sum of squares cannot be negative.
    variance : float
        u_noise² + u_model².
    slope_taps : float64, shape (n_taps,) or (0,)
        Taps of the slope, before the same sections (`dyncal.correction.streaming.slope`); none where it is a backward
        difference.
    variance_taps : float64, shape (n,)
        Squared impulse response of the whole filter: how a variance at its input comes out.
    settle : int
        Samples that the recursive sections need from a steady start; 0 without sections.
    settle_sensitivities : int
        The same for the sensitivity biquads.
    """

    taps: FloatArray
    sos: FloatArray
    delay: int
    dt_s: float
    dc_gain: float
    denominators: FloatArray
    factor: FloatArray
    variance: float
    slope_taps: FloatArray
    variance_taps: FloatArray
    settle: int
    settle_sensitivities: int

    @property
    def packed(self) -> FloatArray:
        """All numbers in one flat array, as `dyncal.correction.streaming.kernels.correct` takes them."""
        head = (self.taps.size, self.sos.shape[0], self.denominators.shape[0], self.delay, self.settle)
        parts = (self.taps, self.sos, self.denominators, self.factor, self.slope_taps)
        numbers = [*head, self.variance, self.dt_s, self.dc_gain, self.slope_taps.size]
        return np.concatenate([np.array(numbers, np.float64), *(part.reshape(-1) for part in parts)])

    def fresh_state(self) -> FloatArray:
        """Return the state of a filter that has seen nothing, as `kernels.correct` takes it."""
        states = kernels.STATE + 2 * (2 * self.sos.shape[0] + self.denominators.shape[0])
        return np.concatenate([np.zeros(states), np.full(self.taps.size - 1, np.nan)])

    @property
    def history_length(self) -> int:
        """Number of samples after which nothing older matters."""
        return int(self.taps.size + self.settle + self.settle_sensitivities)


def prepare(correction: CorrectionFilter, parameters: Parameters) -> PreparedFilter:
    """Bring a filter into the form that the kernels run.

    Raises
    ------
    InvalidData
        If filter and parameters do not belong together, a pole is not inside the unit circle, a section is not
        normalised, a number is not finite, an uncertainty is negative, or the covariance is none.
    """
    n, p = correction.sensitivities.shape[0], len(parameters.names)
    if n < p or (n % p if p else n):
        raise InvalidData("a correction needs as many sensitivity biquads for each parameter")
    for name in ("fir", "sos", "sensitivities"):
        if not bool(np.all(np.isfinite(getattr(correction, name)))):
            raise InvalidData(f"{name} holds NaN or infinity")
    if not bool(np.all(correction.sos[:, 3] == 1)):
        raise InvalidData("a section is not normalised: a0 is not 1")
    u_noise = inputs.standard_uncertainty("u_noise", correction.u_noise)
    u_model = inputs.standard_uncertainty("u_model", correction.u_model)
    cov = inputs.covariance("the parameters' covariance", parameters.cov, p)
    taps = np.ascontiguousarray(correction.fir, dtype=np.float64)
    sos = np.ascontiguousarray(correction.sos, dtype=np.float64)
    denominators, numerators = _shared(np.asarray(correction.sensitivities, dtype=np.float64), p)
    settle = _settling(safety.pole_radius(sos[:, 4:6]))
    dt_s = correction.dt_ns / NS_PER_S
    return PreparedFilter(
        taps=taps,
        sos=sos,
        delay=correction.delay,
        dt_s=dt_s,
        dc_gain=safety.dc_gain(taps, sos),
        denominators=denominators,
        factor=_factor(cov, numerators),
        variance=u_noise**2 + u_model**2,
        slope_taps=slope_taps(taps, sos, dt_s, correction.band_hz),
        variance_taps=_impulse(taps, sos, taps.size + settle) ** 2,
        settle=settle,
        settle_sensitivities=_settling(safety.pole_radius(denominators)),
    )


def _shared(biquads: FloatArray, p: int) -> tuple[FloatArray, FloatArray]:
    """Return distinct denominators, shape (m, 2), and the numerators over them all, shape (p, 3m).

    Row r is about parameter r mod p; the rows of one parameter add.
    """
    constant = (biquads[:, 1:] == 0).all(axis=1)
    rows = [(float(a1), float(a2)) for (a1, a2), flat in zip(biquads[:, 3:], constant, strict=True) if not flat]
    distinct = list(dict.fromkeys(rows)) or [(0.0, 0.0)]
    numerators = np.zeros((p, 3 * len(distinct)))
    for i, (row, flat) in enumerate(zip(biquads, constant, strict=True)):
        # A constant is that constant times any denominator over itself.
        group = 0 if flat else distinct.index((float(row[3]), float(row[4])))
        a1, a2 = distinct[group]
        part = row[0] * np.array([1.0, a1, a2]) if flat else row[:3]
        numerators[i % p, 3 * group : 3 * group + 3] += part
    return np.array(distinct), numerators


def _factor(cov: FloatArray, numerators: FloatArray) -> FloatArray:
    """Return the upper triangular F, shape (q, q), with Fᵀ F = Nᵀ cov N for numerators N of shape (p, q)."""
    q = numerators.shape[1]
    root = covariances.root(cov, "the parameters' covariance")
    stacked = np.vstack([root @ numerators, np.zeros((q, q))])
    return np.ascontiguousarray(np.linalg.qr(stacked, mode="r"))


def _settling(radius: float) -> int:
    if not radius < 1:
        raise InvalidData(f"a recursive section has a pole at radius {radius:.9g}")
    return min(math.ceil(math.log(SETTLED) / math.log(radius)), _MOST_SETTLING) if radius > 0 else 0


def _impulse(taps: FloatArray, sos: FloatArray, n: int) -> FloatArray:
    response = np.zeros(n)
    response[: taps.size] = taps
    for b0, b1, b2, _, a1, a2 in sos:
        z1 = z2 = 0.0
        for k in range(n):  # once for each set, never for each sample
            x = response[k]
            out = b0 * x + z1
            z1, z2 = b1 * x - a1 * out + z2, b2 * x - a2 * out
            response[k] = out
    return response

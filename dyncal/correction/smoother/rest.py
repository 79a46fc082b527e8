"""What a smoother does once it has settled, on an even stream: errors for every lag, its response, its noise gain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.correction.smoother.intervals import over
from dyncal.correction.smoother.model import SmootherModel
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S
from dyncal.models.base import ComplexArray

_NEAR_OPTIMUM: Final = 1.03
_MOST_LAG: Final = 4096  # samples
_ROUNDS: Final = 64
_SETTLED: Final = 1e-10
_FREQUENCIES: Final = 2048


@dataclass(frozen=True, slots=True, eq=False)
class AtRest:
    """The filter at rest at the nominal interval: ``x[k+1] = closed x[k] + taken y[k]``, innovation y - h·x.

    Attributes
    ----------
    observe, measurand : float64, shape (n,)
    closed : float64, shape (n, n)
    taken : float64, shape (n,)
    level : float
        Variance of the measurand before the newest indication is known.
    first : float64, shape (n,)
        Covariance of the measurand with the state then.
    scale : float
        Variance of an innovation.
    """

    observe: FloatArray
    measurand: FloatArray
    closed: FloatArray
    taken: FloatArray
    level: float
    first: FloatArray
    scale: float

    @classmethod
    def of(cls, model: SmootherModel) -> AtRest:
        """Settle a smoother. Raises `InvalidData` where its numbers leave the range in which that can be done."""
        h, m = model.observe, model.measurand
        with np.errstate(all="ignore"):
            phi, noise, *_ = over(model, np.array([model.dt_ns / NS_PER_S]))
            try:
                p = _covariance(phi[0], noise[0], h, model.noise_variance)
            except np.linalg.LinAlgError as error:
                raise InvalidData(f"a smoother that does not settle: {error}") from error
            scale = float(h @ p @ h) + model.noise_variance
            taken = phi[0] @ p @ h / scale
            found = cls(h, m, phi[0] - np.outer(taken, h), taken, float(m @ p @ m), p @ m, scale)
        numbers = (found.closed, found.taken, found.first, np.array([found.level, found.scale]))
        if not all(bool(np.all(np.isfinite(part))) for part in numbers):
            raise InvalidData("a smoother that does not settle: its numbers leave the range of floats")
        radius = float(np.max(np.abs(np.linalg.eigvals(found.closed))))
        if not radius < 1:
            raise InvalidData(f"a smoother that does not settle: a pole at radius {radius:.9g}")
        return found

    def weights(self, n_lags: int) -> FloatArray:
        """Return what an innovation 0 … n_lags intervals later adds to a value, shape (n_lags + 1,)."""
        found, shared = np.empty(n_lags + 1), self.first
        for k in range(n_lags + 1):
            found[k] = float(self.observe @ shared) / self.scale
            shared = self.closed @ shared
        return found

    def errors(self, n_lags: int) -> FloatArray:
        """Return the standard uncertainty for lags of 0 … n_lags intervals, shape (n_lags + 1,)."""
        return np.sqrt(np.maximum(self.level - np.cumsum(self.weights(n_lags) ** 2) * self.scale, 0.0))

    def response(self, n_lags: int, z: ComplexArray) -> ComplexArray:
        """Return the transfer function from indications to values `n_lags` intervals later, without that delay."""
        n = self.observe.size
        right = np.broadcast_to(self.taken.astype(np.complex128)[:, None], (z.size, n, 1))
        state = np.linalg.solve(z[:, None, None] * np.eye(n) - self.closed, right)[..., 0]
        later = np.polynomial.polynomial.polyval(z, self.weights(n_lags))
        return np.asarray(state @ self.measurand + later * (1 - state @ self.observe), np.complex128)

    def dc_gain(self, n_lags: int) -> float:
        """Return the gain at DC."""
        return float(self.response(n_lags, np.ones(1, np.complex128))[0].real)

    def noise_gain(self, n_lags: int) -> float:
        """Return √((1/π)∫|G|²dω): white noise out over white noise in."""
        z = np.exp(1j * np.pi * (np.arange(_FREQUENCIES) + 0.5) / _FREQUENCIES)
        return float(np.sqrt(np.mean(np.abs(self.response(n_lags, z)) ** 2)))


def lag_errors(model: SmootherModel, n_lags: int) -> FloatArray:
    """Return the standard uncertainty at rest for lags of 0 … n_lags nominal intervals, shape (n_lags + 1,).

    Parameters are taken as known.
    """
    return AtRest.of(model).errors(n_lags)


def shortest_lag(model: SmootherModel, max_lag_s: float | None = None) -> float:
    """Return the shortest lag [s] within 3 % of the rms error of a long one, or of `max_lag_s`."""
    dt_s = model.dt_ns / NS_PER_S
    most = _MOST_LAG if max_lag_s is None else min(int(max_lag_s / dt_s * (1 + 1e-9)), _MOST_LAG)
    u = lag_errors(model, most)
    return float(np.argmax(u <= _NEAR_OPTIMUM * u[-1])) * dt_s


def n_lags(model: SmootherModel) -> int:
    """Return the lag in nominal intervals."""
    return math.floor(model.lag_s * NS_PER_S / model.dt_ns * (1 + 1e-9))


def _covariance(phi: FloatArray, noise: FloatArray, h: FloatArray, r: float) -> FloatArray:
    """Return the predicted covariance at rest: structure-preserving doubling (Anderson & Moore, 1979, 6.7)."""
    a, g, p = phi.T, np.outer(h, h) / r, noise
    eye = np.eye(h.size)
    for _ in range(_ROUNDS):
        inner = np.linalg.solve(eye + g @ p, np.column_stack([a, g]))
        da, dg = inner[:, : h.size], inner[:, h.size :]
        before = p
        p, g, a = p + a.T @ p @ da, g + a @ dg @ a.T, a @ da
        p = (p + p.T) / 2
        if float(np.max(np.abs(p - before))) <= _SETTLED * float(np.max(np.abs(p))):
            break
    return p

"""The converter: crooked characteristics, zeros that jump, play, hum, noise, saturation, quantisation, standstill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.linalg
import scipy.signal
from numpy.polynomial import polynomial

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, Int64Array


@dataclass(frozen=True, slots=True)
class Converter:
    """What happens between the sensing element and the number: play, hum, noise, saturation, quantisation, standstill.

    Attributes
    ----------
    noise : float
        Standard deviation of white Gaussian noise, in the sensor's unit.
    resolution : float
        Step of the quantiser; 0 for none.
    low, high : float
        Ends of the range, at which it saturates.
    hysteresis : float
        Width of the play between the element and what moves with it (Prandtl's play operator), in the sensor's unit.
    hum, hum_hz : float
        Amplitude, in the sensor's unit, and frequency [Hz] of what the mains couple in.
    frozen_ns : sequence of (from, to)
        Spans since the start in which the number before stays.
    correlation : sequence of float
        Coefficients φ of autoregressive noise, e_k = Σ φ_i e_(k-i) + w_k, of standard deviation `noise`; () for white.
    linearity : sequence of float
        Coefficients d2, d3, … of y + d2 y² + d3 y³ + …, y in the sensor's unit: a characteristic that is not straight.
    shifts : sequence of (from_ns, by)
        Zeros that jump: from then on it shows so much more.
    """

    noise: float = 0.0
    resolution: float = 0.0
    low: float = float("-inf")
    high: float = float("inf")
    hysteresis: float = 0.0
    hum: float = 0.0
    hum_hz: float = 50.0
    frozen_ns: Sequence[tuple[int, int]] = ()
    correlation: Sequence[float] = ()
    linearity: Sequence[float] = ()
    shifts: Sequence[tuple[int, float]] = ()


class Coloured:
    """Autoregressive noise of standard deviation 1 that has gone on for ever, the same bits however it is taken.

    Parameters
    ----------
    correlation : sequence of float, length p
        Coefficients φ. The first p values are drawn from their joint distribution (Yule-Walker equations).

    Raises
    ------
    InvalidData
        If such noise grows without bound.
    """

    def __init__(self, correlation: Sequence[float], rng: np.random.Generator) -> None:
        phi = np.asarray(correlation, np.float64)
        if not is_stationary(correlation):
            raise InvalidData(f"correlation {list(correlation)}: such noise grows without bound")
        p = phi.size
        # ρ_k = Σ φ_i ρ_|k-i|, k = 1 … p, with ρ_0 = 1: linear in ρ_1 … ρ_p.
        a, b = np.eye(p), np.zeros(p)
        for k in range(1, p + 1):
            for i in range(1, p + 1):
                lag = abs(k - i)
                if lag == 0:
                    b[k - 1] += phi[i - 1]
                else:
                    a[k - 1, lag - 1] -= phi[i - 1]
        rho = np.concatenate(([1.0], np.linalg.solve(a, b)))
        before = np.linalg.cholesky(scipy.linalg.toeplitz(rho[:p])) @ rng.standard_normal(p)  # oldest first
        self._innovation = float(np.sqrt(1.0 - phi @ rho[1:]))
        self._poles = np.concatenate(([1.0], -phi))
        self._state = scipy.signal.lfiltic([1.0], self._poles, before[::-1])
        self._rng = rng

    def take(self, n: int) -> FloatArray:
        """Return the next n values."""
        driven = self._innovation * self._rng.standard_normal(n)
        values, self._state = scipy.signal.lfilter([1.0], self._poles, driven, zi=self._state)
        return np.asarray(values, np.float64)


def is_stationary(correlation: Sequence[float]) -> bool:
    """Tell whether autoregressive noise of these coefficients has a bounded variance."""
    roots = np.roots([1.0, *(-float(c) for c in correlation)])
    return bool(np.all(np.abs(roots) < 1.0 - 1e-9))


@dataclass(slots=True)
class Conversion:
    """A converter at work: knows where the play stands and which number came last."""

    converter: Converter
    rng: np.random.Generator
    _follower: float | None = field(default=None, init=False)
    _last: float = field(default=float("nan"), init=False)
    _coloured: Coloured | None = field(default=None, init=False)

    def convert(self, y: FloatArray, since_ns: Int64Array) -> FloatArray:
        """Return the numbers that come out, shape (n,), of indications at times since the start; draws n deviates."""
        c = self.converter
        bent: FloatArray = np.asarray(polynomial.polyval(y, [0.0, 1.0, *c.linearity])) if c.linearity else y
        for from_ns, by in c.shifts:
            bent = bent + np.where(since_ns >= from_ns, by, 0.0)
        moved = self._follow(bent, 0.5 * c.hysteresis) if c.hysteresis > 0 else bent
        if c.hum > 0:
            turns = since_ns % NS_PER_S / NS_PER_S * c.hum_hz + since_ns // NS_PER_S * (c.hum_hz % 1.0)
            moved = moved + c.hum * np.sin(2 * np.pi * turns)
        numbers = np.clip(moved + c.noise * self._noise(y.size), c.low, c.high)
        if c.resolution > 0:
            numbers = np.round(numbers / c.resolution) * c.resolution
        for first, last in c.frozen_ns:
            self._hold(numbers, (since_ns >= first) & (since_ns < last))
        self._last = float(numbers[-1]) if numbers.size else self._last
        return numbers

    def _noise(self, n: int) -> FloatArray:
        """Return the next noise of standard deviation 1, shape (n,)."""
        if not self.converter.correlation:
            return self.rng.standard_normal(n)
        if self._coloured is None:
            self._coloured = Coloured(self.converter.correlation, self.rng)
        return self._coloured.take(n)

    def _follow(self, y: FloatArray, half: float) -> FloatArray:
        out = np.empty_like(y)
        at = float(y[0]) if self._follower is None and y.size else self._follower or 0.0
        for k, value in enumerate(y.tolist()):
            at = max(value - half, min(value + half, at))
            out[k] = at
        self._follower = at
        return out

    def _hold(self, numbers: FloatArray, frozen: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
        where = np.flatnonzero(frozen)
        if where.size:
            before = numbers[where[0] - 1] if where[0] > 0 else self._last
            numbers[where] = numbers[where[0]] if np.isnan(before) else before

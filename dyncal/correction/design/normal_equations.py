"""The normal equations of the Wiener design, for one sensor, spectrum and noise."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from dyncal.correction.design.sensor import Sensor
from dyncal.correction.design.spectrum import MeasurandSpectrum
from dyncal.correction.folding import Folding
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array

NEAR_OPTIMUM: Final = 1.03
"""rms error that a shorter latency may cost against the longest."""

NEAR_LONGEST: Final = 1.01
"""rms error that fewer taps may cost against the most."""

_LEAST_NOISE: Final = 1e-10  # of the indication's variance: keeps the normal equations solvable without noise
_TRIED: Final = 17  # latencies at a time: two rounds find one of 256
_HUGE: Final = 1e300
_OPTIMUM_TAPS: Final = 2048


class Problem:
    """Least mean square error with F(1)/A(1) = 1/H(0), for taps F and fixed poles 1/A; `noise_variance` may be raised.

    Parameters
    ----------
    sensor, folding, spectrum
    noise_std : float
    max_taps : int
    longest : int
        Longest latency that will be asked for [samples].
    poles : float64, shape (k, 2), optional
        Rows a1 a2 of A, stable; none for an FIR filter.
    """

    def __init__(
        self,
        sensor: Sensor,
        folding: Folding,
        spectrum: MeasurandSpectrum,
        noise_std: float,
        max_taps: int,
        longest: int,
        poles: FloatArray | None = None,
    ) -> None:
        self.poles = np.empty((0, 2)) if poles is None else poles
        self._sum = float(np.prod(1 + self.poles.sum(axis=1))) / sensor.dc_gain
        self._max_taps, self._back = max_taps, longest
        self._prompt = min(max(int(sensor.dead_time_s / folding.dt_s), 0), longest)
        length = min(max(_OPTIMUM_TAPS, max_taps), folding.points)
        omega = folding.omega
        shape = all_pole(self.poles, omega[0] * folding.dt_s)
        power = np.abs(shape) ** 2
        response = sensor.response(omega)
        density = spectrum.at(omega)
        self._auto = folding.covariance(folding.fold(density * np.abs(response) ** 2).real * power, length)
        self._noise = folding.covariance(power, length)
        folded = folding.fold(density * np.conj(response)) * np.conj(shape)
        self._cross = folding.cross_covariance(folded, longest, length)
        self._signal = spectrum.variance
        self._least = 1e-14 * self._signal
        self.noise_variance = max(noise_std**2, _LEAST_NOISE * float(self._auto[0] / self._noise[0]))

    def solve(self, delay: int, taps: int) -> FloatArray:
        """Return the constrained taps."""
        a, b = self._solve(delay, taps).T
        return self._exact(np.asarray(a + (self._sum - a.sum()) / b.sum() * b))

    def best(self, delay: int) -> float:
        """Return the rms error of the unconstrained solution with many taps."""
        from scipy.linalg import solve_toeplitz  # noqa: PLC0415 - only where the optimum is asked for

        right = self._right(delay, self._auto.size)
        explained = float(right @ solve_toeplitz(self._column(self._auto.size), right))
        return math.sqrt(max(self._signal - explained, self._least))

    def shortest_delay(self, longest: int) -> int:
        """Return the shortest latency whose error is near that of the longest allowed (the error falls with it)."""
        low, high, bound = 0, longest, math.inf
        while low < high:
            tried = np.unique(np.linspace(low, high, _TRIED).astype(np.int64))
            squares = self._errors(tried)[:, -1]
            if math.isinf(bound):
                bound = NEAR_OPTIMUM**2 * float(squares[-1])
            first = int(np.argmax(squares <= bound))
            high = int(tried[first])
            low = int(tried[first - 1]) + 1 if first else high
        return high

    def fewest_taps(self, delay: int, *, near: float = NEAR_LONGEST, best: float | None = None) -> int:
        """Return the smallest number of taps whose rms error is within `near` of that of the most, or of `best`.

        0 where even the most taps are not.
        """
        squares = self._errors(np.array([delay]))[0]
        bound = near**2 * (float(squares[-1]) if best is None else best**2)
        enough = np.flatnonzero(squares <= bound)
        if enough.size == 0:
            return 0
        least = 1 if self.poles.size else min(delay - self._prompt + 1, self._max_taps)
        return max(int(enough[0]) + 1, least)

    def _errors(self, delays: Int64Array) -> FloatArray:
        """Return the mean square error for each of the delays and 1 … max_taps taps, shape (n, max_taps).

        With T = L Lᵀ, w = L⁻¹ r_uy and v = L⁻¹ 1, the first k entries of w and v belong to k taps: rᵀa = Σw², 1ᵀa = Σwv
        and 1ᵀb = Σv². Bordering T with the right sides gives w and v as further rows of one Cholesky factor.
        """
        n, k = self._max_taps, delays.size
        column = self._column(n)
        bordered = np.zeros((n + k + 1, n + k + 1))
        bordered[:n, :n] = np.lib.stride_tricks.sliding_window_view(np.append(column[:0:-1], column), n)[::-1]
        for row, delay in enumerate(delays.tolist()):
            bordered[n + row, :n] = self._right(delay, n)
        bordered[-1, :n] = 1.0
        border = np.arange(n, n + k + 1)
        bordered[border, border] = _HUGE
        factor = np.linalg.cholesky(bordered)
        w, v = factor[n:-1, :n], factor[-1, :n]
        missing = self._sum - np.cumsum(w * v, axis=1)
        squares: FloatArray = self._signal - np.cumsum(w**2, axis=1) + missing**2 / np.cumsum(v**2)
        return np.maximum(squares, self._least)

    def _right(self, delay: int, taps: int) -> FloatArray:
        start = self._back - delay
        return self._cross[start : start + taps]

    def _column(self, taps: int) -> FloatArray:
        return self._auto[:taps] + self.noise_variance * self._noise[:taps]

    def _solve(self, delay: int, taps: int) -> FloatArray:
        column = self._column(taps)
        matrix = np.lib.stride_tricks.sliding_window_view(np.append(column[:0:-1], column), taps)[::-1]
        return np.asarray(
            np.linalg.solve(matrix, np.column_stack([self._right(delay, taps), np.ones(taps)])), np.float64
        )

    def _exact(self, taps: FloatArray) -> FloatArray:
        # Rounding in the solution is put where it shows least: on the largest tap.
        taps[int(np.argmax(np.abs(taps)))] += self._sum - math.fsum(taps)
        return taps


def all_pole(poles: FloatArray, angle: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.complex128]]:
    """Return 1/A(e^(jθ)) for rows a1 a2 at angles of shape (n,)."""
    z = np.exp(-1j * angle)
    return np.asarray(1 / np.prod([1 + a1 * z + a2 * z * z for a1, a2 in poles], axis=0) * np.ones_like(z))

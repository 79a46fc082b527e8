"""Random processes that stand for the measurand at the samples, and for most of them between these too.

``D(d/dt) w = √q · white noise`` about a constant level, D of degree k with its poles on a circle of radius λ: all at -λ
(Matérn; k = 1 is the Ornstein-Uhlenbeck process, as rough as a measurand can be), or spread as those of a Butterworth
filter, for a measurand with a band. λ = 0 with k = 2 is the integrated Wiener process, whose likelihood is that of a
cubic spline (Wahba, J. R. Stat. Soc. B 40 (1978) 364; Hartikainen & Särkkä, MLSP 2010).

A measurand that goes in straight lines from sample to sample (a simulation on the samples, a ramp generator), or in
steps (a D/A converter on the clock of the samples), is random at the samples alone.
"""

from __future__ import annotations

import enum
import functools
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.domain.samples import FloatArray
from dyncal.models import Hold


class Process(enum.StrEnum):
    """What the measurand is taken for."""

    ORNSTEIN_UHLENBECK = "ornstein_uhlenbeck"
    MATERN_32 = "matern_32"
    MATERN_52 = "matern_52"
    BUTTERWORTH_2 = "butterworth_2"
    BUTTERWORTH_4 = "butterworth_4"
    INTEGRATED_WIENER = "integrated_wiener"
    LINES = "lines"
    SMOOTH_LINES = "smooth_lines"
    STEPS = "steps"

    @property
    def hold(self) -> Hold | None:
        """What it does between the samples; None where that is as random as it is at them."""
        return _HOLDS.get(self)

    @property
    def order(self) -> int:
        """States k of the process."""
        return _POLYNOMIALS[self].size - 1

    @property
    def stationary(self) -> bool:
        """Whether it stays about its level; otherwise it has no λ, and its initial state is diffuse."""
        return self is not Process.INTEGRATED_WIENER


_R8: Final = 2 * np.sin(np.pi * np.array([1, 3]) / 8)
_POLYNOMIALS: Final = {
    Process.ORNSTEIN_UHLENBECK: np.array([1.0, 1.0]),
    Process.MATERN_32: np.array([1.0, 2.0, 1.0]),
    Process.MATERN_52: np.array([1.0, 3.0, 3.0, 1.0]),
    Process.BUTTERWORTH_2: np.array([1.0, np.sqrt(2.0), 1.0]),
    Process.BUTTERWORTH_4: np.convolve([1.0, _R8[0], 1.0], [1.0, _R8[1], 1.0]),
    Process.INTEGRATED_WIENER: np.array([1.0, 2.0, 1.0]),
    Process.LINES: np.array([1.0, 1.0]),
    Process.SMOOTH_LINES: np.array([1.0, 2.0, 1.0]),
    Process.STEPS: np.array([1.0, 1.0]),
}
"""D for λ = 1, lowest power first; of the values at the samples where these alone are random."""
_HOLDS: Final = {Process.LINES: Hold.FIRST, Process.SMOOTH_LINES: Hold.FIRST, Process.STEPS: Hold.ZERO}


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """A process at given q and λ, state (w, T ẇ, …) with a fixed time T that keeps its components of one size.

    Attributes
    ----------
    a : float64, shape (k, k)
        Generator [1/s].
    da : float64, shape (k, k)
        Its derivative with respect to ln λ.
    intensity : float
        Of the noise on the last state [unit²/s]; its derivative in ln q is itself.
    stationary_cov, dstationary_cov : float64, shape (k, k)
        Covariance at rest and its derivative in ln λ; its derivative in ln q is itself. 0 where there is none.
    """

    a: FloatArray
    da: FloatArray
    intensity: float
    stationary_cov: FloatArray
    dstationary_cov: FloatArray

    @classmethod
    def of(cls, process: Process, log_intensity: float, log_rate: float, scale_s: float) -> Chain:
        """Return the chain for ln(q T^(2k - 1)), ln λ and T [s]; `log_rate` is not used where there is no λ.

        The intensity counts in units of T, so that it has the unit of a variance whatever the order.
        """
        k, d = process.order, _POLYNOMIALS[process]
        powers, exponents, unit = _constants(process)
        # λ T; the covariance of (w, ẇ, …) goes as λ^(i + j + 1 - 2k)
        rate = float(np.exp(log_rate)) * scale_s if process.stationary else 0.0
        a, da = np.eye(k, k=1) / scale_s, np.zeros((k, k))
        a[-1] = -d[:-1] * rate**powers / scale_s
        da[-1] = powers * a[-1]
        intensity = float(np.exp(log_intensity))
        cov = unit * intensity * rate**exponents if process.stationary else np.zeros((k, k))
        dcov = exponents * cov
        return cls(a, da, intensity / scale_s, cov, dcov)


@functools.cache
def _constants(process: Process) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the powers of λ in the last row of the generator (k,) and in the covariance (k, k), and that for λ = 1."""
    k = process.order
    exponents = np.add.outer(np.arange(k), np.arange(k)) + 1.0 - 2 * k
    return k - np.arange(k, dtype=np.float64), exponents, _unit_cov(process) if process.stationary else np.zeros((k, k))


@functools.cache
def _unit_cov(process: Process) -> FloatArray:
    """Return the covariance at rest of (w, ẇ, …) for q = λ = 1, from A P + P Aᵀ + G = 0."""
    k, d = process.order, _POLYNOMIALS[process]
    a, g, eye = np.eye(k, k=1), np.zeros((k, k)), np.eye(k)
    a[-1], g[-1, -1] = -d[:-1], 1.0
    cov = np.linalg.solve(np.kron(a, eye) + np.kron(eye, a), -g.ravel()).reshape(k, k)
    return np.asarray((cov + cov.T) / 2, dtype=np.float64)


def log_intensity(process: Process, log_variance: float, log_rate: float, scale_s: float) -> float:
    """Return ln(q T^(2k - 1)) of the stationary process with a given variance and λ."""
    k = process.order
    return log_variance + (2 * k - 1) * (log_rate + float(np.log(scale_s))) - float(np.log(_unit_cov(process)[0, 0]))


def relative_speed(process: Process) -> float:
    """Return E ẇ²/(λ² E w²) of a stationary process of order two or more."""
    cov = _unit_cov(process)
    return float(cov[1, 1] / cov[0, 0])

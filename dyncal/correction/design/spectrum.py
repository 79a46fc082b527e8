"""The measurand's spectrum: what a correction may expect of the signal that it restores."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.correction.design.screen import refuse_saturated
from dyncal.correction.design.stale import refuse_standstill
from dyncal.correction.design.whittle import minimise
from dyncal.correction.inputs import Numbers, samples
from dyncal.correction.streaming.slots import usable
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.models import ResponseModel, model_of

SHORTEST: Final = 128
"""Samples of a record that a spectrum can be told from."""

_SKIPPED: Final = 2  # lowest bins, which the window's main lobe and the removed mean spoil
_FEWEST_BINS: Final = 3.0  # ω_B is at least so many bins: below, the record does not show it
_ORDERS: Final = (1.0, 8.0)
_NOISE_KNOWN: Final = 0.05  # relative standard deviation with which a given noise is believed
_REFINED: Final = 2  # best of the grid of starts that are refined
_ACTIVITY: Final = 30.0  # twice the log-likelihood that a measurand must add to mere noise (χ², 3 degrees: p < 1e-5)

_MISFIT: Final = 0.5  # deviance of a periodogram: that of a factor of 2.7 everywhere
_OTHER: Final = 5.0  # factor between a stated noise and the one that shows


@dataclass(frozen=True, slots=True)
class MeasurandSpectrum:
    """S(ω) = S0 / (1 + (ω/ω_B)^(2m)), two-sided, so that the variance is (1/π)∫₀^∞ S dω.

    Attributes
    ----------
    density : float
        S0 [unit² s].
    corner_rad_s : float
        ω_B [rad/s].
    order : float
        m, from 1.
    noise_std : float, optional
        Standard deviation of the sensor's noise that was fitted with it; None where there was no fit.
    """

    density: float
    corner_rad_s: float
    order: float
    noise_std: float | None = None

    def __post_init__(self) -> None:
        if not (0 < self.density < math.inf and 0 < self.corner_rad_s < math.inf and 1 <= self.order < math.inf):
            raise InvalidData(f"a spectrum needs positive density and corner and an order from 1, not {self}")

    @property
    def variance(self) -> float:
        """Variance of the measurand about its mean [unit²], in closed form."""
        x = math.pi / (2 * self.order)
        return self.density * self.corner_rad_s / math.pi * x / math.sin(x)

    @property
    def band_hz(self) -> float:
        """Bandwidth [Hz] for which `from_bandwidth` gives this corner."""
        return self.corner_rad_s / (1.2 * 2 * math.pi)

    def at(self, omega: FloatArray) -> FloatArray:
        """Return S at frequencies [rad/s], shape as `omega`."""
        with np.errstate(over="ignore"):
            density: FloatArray = self.density / (1 + (np.abs(omega) / self.corner_rad_s) ** (2 * self.order))
        return density


def from_bandwidth(band_hz: float, variance: float, *, order: float = 8.0) -> MeasurandSpectrum:
    """Return the spectrum of a measurand of which only bandwidth [Hz] and variance are known: ω_B = 1.2·2πB.

    Take `order` 4 where the bandwidth is a guess.

    Raises
    ------
    InvalidData
        If bandwidth or variance are not positive.
    """
    if not (0 < band_hz < math.inf and 0 < variance < math.inf):
        raise InvalidData(f"bandwidth and variance must be positive, not {band_hz} Hz and {variance}")
    unit = MeasurandSpectrum(1.0, 1.2 * 2 * math.pi * band_hz, order)
    return MeasurandSpectrum(variance / unit.variance, unit.corner_rad_s, order)


def fit_spectrum(
    indication: Numbers,
    dt_s: float,
    model: ModelKind | ResponseModel,
    theta: FloatArray,
    noise_std: float | None = None,
) -> MeasurandSpectrum:
    """Fit the measurand's spectrum to a record of indications.

    Whittle likelihood Σ ln F + P/F of the averaged periodogram P (Hann window, half overlapping), with
    F = Σ_folds S|H|²/dt + R (docs/metrology.md, "Correction"; Whittle, Ark. Mat. 2 (1953) 423).

    Parameters
    ----------
    indication : float64, shape (n,), n >= 128
        Uniform, finite.
    dt_s : float
        Sampling interval [s].
    model, theta
        The sensor, physical parameters; a kind where that says which model it is.
    noise_std : float, optional
        The sensor's noise, believed to 5 %; fitted freely where it is not given or 0.

    Raises
    ------
    InvalidData
        If the record is too short, not finite, saturated, stands still for a while, or shows no activity beyond noise;
        if sensor, interval or noise are impossible, or the record shows another noise, several times as large or as
        small.
    """
    y = samples("the indications", indication)
    if y.size < SHORTEST or not bool(np.all(usable(y))):
        raise InvalidData(f"a spectrum is fitted to at least {SHORTEST} finite samples")
    if not 0 < dt_s < math.inf:
        raise InvalidData(f"a sampling interval must be positive, not {dt_s} s")
    if noise_std is not None and not 0 <= noise_std < math.inf:
        raise InvalidData(f"a noise cannot be {noise_std}")
    spread = float(np.std(y))
    if spread <= 1e-12 * float(np.max(np.abs(y))):
        raise InvalidData("no activity: the indication is constant")
    refuse_saturated(y)
    refuse_standstill(y)
    sensor = model if isinstance(model, ResponseModel) else model_of(model)
    values = sensor.check_physical(theta)
    likelihood = _Likelihood(y / spread, dt_s, sensor, values, (noise_std or 0.0) / spread)
    best, value = likelihood.maximise()
    gain = 2 * likelihood.averages * (likelihood.of_noise() - value)
    if not gain > _ACTIVITY:
        raise InvalidData(f"no activity: the indication is noise (log-likelihood ratio {gain:.3g})")
    if noise_std:
        _refuse_other_noise(
            likelihood, best, lambda: _Likelihood(y / spread, dt_s, sensor, values, 0.0), noise_std / spread
        )
    density, corner, order, noise = best
    return MeasurandSpectrum(
        math.exp(density) * spread**2, math.exp(corner), float(order), math.exp(noise / 2) * spread
    )


def _refuse_other_noise(
    given: _Likelihood, best: FloatArray, freely: Callable[[], _Likelihood], noise_std: float
) -> None:
    """Refuse a stated noise that the record contradicts: a free one fits far better, and is far from it.

    All in the record's own spread.
    """
    misfit = given.deviance(best)
    if misfit < _MISFIT:
        return
    free = freely()
    found, _ = free.maximise()
    ratio = math.exp(float(found[3]) / 2) / noise_std
    if abs(math.log(ratio)) > math.log(_OTHER) and free.deviance(found) < misfit / 2:
        raise InvalidData(f"the record shows a noise about {ratio:.2g} times the stated one")


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """Where a periodogram is compared with a spectrum: its bins, and what is folded into them.

    Attributes
    ----------
    f_hz, log_omega : float64, shape (4, bins)
        Frequencies, and their angular ones' logarithms.
    corners : tuple of float
        Bounds of ln ω_B.
    starts : float64, shape (s, 2)
        ln ω_B and m that a fit may begin with.
    shapes : float64, shape (s, 4, bins)
        The shape of the spectrum there.
    """

    f_hz: FloatArray
    log_omega: FloatArray
    corners: tuple[float, float]
    starts: FloatArray
    shapes: FloatArray


@functools.lru_cache(maxsize=8)
def _grid(length: int, dt_s: float) -> _Grid:
    """Return the grid for segments of `length` samples; for sensors of one interval it is the same."""
    bin_rad_s = 2 * np.pi / (length * dt_s)
    base = np.arange(_SKIPPED, length // 2) * bin_rad_s
    nyquist = np.pi / dt_s
    omega = np.stack([base, 2 * nyquist - base, 2 * nyquist + base, 4 * nyquist - base])
    log_omega = np.log(omega)
    low, high = math.log(_FEWEST_BINS * bin_rad_s), math.log(2 * nyquist)
    corners = np.linspace(low, high, 10)[:-1].tolist()
    starts = np.array([(corner, order) for corner in corners for order in (1.0, 2.0, 4.0)])
    shapes = np.stack([_shape_of(log_omega, corner, order) for corner, order in starts.tolist()])
    return _Grid(omega / (2 * np.pi), log_omega, (low, high), starts, shapes)


def _shape_of(log_omega: FloatArray, corner: float, order: float) -> FloatArray:
    """Return 1/(1 + (ω/ω_B)^(2m)), of any size, without overflow."""
    shape: FloatArray = np.exp(-np.logaddexp(0.0, 2 * order * (log_omega - corner)))
    return shape


class _Likelihood:
    """Negative Whittle log-likelihood, over the averages, of (ln S0, ln ω_B, m, ln R)."""

    def __init__(self, y: FloatArray, dt_s: float, sensor: ResponseModel, theta: FloatArray, noise_std: float) -> None:
        length = segment_length(y.size)
        self._periodogram = averaged_periodogram(y, length)[_SKIPPED : length // 2]
        self.averages = averages_of(y.size, length)
        grid = _grid(length, dt_s)
        response = sensor.frequency_response(theta, grid.f_hz.ravel()).reshape(grid.f_hz.shape)
        self._power = np.abs(response) ** 2 / dt_s
        self._grid = grid
        self._noise = 2 * math.log(noise_std) if noise_std > 0 else None
        floor = math.log(max(float(np.min(self._periodogram)), 1e-18))
        noises = (floor - 12.0, 3.0) if self._noise is None else (self._noise - 1.0, self._noise + 1.0)
        self._bounds = np.array([(-80.0, 80.0), grid.corners, _ORDERS, noises])

    def deviance(self, p: FloatArray) -> float:
        """Return the mean of P/F - 1 - ln(P/F); its own scatter gives the periodogram 1/(2 averages)."""
        expected = np.exp(p[0]) * (_shape_of(self._grid.log_omega, p[1], p[2]) * self._power).sum(axis=0) + np.exp(p[3])
        ratio = np.maximum(self._periodogram / expected, 1e-300)
        return float(np.mean(ratio - 1 - np.log(ratio)))

    def of_noise(self) -> float:
        """Return the value without a measurand, the noise at its best."""
        level = float(np.mean(self._periodogram))
        return float(np.sum(np.log(level) + self._periodogram / level))

    def maximise(self) -> tuple[FloatArray, float]:
        """Return the best parameters, the best of a grid of starts, refined, and the value there."""
        noise = self._noise if self._noise is not None else math.log(float(np.quantile(self._periodogram, 0.1)))
        low, high = self._bounds[3].tolist()
        found = np.array([0.0, 0.0, 0.0, min(max(noise, low), high)])
        trust = 1 / ((2 * _NOISE_KNOWN) ** 2 * self.averages)  # inverse variance of ln R, over the averages
        value = minimise(
            found, self._bounds, self._grid.starts, self._grid.shapes, self._power, self._grid.log_omega,
            self._periodogram, noise, 0.0 if self._noise is None else trust, _REFINED,
        )  # fmt: skip
        return found, value


@functools.lru_cache(maxsize=8)
def _hann(length: int) -> tuple[FloatArray, float]:
    """Return a Hann window, periodic, and the sum of its squares."""
    window: FloatArray = np.hanning(length + 1)[:-1]
    return window, float(window @ window)


def segment_length(n: int) -> int:
    """Return the length of the segments, a power of 2, into which a record of n samples is cut."""
    return 1 << min(max((n // 4).bit_length() - 1, 6), 13)


def averages_of(n: int, length: int) -> float:
    """Return how many independent segments there are: half-overlapping Hann segments count as 0.95 each."""
    return max(0.95 * (2 * n / length - 1), 1.0)


def averaged_periodogram(y: FloatArray, length: int) -> FloatArray:
    """Return the two-sided periodogram of `y` per bin, shape (length // 2 + 1,).

    Averaged over half-overlapping segments, each without its mean and under a Hann window (Welch, 1967); white noise of
    variance R gives R.
    """
    window, power = _hann(length)
    half, step = length // 2, y.strides[0]
    shape = (y.size - length) // half + 1, length
    segments = np.ndarray(shape, np.float64, y, strides=(half * step, step))  # a view
    spectra = np.fft.rfft((segments - segments.mean(axis=1, keepdims=True)) * window, axis=1)
    average: FloatArray = np.mean(np.abs(spectra) ** 2, axis=0) / power
    return average

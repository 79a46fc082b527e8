"""What correction can reach at all: the mean-square (Wiener) optimum of a station, to judge by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from simulators.physics import dynamics
from simulators.physics.dynamics import Form
from simulators.physics.measurand import power_spectrum
from simulators.scenarios.scenario import StationSpec


@dataclass(frozen=True, slots=True)
class Optimum:
    """Root-mean-square errors against the measurand, in the sensor's unit: raw, and corrected as well as possible."""

    raw: float
    corrected: float

    @property
    def gain(self) -> float:
        """Raw over corrected."""
        return self.raw / self.corrected


def optimum(station: StationSpec) -> Optimum:
    """Return the optimum for known θ (at the start), known spectrum and unlimited latency.

    With S the power density of the measurand and R = 2σ²/f_s that of the converter's noise, both one-sided, the best
    linear filter leaves ∫ S R / (S |H|² + R) df up to f_s / 2 (Wiener; Papoulis, *Probability, Random Variables and
    Stochastic Processes*, ch. 13), and what lies above f_s / 2 is lost.

    Raises
    ------
    InvalidData
        If the measurand is not noise of a limited band alone.
    """
    spec, fs = station.measurand, station.rate_hz
    if spec.rms is None or spec.band_hz is None or spec.shapes:
        raise InvalidData(f"{station.id}: the optimum is known of noise of a limited band, and of nothing else")
    step = station.converter.resolution
    variance = station.converter.noise**2 + step**2 / 12
    f, df, s = _density(spec.rms, spec.band_hz, spec.order)
    h = dynamics.frequency_response(station.form, station.theta0, f)
    dc_error = spec.mean * (dynamics.frequency_response(station.form, station.theta0, np.zeros(1))[0].real - 1)
    raw2 = np.sum(s * np.abs(h - 1) ** 2) * df + variance + dc_error**2
    left = wiener_error(station.form, station.theta0, fs, variance, spec.rms, spec.band_hz, spec.order)
    return Optimum(float(np.sqrt(raw2)), left)


def wiener_error(
    form: Form, theta: FloatArray, rate_hz: float, variance: float, rms: float, band_hz: float, order: int
) -> float:
    """Return the rms error that the best linear filter of any latency leaves, as `optimum` says.

    Of a sensor `form` with parameters `theta`, shape (p,), and white noise of `variance`; of a measurand of so much
    `rms`, whose density is 1 / (1 + (f/band)^(2 order)) up to 3 band.
    """
    f, df, s = _density(rms, band_hz, order)
    h = dynamics.frequency_response(form, theta, f)
    r = 2 * variance / rate_hz
    # Outside the measurand's band the optimal filter passes nothing: the integral ends where S does.
    left2 = np.sum(np.where(f < rate_hz / 2, s * r / (s * np.abs(h) ** 2 + r), s)) * df
    return float(np.sqrt(left2))


def _density(rms: float, band_hz: float, order: int) -> tuple[FloatArray, float, FloatArray]:
    n = 20_000
    df = 3 * band_hz / n
    f: FloatArray = np.asarray((np.arange(n) + 0.5) * df, dtype=np.float64)
    shape = power_spectrum(f, band_hz, order)
    return f, df, rms**2 * shape / (np.sum(shape) * df)

"""What correction can reach at all: the mean-square (Wiener) optimum of a station, to judge by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from simulators import dynamics
from simulators.measurand import power_spectrum
from simulators.scenario import StationSpec


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
    theta = station.theta0
    n = 20_000
    df = 3 * spec.band_hz / n
    f: FloatArray = np.asarray((np.arange(n) + 0.5) * df, dtype=np.float64)
    shape = power_spectrum(f, spec.band_hz, spec.order)
    s = spec.rms**2 * shape / (np.sum(shape) * df)
    h = dynamics.frequency_response(station.form, theta, f)
    dc_error = spec.mean * (dynamics.frequency_response(station.form, theta, np.zeros(1))[0].real - 1)
    step = station.converter.resolution
    variance = station.converter.noise**2 + step**2 / 12
    r = 2 * variance / fs
    below = f < fs / 2
    raw2 = np.sum(s * np.abs(h - 1) ** 2) * df + variance + dc_error**2
    # Outside the measurand's band the optimal filter passes nothing: the integral ends where S does.
    left2 = np.sum(np.where(below, s * r / (s * np.abs(h) ** 2 + r), s)) * df
    return Optimum(float(np.sqrt(raw2)), float(np.sqrt(left2)))

"""Predicts the errors of any correction filter by the integrals: no cancellation, as normal equations suffer it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from dyncal.correction.design import second_order
from dyncal.correction.design.sensitivities import fit_sensitivities, unexplained
from dyncal.correction.design.sensor import Sensor
from dyncal.correction.design.spectrum import MeasurandSpectrum
from dyncal.correction.folding import ComplexArray, Folding
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray

BAND_ERROR: Final = 0.1
"""|G H e^(iωD) - 1| up to which a correction is called valid."""

ResponseBand = float | tuple[FloatArray, FloatArray]
"""Relative standard uncertainty of H beyond its parameters: one number, or (frequencies [Hz], numbers), between by
lines and constant beyond."""


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a filter does, predicted; in the sensor's unit where there is one.

    Attributes
    ----------
    noise_gain : float
        White noise out over white noise in.
    u_noise, u_lost, u_in_band, u_unexplained : float
        Noise; signal that is not restored; uncertainty of the response beyond its parameters; what the sensitivity
        biquads leave out.
    second_order : float
        True rms error from the parameters' uncertainty over the first-order one
        (`dyncal.correction.design.second_order`); NaN where the parameters are too uncertain to tell.
    band_hz : float
        Frequency up to which the response is right to 10 %, Nyquist at most.
    rms_in_band, rms_uncorrected_in_band : float
        Error of the content up to `band_hz`, with the correction and without; parameters taken as known.
    sensitivities : float64, shape (k p, 5)
    """

    noise_gain: float
    u_noise: float
    u_lost: float
    u_in_band: float
    u_unexplained: float
    second_order: float
    band_hz: float
    rms_in_band: float
    rms_uncorrected_in_band: float
    sensitivities: FloatArray

    @property
    def u_model(self) -> float:
        """All that is not noise, parameters or time."""
        return math.sqrt(self.u_lost**2 + self.u_in_band**2 + self.u_unexplained**2)


class Judge:
    """Judges filters for one sensor, spectrum and noise.

    Parameters
    ----------
    sensor, folding, spectrum
    noise_std : float
    """

    def __init__(self, sensor: Sensor, folding: Folding, spectrum: MeasurandSpectrum, noise_std: float) -> None:
        self._sensor, self._folding = sensor, folding
        self._omega = folding.omega
        self._response = sensor.response(self._omega)
        self._weight = spectrum.at(self._omega) / (folding.points * folding.dt_s)
        self._beyond = max(spectrum.variance - float(self._weight.sum()), 0.0)
        self._noise_std = noise_std

    def rms_error(self, digital: ComplexArray, delay: int) -> float:
        """Return the rms error, noise and lost signal, of a filter's response below Nyquist, shape (points,)."""
        lost = np.abs(self._restored(digital, delay) - 1) ** 2
        square = float((self._weight * lost).sum()) + self._beyond
        return math.sqrt(square + self._noise_std**2 * float(np.mean(np.abs(digital) ** 2)))

    def of(self, digital: ComplexArray, delay: int, cov: FloatArray, band: ResponseBand = 0.0) -> Prediction:
        """Return the prediction for a filter's response below Nyquist, shape (points,), and parameters' covariance."""
        restored = self._restored(digital, delay)
        lost = np.abs(restored - 1) ** 2
        gain = math.sqrt(float(np.mean(np.abs(digital) ** 2)))
        band_hz = self._band(restored)
        corrected, uncorrected = self._in_band(band_hz, lost, digital)
        omega, dt_s = self._omega[0], self._folding.dt_s
        kept = self._weight[0] * np.abs(self._response[0] * digital) ** 2
        power = kept + np.abs(digital) ** 2 * (self._noise_std**2 / omega.size)
        rows = fit_sensitivities(self._sensor, dt_s, omega, power)
        ratio = second_order.ratio(self._sensor, cov, omega, kept)
        return Prediction(
            noise_gain=gain,
            u_noise=self._noise_std * gain,
            u_lost=math.sqrt(float((self._weight * lost).sum()) + self._beyond),
            u_in_band=math.sqrt(float(np.sum(kept * relative(band, omega) ** 2))),
            u_unexplained=math.sqrt(unexplained(self._sensor, rows, dt_s, omega, kept, cov)),
            second_order=ratio,
            band_hz=band_hz,
            rms_in_band=corrected,
            rms_uncorrected_in_band=uncorrected,
            sensitivities=rows,
        )

    def _restored(self, digital: ComplexArray, delay: int) -> ComplexArray:
        restored = self._folding.unfold(digital) * self._response
        restored *= np.exp(1j * self._omega * delay * self._folding.dt_s)
        return restored

    def _band(self, restored: ComplexArray) -> float:
        wrong = np.flatnonzero(np.abs(restored[0] - 1) > BAND_ERROR)
        last = int(wrong[0]) if wrong.size else self._folding.points
        return max(last, 0.5) / (2 * self._folding.points * self._folding.dt_s)

    def _in_band(self, band_hz: float, lost: FloatArray, digital: ComplexArray) -> tuple[float, float]:
        inside = self._omega[0] <= 2 * math.pi * band_hz
        weight, each = self._weight[0][inside], self._noise_std**2 / self._folding.points
        raw = np.abs(self._response[0][inside] - 1) ** 2
        corrected = float((weight * lost[0][inside]).sum()) + each * float((np.abs(digital[inside]) ** 2).sum())
        uncorrected = float((weight * raw).sum()) + each * int(np.count_nonzero(inside))
        return math.sqrt(corrected), math.sqrt(uncorrected)


def relative(band: ResponseBand, omega: FloatArray) -> FloatArray:
    """Return a relative uncertainty at ω [rad/s], shape as `omega`.

    Raises
    ------
    InvalidData
        If a number is negative or not finite, or frequencies do not increase.
    """
    f_hz, u = (np.zeros(1), np.array([band])) if isinstance(band, float | int) else map(np.asarray, band)
    if f_hz.shape != u.shape or f_hz.size == 0 or not bool(np.all(np.isfinite(u) & np.isfinite(f_hz) & (u >= 0))):
        raise InvalidData("a response's uncertainty needs frequencies and as many finite numbers, none negative")
    if bool(np.any(np.diff(f_hz) <= 0)):
        raise InvalidData("the frequencies of a response's uncertainty must increase")
    return np.interp(omega / (2 * np.pi), f_hz, u)

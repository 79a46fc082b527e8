"""The measurand's spectrum: what a correction may expect of the signal that it restores."""

from __future__ import annotations

from dataclasses import dataclass

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind


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
        m.
    noise_std : float, optional
        Standard deviation of the sensor's noise that was fitted, or assumed, with it; None where it has no meaning.
    """

    density: float
    corner_rad_s: float
    order: float
    noise_std: float | None = None


def from_bandwidth(band_hz: float, variance: float, *, order: float = 8.0) -> MeasurandSpectrum:
    """Return the spectrum of a measurand of which only bandwidth [Hz] and variance are known (ω_B = 1.2·2πB)."""
    raise NotImplementedError


def fit_spectrum(
    indication: FloatArray, dt_s: float, model: ModelKind, theta: FloatArray, noise_std: float | None = None
) -> MeasurandSpectrum:
    """Fit the measurand's spectrum to a record of indications; fits the noise too where `noise_std` is None.

    Raises
    ------
    InvalidData
        If the record shows no activity, or is unfit.
    """
    raise NotImplementedError

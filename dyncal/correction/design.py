"""The default correction: an FIR Wiener filter, exact at DC, of declared latency."""

from __future__ import annotations

from dataclasses import dataclass

from dyncal.correction.spectrum import MeasurandSpectrum
from dyncal.domain.coefficients import CorrectionFilter, Parameters


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """A filter and what is expected of it.

    Attributes
    ----------
    filter : CorrectionFilter
    noise_gain : float
        √Σg².
    rms_error : float
        Predicted rms error, noise and lost signal, in the sensor's unit; without the parameters' uncertainty.
    rms_error_in_band, rms_uncorrected_in_band : float
        The same up to `filter.band_hz`, with the correction and without.
    optimum_ratio : float
        `rms_error` over that of the best filter with the same latency.
    """

    filter: CorrectionFilter
    noise_gain: float
    rms_error: float
    rms_error_in_band: float
    rms_uncorrected_in_band: float
    optimum_ratio: float


def design(
    parameters: Parameters,
    *,
    dt_ns: int,
    noise_std: float,
    spectrum: MeasurandSpectrum,
    max_latency_s: float | None = None,
    band_hz: float | None = None,
    max_taps: int = 512,
    max_noise_gain: float = 100.0,
) -> Design:
    """Design the correction of a sensor with `parameters` and white noise of `noise_std`."""
    raise NotImplementedError

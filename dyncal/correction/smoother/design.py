"""The smoother of a coefficient set, from a sensor, its noise and its measurand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from dyncal.correction.design.asked import check_asked
from dyncal.correction.design.notes import of_lost, of_uncertain
from dyncal.correction.design.sensor import sensor_of
from dyncal.correction.design.spectrum import MeasurandSpectrum
from dyncal.correction.smoother.build import build_smoother, model_of, whole_order
from dyncal.correction.smoother.rest import AtRest, n_lags
from dyncal.domain.coefficients import CorrectionSmoother, MeasurandPrior, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.time import NS_PER_S, DurationNs

_LEAST_NOISE: Final = 1e-6  # of the indications' standard deviation: what a smoother takes for no noise


@dataclass(frozen=True, slots=True, eq=False)
class SmootherDesign:
    """A smoother and what is expected of it on an even stream; on an uneven one u says it sample by sample.

    Attributes
    ----------
    correction : CorrectionSmoother
    noise_gain : float
        White noise out over white noise in.
    rms_error : float
        Predicted rms error, noise and lost signal, in the measurand's unit; without the parameters' uncertainty.
    notes : tuple of str
        What a user should know; empty where there is nothing.
    """

    correction: CorrectionSmoother
    noise_gain: float
    rms_error: float
    notes: tuple[str, ...]


def design_smoother(
    parameters: Parameters,
    *,
    dt_ns: int,
    noise_std: float,
    spectrum: MeasurandSpectrum,
    max_latency_s: float | None = None,
    prior: MeasurandPrior = MeasurandPrior.BUTTERWORTH,
) -> SmootherDesign:
    """Design the smoother of a sensor; its lag is the shortest within 3 % of the rms error of a long one.

    No bandwidth can be wished: u holds for the measurand that is stated, and for no other.

    Parameters
    ----------
    parameters : Parameters
    dt_ns : int
        Nominal sampling interval [ns].
    noise_std : float
        Standard deviation of the sensor's white noise, in its unit.
    spectrum : MeasurandSpectrum
        What the measurand is like.
    max_latency_s : float, optional
        Longest latency allowed [s], the sensor's dead time included.
    prior : MeasurandPrior
        An integrated Wiener process for a measurand without a bandwidth of its own.

    Raises
    ------
    InvalidData
        As `build_smoother`, if the noise is negative, or if the dead time alone is longer than the latency allowed.
    """
    sensor = sensor_of(parameters)
    dead_s = max(sensor.dead_time_s, 0.0)
    check_asked(dt_ns, noise_std, spectrum, max_latency_s=max_latency_s)
    if max_latency_s is not None and max_latency_s < dead_s:
        raise InvalidData(f"a latency of at most {max_latency_s} s, and a dead time of {dead_s:g} s")
    noise_std = max(noise_std, _LEAST_NOISE * math.sqrt(spectrum.variance) * abs(sensor.dc_gain))
    order = whole_order(spectrum)
    unit = MeasurandSpectrum(1.0, spectrum.corner_rad_s, order)
    whole = MeasurandSpectrum(spectrum.variance / unit.variance, spectrum.corner_rad_s, order)
    max_lag_s = None if max_latency_s is None else max_latency_s - dead_s
    made = build_smoother(
        parameters, dt_ns=dt_ns, noise_std=noise_std, spectrum=whole, prior=prior, max_lag_s=max_lag_s
    )
    dt_s = dt_ns / NS_PER_S
    correction = CorrectionSmoother(
        dt_ns=DurationNs(dt_ns),
        latency_ns=DurationNs(math.ceil((made.lag_s + dead_s) * NS_PER_S - 1e-6)),
        prior=prior,
        density=whole.density,
        corner_rad_s=whole.corner_rad_s,
        order=order,
        noise_std=noise_std,
        band_hz=min(whole.band_hz, 0.5 / dt_s),
    )
    model = model_of(correction, parameters)
    rest, lags = AtRest.of(model), n_lags(model)
    rms_error = float(rest.errors(lags)[-1])
    notes = (*of_uncertain(parameters), *of_lost(rms_error, spectrum, dt_s))
    return SmootherDesign(correction, rest.noise_gain(lags), rms_error, notes)

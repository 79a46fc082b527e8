"""What a correction is designed for, and which form it takes: a filter on a grid, a smoother off it (ADR 0014)."""

from __future__ import annotations

import numpy as np

from dyncal.correction.design.choice import Method, sampling_of, settled
from dyncal.correction.design.spectrum import MeasurandSpectrum, fit_spectrum, from_bandwidth
from dyncal.correction.design.wiener import Form, design
from dyncal.correction.smoother.design import design_smoother
from dyncal.correction.smoother.likelihood import fit_measurand
from dyncal.domain.coefficients import Correction, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import Pairing, Sensor
from dyncal.domain.time import seconds
from dyncal.models import named_model
from services.calibrate.window import Window


def measurand(
    window: Window, sensor: Sensor, pairing: Pairing, parameters: Parameters, noise_std: float | None
) -> MeasurandSpectrum:
    """Return the measurand's spectrum from the sensor's own record, or from the bandwidth that the pairing states.

    Raises
    ------
    InvalidData
        If the record shows no activity and no bandwidth is stated.
    """
    try:
        if window.irregular:
            noise = float("nan") if noise_std is None else noise_std  # which is refused
            return fit_measurand(window.t_ns, window.indication, parameters, dt_ns=sensor.dt_ns, noise_std=noise)
        model = named_model(parameters.model, parameters.names)
        return fit_spectrum(window.indication, seconds(sensor.dt_ns), model, parameters.values, noise_std)
    except InvalidData:
        if pairing.band_hz is None:
            raise
        return from_bandwidth(pairing.band_hz, float(np.var(window.reference)))


def designed(
    window: Window,
    sensor: Sensor,
    pairing: Pairing,
    parameters: Parameters,
    noise_std: float,
    spectrum: MeasurandSpectrum,
) -> Correction:
    """Design the correction, in the form that the stream asks for.

    A smoother where the samples lie on no grid, or where the band is so narrow that a filter would need thousands of
    taps and nobody wishes for another; otherwise a filter, recursive where that is much less work.

    Raises
    ------
    InvalidData
        If the design refuses the wish.
    """
    sampling = sampling_of(window.t_ns, sensor.dt_ns) if window.irregular else None
    rule = settled(parameters, dt_ns=sensor.dt_ns, spectrum=spectrum, sampling=sampling)
    wished = pairing.band_hz is not None and sampling is None
    if rule is not None and rule.method is Method.SMOOTHER and not wished:
        return design_smoother(
            parameters,
            dt_ns=sensor.dt_ns,
            noise_std=noise_std,
            spectrum=spectrum,
            max_latency_s=pairing.max_latency_s,
        ).correction
    return design(
        parameters,
        dt_ns=sensor.dt_ns,
        noise_std=noise_std,
        spectrum=spectrum,
        max_latency_s=pairing.max_latency_s,
        band_hz=pairing.band_hz,
        form=Form.AUTO if rule is None else Form.FIR,
    ).filter

"""dyncal's own methods, as anybody would call them: nothing is set by hand for a member."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from dyncal.correction.design.spectrum import fit_spectrum, from_bandwidth
from dyncal.correction.design.wiener import design
from dyncal.correction.streaming.record import correct
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind
from dyncal.drift import DriftMonitor, DriftSettings, DriftState
from dyncal.identification import AlignedRecord, OnlineEstimator, OnlineSettings
from dyncal.identification.frequency_response import Form, FrequencyPoints, fit_frequency_response
from dyncal.identification.record_fit import RecordSettings, fit_record
from dyncal.identification.records import Estimate
from dyncal.models import Delayed, SensorModel, model_of

Record = dict[str, Any]
_DELAY = "delay_s"
_CHUNK = 960


def record_fit(record: Record) -> Record:
    """Return what `fit_record` finds, by the likelihood and the course between samples that it chooses."""
    model = _model(record)
    settings = RecordSettings(u_reference_noise=record["u_reference_noise"])
    fit = fit_record(AlignedRecord(record["t_ns"], record["indication"], record["reference"]), model, settings=settings)
    return _answer(fit.estimate)


def online(record: Record) -> Record:
    """Return what `OnlineEstimator` has in the end: first and second order without dead time."""
    kind = ModelKind(record["model"])
    if kind not in (ModelKind.FIRST_ORDER, ModelKind.SECOND_ORDER) or _DELAY in record["parameters"]:
        return {"refused": "no online estimator for this model"}
    settings = OnlineSettings(u_reference_noise=record["u_reference_noise"])
    estimator = OnlineEstimator(kind, round(record["dt_s"] * 1e9), settings)
    estimator.update(AlignedRecord(record["t_ns"], record["indication"], record["reference"]))
    estimate = estimator.estimate
    return {"refused": "not enough data to say anything"} if estimate is None else _answer(estimate)


def frequency_response(record: Record) -> Record:
    """Return what `fit_frequency_response` finds."""
    n = record["f_hz"].size
    cov = np.zeros((n, 2, 2))
    cov[:, 0, 0] = cov[:, 1, 1] = record["u"] ** 2
    response = record["real"] + 1j * record["imag"]
    points = FrequencyPoints(record["f_hz"], response, cov, form=Form.COMPLEX, u_magnitude=record["u_common"])
    fit = fit_frequency_response(points, [_model(record)])
    if fit.parameters is None or not fit.accepted:
        return {"refused": f"{fit.verdict}: {fit.detail}"}
    return _stated(fit.parameters)


def wiener(record: Record) -> Record:
    """Return values and u of the default design, its spectrum fitted to the record; else of the stated bandwidth."""
    names = tuple(record["parameters"])
    theta = np.array([record["parameters"][name] for name in names])
    cov = np.diag([record["u"][name] ** 2 for name in names])
    parameters = Parameters(ModelKind(record["model"]), names, theta, cov)
    y, noise = record["indication"], record["noise_std"]
    try:
        spectrum = fit_spectrum(y, record["dt_s"], _model(record), theta, noise)
    except InvalidData:
        spectrum = from_bandwidth(record["band_hz"], float(np.var(y)))
    made = design(parameters, dt_ns=round(record["dt_s"] * 1e9), noise_std=noise, spectrum=spectrum)
    value, u = correct(made.filter, parameters, y)
    return {"value": value, "u": u}


def drift_monitor(record: Record) -> Record:
    """Return the alarms of `DriftMonitor` behind `OnlineEstimator`; it begins anew after each.

    It counts in blocks: how long these take is seen from those that the record has before the first tenth is over.
    """
    kind = ModelKind(record["model"])
    estimator = OnlineEstimator(
        kind, round(record["dt_s"] * 1e9), OnlineSettings(u_reference_noise=record["u_reference_noise"])
    )
    blocks = []
    t_ns = record["t_ns"]
    for first in range(0, t_ns.size, _CHUNK):
        part = slice(first, first + _CHUNK)
        closed = estimator.update(AlignedRecord(t_ns[part], record["indication"][part], record["reference"][part]))
        blocks += [block for block in closed if block.excited and not block.rejected]
    early = [block for block in blocks if block.to_ns <= t_ns[t_ns.size // 10]]
    if len(early) < 2:
        return {"refused": "too few blocks to begin with"}
    block_s = (early[-1].to_ns - early[0].to_ns) * 1e-9 / (len(early) - 1)
    settings = DriftSettings(arl0_blocks=max(record["arl0_s"] / block_s, 10.0), minimum_change=0.0)
    monitor = DriftMonitor(model_of(kind).names, settings)
    alarms = []
    for block in blocks[1:]:
        if monitor.update(block).state is DriftState.DRIFT:
            alarms.append(block.to_ns)
            monitor = DriftMonitor(model_of(kind).names, replace(settings))
    return {"alarms_t_ns": np.array(alarms, np.int64)}


def _model(record: Record) -> SensorModel:
    model = model_of(ModelKind(record["model"]))
    return Delayed(model) if _DELAY in record["parameters"] else model


def _answer(estimate: Estimate) -> Record:
    if estimate.parameters is None or not estimate.accepted:
        return {"refused": f"{estimate.verdict}: {estimate.detail}"}
    return _stated(estimate.parameters)


def _stated(parameters: Parameters) -> Record:
    u = dict(zip(parameters.names, parameters.u.tolist(), strict=True))
    return {"values": parameters.as_dict(), "u": u}

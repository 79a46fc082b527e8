from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dyncal.correction.design.spectrum import from_bandwidth
from dyncal.correction.design.wiener import design
from dyncal.correction.streaming.record import correct
from dyncal.domain.coefficients import CoefficientSet, Parameters, Provenance
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind, SensorId
from dyncal.domain.time import DurationNs, InstantNs
from dyncal.models import model_of
from edge_agent.residual import ResidualMonitor

DT_NS = 1_000_000
N = 20_000
NOISE = 0.01
ACCELEROMETER = np.array([1.0, 0.05, 120.0])
NOW = InstantNs(1_700_000_000_000_000_000)


def vibration(rng: np.random.Generator, band_hz: float, rms: float) -> tuple[FloatArray, FloatArray]:
    """A measurand of many tones up to `band_hz`, and the exact indications of the accelerometer."""
    t = np.arange(N) * DT_NS / 1e9
    f = rng.uniform(0.5, band_hz, 80)
    phase = rng.uniform(0, 2 * np.pi, f.size)
    tones = rms * np.sqrt(2 / f.size) * np.exp(1j * (2 * np.pi * np.outer(t, f) + phase))
    response = model_of(ModelKind.SECOND_ORDER).frequency_response(ACCELEROMETER, f)
    return tones.real.sum(1), (tones * response).real.sum(1)


def coefficients(rms: float, limit: float) -> CoefficientSet:
    parameters = Parameters(
        ModelKind.SECOND_ORDER, ("gain", "damping", "f0_hz"), ACCELEROMETER, np.diag([1e-8, 1e-8, 1e-4])
    )
    designed = design(parameters, dt_ns=DurationNs(DT_NS), noise_std=NOISE, spectrum=from_bandwidth(150.0, rms**2))
    return CoefficientSet(
        id="AC-3.1",
        sensor=SensorId("AC-3"),
        sequence=1,
        parent=None,
        parameters=parameters,
        correction=designed.filter,
        gain_limits=(0.5, 2.0),
        valid_from_ns=NOW,
        provenance=Provenance("cal", SensorId("AC-3R"), NOW, NOW, NOW, N),
        residual_limit=limit,
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_vibration_near_the_resonance_of_a_healthy_sensor_is_no_fault(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rms = 3.0
    measurand, indication = vibration(rng, 150.0, rms)
    raw = indication + rng.normal(0, NOISE, N)
    own = coefficients(rms, limit=1.0)
    value, _ = correct(own.filter, own.parameters, raw)
    error = np.sqrt(np.nanmean((value - measurand) ** 2))
    monitor = ResidualMonitor(coefficients(rms, limit=float(error)))  # the service allows four times as much
    for a in range(0, N, 100):
        assert monitor.update(value[a : a + 100], raw[a : a + 100]) == ""


def test_an_offset_of_the_filter_is_found_under_a_vibration() -> None:
    rng = np.random.default_rng(1)
    _, indication = vibration(rng, 150.0, 3.0)
    own = coefficients(3.0, limit=0.2)
    value, _ = correct(own.filter, own.parameters, indication)
    monitor = ResidualMonitor(own)
    said = [monitor.update(value[a : a + 100] + 0.3, indication[a : a + 100]) for a in range(0, N, 100)]
    assert any("exceeds" in text for text in said)
    assert said[0] == "", "not before there are windows enough"


def test_means_do_not_depend_on_how_the_stream_is_cut() -> None:
    rng = np.random.default_rng(2)
    _, indication = vibration(rng, 150.0, 3.0)
    own = coefficients(3.0, limit=1e-9)
    value, _ = correct(own.filter, own.parameters, indication)
    whole, pieces = ResidualMonitor(own), ResidualMonitor(own)
    at_once = whole.update(value, indication)
    for a in range(0, N, 37):
        in_pieces = pieces.update(value[a : a + 37], indication[a : a + 37])
    assert at_once.startswith("innovation of")
    assert at_once == in_pieces


def slow(rng: np.random.Generator, delay_s: float, dt_s: float) -> tuple[CoefficientSet, FloatArray]:
    """A set for a first-order sensor with dead time, and exact indications of it with noise."""
    theta = np.array([1.0, 0.8, delay_s])
    t = np.arange(6000) * dt_s
    f = rng.uniform(0.01, 0.6, 80)
    tones = 6.0 * np.sqrt(2 / f.size) * np.exp(1j * (2 * np.pi * np.outer(t, f) + rng.uniform(0, 2 * np.pi, f.size)))
    response = np.exp(-2j * np.pi * f * delay_s) / (1 + 2j * np.pi * f * 0.8)
    raw = (tones * response).real.sum(1) + rng.normal(0, 0.03, t.size)
    dt_ns = DurationNs(round(dt_s * 1e9))
    parameters = Parameters(ModelKind.FIRST_ORDER, ("gain", "tau_s", "delay_s"), theta, np.diag([1e-8, 1e-8, 1e-8]))
    designed = design(parameters, dt_ns=dt_ns, noise_std=0.03, spectrum=from_bandwidth(0.6, 36.0))
    own = dataclasses.replace(
        coefficients(6.0, limit=0.15), parameters=parameters, correction=designed.filter, residual_limit=0.15
    )
    return own, raw


@pytest.mark.parametrize("delay_s", [0.01, 0.3, 1.037])
def test_a_dead_time_of_a_healthy_sensor_is_no_fault(delay_s: float) -> None:
    """The edge sent its corrected values through the model without it, and took back every set of such a sensor."""
    own, raw = slow(np.random.default_rng(3), delay_s, 0.05)
    value, _ = correct(own.filter, own.parameters, raw)
    monitor = ResidualMonitor(own)
    said = [monitor.update(value[a : a + 100], raw[a : a + 100]) for a in range(0, raw.size, 100)]
    assert set(said) == {""}
    assert monitor.tally.take()[1] > 10
    whole, cut = ResidualMonitor(own), ResidualMonitor(own)
    whole.update(value, raw)
    for a in range(0, raw.size, 7):
        cut.update(value[a : a + 7], raw[a : a + 7])
    assert cut.tally.take() == pytest.approx(whole.tally.take(), rel=1e-9)


def test_a_fault_of_a_sensor_with_dead_time_is_found() -> None:
    own, raw = slow(np.random.default_rng(3), 0.3, 0.05)
    value, _ = correct(own.filter, own.parameters, raw)
    assert "exceeds" in ResidualMonitor(own).update(value + 0.3, raw)

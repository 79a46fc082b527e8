"""Sensors that report when they like, over the bus to corrected records: what the smoother on the wire is for."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from dyncal.adapters.signing import open_signer
from dyncal.contracts.coefficients import decode_report, seal
from dyncal.correction.smoother.design import design_smoother
from dyncal.correction.smoother.likelihood import fit_measurand
from dyncal.domain.coefficients import CoefficientSet, Outcome, Parameters
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import Int64Array
from dyncal.testing.bus import FakeBroker
from tests.integration.edge_agent.plant import now_ns, running, sent, settings_of, until
from tests.unit.correction.examples import ALL, FINE, Case, coefficient_set, sampled
from tests.unit.edge_agent.helpers import Content

SENSORS = {f"TT-{k}": name for k, name in enumerate(("thermocouple", "dead_time", "thermocouple", "pressure_line"))}
N = 4000
LEARNT = 700  # samples to which the measurand's spectrum is fitted
BATCH = 25  # samples in a message


SLOWER = {"thermocouple": 8, "dead_time": 4, "pressure_line": 1}


def case_of(name: str) -> Case:
    """With parameters that are known well: what is left is noise and what the smoother cannot restore.

    Sampled so slowly that neighbouring errors are not all one: some 2 000 of those compared count by themselves.
    """
    case = ALL[name]
    return dataclasses.replace(case, dt_ns=SLOWER[name] * case.dt_ns, u_relative=0.0002)


def report_by_exception(rng: np.random.Generator, n: int) -> Int64Array:
    """Instants in fine steps: mostly close together, now and then nothing for many nominal intervals."""
    steps = 1 + rng.geometric(1 / FINE, size=n)
    steps[rng.random(n) < 0.01] += 6 * FINE
    return np.cumsum(steps)


def edge() -> dict[str, Any]:
    places = {"rows_at": "/s", "time_at": "/t", "time_format": "ns", "value_at": "/v"}
    sensors = [
        {"sensor": sensor, "unit": "Cel", "dt_s": case_of(name).dt_s, "gap_after_s": 10.0}
        for sensor, name in SENSORS.items()
    ]
    mappings = [{"topic": f"devices/{sensor}", "sensor": sensor, **places} for sensor in SENSORS]
    return {"flush_s": 0.02, "sensors": sensors, "mqtt": [{"mappings": mappings}]}


def wanted(sensor: str, t: Int64Array, y: FloatArray) -> CoefficientSet:
    """What the services would send: parameters from a calibration, the measurand from the sensor's own record."""
    case = case_of(SENSORS[sensor])
    parameters = Parameters(case.kind, case.model.names, case.theta, case.parameters.cov)
    asked = {"dt_ns": case.dt_ns, "noise_std": case.noise_std}
    spectrum = fit_measurand(t[:LEARNT], y[:LEARNT], parameters, **asked)  # type: ignore[arg-type]
    correction = design_smoother(parameters, **asked, spectrum=spectrum).correction  # type: ignore[arg-type]
    gain = 1 / float(case.theta[0])
    return coefficient_set(
        parameters,
        correction,
        id=f"{sensor}.1",
        sensor=SensorId(sensor),
        gain_limits=(0.9 * gain, 1.1 * gain),
        residual_limit=4 * case.noise_std,
    )


async def test_event_driven_sensors_are_corrected_with_their_uncertainty(tmp_path: Path) -> None:
    broker = FakeBroker()
    settings = settings_of(tmp_path, edge())
    signer = open_signer(settings.signing, settings.data_dir)
    start, plant = now_ns() // 10**9 * 10**9, {}  # so that instants are rounded the same in every run
    for seed, (sensor, name) in enumerate(SENSORS.items()):
        case, rng = case_of(name), np.random.default_rng([seed, 8])
        at = report_by_exception(rng, N)
        measurand, y = sampled(case, rng, at, case.theta + rng.normal(size=case.theta.size) * case.parameters.u)
        plant[sensor] = (start - 2 * 10**9 + at * (case.dt_ns // FINE), measurand, y)

    async with running(settings, broker):
        await until(lambda: any("south0" in name and s.filters for name, s in broker._sessions.items()))
        for sensor, (t, _, y) in plant.items():
            desired = f"dyncal/v1/plant/edge1/coefficients/{sensor}/desired"
            broker.publish(desired, seal(wanted(sensor, t, y), signer), retain=True)
        reported = "dyncal/v1/plant/edge1/coefficients/+/reported"
        await until(lambda: len(broker.published(reported)) >= len(SENSORS))
        for a in range(0, N, BATCH):
            for sensor, (t, _, y) in plant.items():
                part = zip(t[a : a + BATCH].tolist(), y[a : a + BATCH].tolist(), strict=True)
                text = json.dumps({"s": [{"t": instant, "v": value} for instant, value in part]})
                broker.publish(f"devices/{sensor}", text.encode())
            await asyncio.sleep(0.002)
        await until(lambda: all(Content.of(sent(broker, sensor)).n_raw == N for sensor in SENSORS))

    outcomes = [decode_report(payload).outcome for payload in broker.published(reported)]
    assert outcomes == [Outcome.APPLIED] * len(SENSORS)
    inside: list[FloatArray] = []
    for sensor, (t, measurand, y) in plant.items():
        content = Content.of(sent(broker, sensor))
        rows = [content.corrected.get(instant, (np.nan, np.nan, "")) for instant in t.tolist()]
        value, u = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
        told = np.isfinite(value) & (np.arange(N) >= LEARNT)  # what the spectrum was not fitted to
        assert np.count_nonzero(told) > 0.9 * (N - LEARNT)
        error = (value - measurand)[told]
        raw = (y / case_of(SENSORS[sensor]).theta[0] - measurand)[told]
        assert np.sqrt(np.mean(error**2)) <= 0.1 * np.sqrt(np.mean(raw**2)), sensor
        inside.append(np.abs(error) <= 1.96 * u[told])
    assert 0.93 <= np.mean(np.concatenate(inside)) <= 0.97, [float(np.mean(one)) for one in inside]

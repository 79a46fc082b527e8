"""A past for the simulated plant: calibrations of half a year, ledgers with losses, edges that came and went."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np

from dyncal.contracts import health as health_contract
from dyncal.contracts.edges import ClockMessage, SensorMessage, StatusMessage
from dyncal.contracts.topics import EdgeAddress
from dyncal.contracts.topics import health as health_topic
from dyncal.domain import aggregates
from dyncal.domain.accounts import Account, Lost
from dyncal.domain.aggregates import SAMPLES
from dyncal.domain.coefficients import Parameters
from dyncal.domain.health import Attribution, Cause, Conformance, Outlook, ParameterConformity, SensorHealth, Watch
from dyncal.domain.samples import GapCause
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.ports.records import Act
from tests.integration.api.plant import ADDRESS, SITE, Plant, parameters_of

DAY_NS = 86_400 * NS_PER_S


def calibrations(plant: Plant, name: str, n: int = 14, growth: float = 0.12) -> None:
    """Give a sensor `n` calibrations over half a year, the first its baseline, in which the last parameter grows."""
    channel = next(each for each in plant.channels if each.id == name)
    latest = plant.registry.calibrations(channel.id, limit=1)[0]
    now, rng = plant.clock.now(), np.random.default_rng(7)
    model = parameters_of(channel.kind)
    for k in range(n):
        at = InstantNs(now - (180 * DAY_NS * (n - k)) // n)
        values = model.values.copy()
        values[-1] *= (1 - growth * (1 - k / n) ** 2) * (1 + rng.normal(0, 0.003))
        values[0] *= 1 + rng.normal(0, 0.0004)
        parameters = Parameters(
            model.model, model.names, values, np.diag((values * [0.0005, *[0.003] * (values.size - 1)]) ** 2)
        )
        identity = f"{name}.baseline.{at}" if k == 0 else f"cal-{name}.past-{k}"
        p = float(rng.uniform(0.05, 0.95)) if k != n - 3 else 0.004
        made = replace(latest, id=identity, parameters=parameters, fitted_at_ns=at, whiteness_p=p)
        plant.registry.add_calibration(made, Act("calibrate", at, "periodic"))


def losses(plant: Plant) -> None:
    """Have ingest say what became of the records of all sensors; the first lost some."""
    now = InstantNs(plant.clock.now())
    lost = {
        GapCause.CONNECTION_LOST: Lost(3, 4210, 1),
        GapCause.SERVER_OVERFLOW: Lost(1, 130, 0),
    }
    accounts = {
        each.id: Account(
            12_000, 11_990, 1_199_000, 4 if k == 0 else 0, lost if k == 0 else {}, 6 if k == 1 else 0, 0, 3, 300
        )
        for k, each in enumerate(plant.channels[:-1])
    }
    plant.service._deps.ledgers.put(ADDRESS.edge, now, accounts)  # type: ignore[union-attr]


def lost_edge(plant: Plant) -> None:
    """Have a second edge announce a sensor and go offline."""
    address = EdgeAddress(SITE, EdgeId("edge-b"))
    sensors = [SensorMessage(SensorId("LT-201"), "m", 1_000_000_000, "Tank level", None)]
    for state in ("online", "offline"):
        message = StatusMessage(1, state, plant.clock.now(), "0.1.0", 1, None, sensors if state == "online" else [])
        plant.broker.publish(address.status, msgspec.json.encode(message), retain=True)


def lost_clock(plant: Plant) -> None:
    """Have a third edge, which stamps its one sensor, say that it has lost its time service."""
    sensors = [SensorMessage(SensorId("LT-301"), "m", 1_000_000_000, "Tank level", own_clock=True)]
    clock = ClockMessage("holdover", 250_000_000, plant.clock.now(), "chrony", "PTP0", -350)
    message = StatusMessage(1, "online", plant.clock.now(), "0.1.0", 1, clock.u_ns, sensors, clock=clock)
    plant.broker.publish(EdgeAddress(SITE, EdgeId("edge-c")).status, msgspec.json.encode(message), retain=True)


def reduced(plant: Plant, name: str, *, width_s: int, n: int) -> None:
    """Have the oldest samples of a sensor stand as `n` means from now on, each of `width_s`, as retention does."""
    width_ns = width_s * NS_PER_S
    end = plant.clock.now() // width_ns * width_ns - 2 * width_ns
    start = end - n * width_ns
    for at in range(start, end, width_ns):
        span = InstantNs(at), InstantNs(at + width_ns)
        rows = plant.store.read(SensorId(name), *span)
        plant.store.replace(SensorId(name), SAMPLES, *span, aggregates.of_samples(rows, width_ns), len(rows))


def outlook(plant: Plant, name: str) -> None:
    """Have calibration say that a sensor drifts slowly, why, and when τ leaves its tolerance."""
    now = InstantNs(plant.clock.now())
    pairing = next(each for each in plant.registry.pairings() if each.sensor == name)
    agreed = replace(pairing, tolerance={"gain": 0.05, "tau_s": 0.15})  # what the verdicts below are about
    plant.registry.put_sensors([], [agreed], Act("engineer", now, "tolerance agreed"))
    said = SensorHealth(
        SensorId(name),
        now,
        InstantNs(now + DAY_NS),
        Watch.DRIFT,
        InstantNs(now - 9 * DAY_NS),
        InstantNs(now - 40 * NS_PER_S),
        "",
        "tau_s",
        0.026,
        0.004,
        Attribution(Cause.SENSOR, 0.97, 0.02, 0.005, 0.005),
        (
            ParameterConformity("gain", 0.0004, 0.0008, 0.05, 1.0, Conformance.CONFORMS),
            ParameterConformity("tau_s", 0.113, 0.004, 0.15, 1.0, Conformance.CONFORMS),
        ),
        (
            Outlook("gain", None, None, None, 0.0, 1e-5),
            Outlook(
                "tau_s",
                InstantNs(now + 61 * DAY_NS),
                InstantNs(now + 84 * DAY_NS),
                InstantNs(now + 130 * DAY_NS),
                4.4e-4,
                6e-5,
            ),
        ),
    )
    plant.broker.publish(health_topic(SITE, said.sensor), health_contract.encode(said), retain=True)

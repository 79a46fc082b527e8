"""Examples of what a registry keeps, for the suites of adapters and for tests above them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np

from dyncal.alarms.alarm import Alarm
from dyncal.alarms.definitions import DEFAULTS
from dyncal.alarms.engine import EngineState
from dyncal.alarms.events import Changed
from dyncal.domain.alarms import AlarmEvent, AlarmKind, AlarmState, Annunciation, Condition
from dyncal.domain.calibration import Calibration, Conformity, Deviation, Verdict
from dyncal.domain.coefficients import (
    CoefficientSet,
    CorrectionFilter,
    Parameters,
    Provenance,
)
from dyncal.domain.errors import Conflict
from dyncal.domain.sensors import EdgeId, ModelKind, Pairing, Sensor, SensorId, SiteId
from dyncal.domain.time import DurationNs, InstantNs
from dyncal.ports.records import Act
from dyncal.ports.registry import AlarmRegistry, AlarmWrite, Registry

OpenRegistry = Callable[[], Registry]

T0: Final = 1_700_000_000_000_000_001
S1: Final = SensorId("tc-1")
S2: Final = SensorId("tc-2")


def act(k: int = 0, reason: str = "test") -> Act:
    """Return an act at second `k`."""
    return Act("tester", InstantNs(T0 + k * 1_000_000_000), reason)


def make_sensor(name: SensorId = S1, *, unit: str = "Cel") -> Sensor:
    """Return a sensor at 10 Hz."""
    return Sensor(name, SiteId("plant"), EdgeId("edge-1"), unit, DurationNs(100_000_000), "Łódź kiln")


def make_pairing(sensor: SensorId = S1, reference: SensorId = S2) -> Pairing:
    """Return a pairing with a value in every field."""
    return Pairing(
        sensor,
        reference,
        ModelKind.FIRST_ORDER,
        0.1,
        1e-3,
        1 / 3,
        band_hz=2.5,
        max_latency_s=None,
        tolerance={"tau_s": 0.1},
        u_reference_noise=1 / 7,
        dead_time=True,
    )


def make_parameters() -> Parameters:
    """Return a parameter vector whose numbers have no short decimal form."""
    return Parameters(
        ModelKind.FIRST_ORDER,
        ("gain", "tau_s"),
        np.array([1 / 3, np.pi]),
        np.array([[1e-7 / 3, -1e-9], [-1e-9, 2e-300]]),
    )


def make_calibration(name: str = "cal-1", sensor: SensorId = S1, k: int = 0) -> Calibration:
    """Return a calibration fitted at second `k`."""
    deviation = Deviation(0.1, 0.3, 0.01, 500)
    return Calibration(
        id=name,
        sensor=sensor,
        reference=S2,
        parameters=make_parameters(),
        verdict=Verdict.ACCEPTED,
        unobservable=("damping",),
        reduced_chi2=1.01,
        whiteness_p=float("nan"),
        noise_std=0.1 + 0.2,
        n_samples=1000,
        window_from_ns=InstantNs(T0),
        window_to_ns=InstantNs(T0 + 5),
        fitted_at_ns=act(k).at_ns,
        method="block_map",
        detail="naïve",
        conformity=Conformity(deviation, deviation, deviation, "rule", passed=True),
    )


def make_set(sequence: int = 1, sensor: SensorId = S1) -> CoefficientSet:
    """Return a set of that sequence."""
    return CoefficientSet(
        id=f"{sensor}-{sequence}",
        sensor=sensor,
        sequence=sequence,
        parent=None,
        parameters=make_parameters(),
        correction=CorrectionFilter(
            dt_ns=DurationNs(100_000_000),
            fir=np.array([0.1, 0.2, 1 / 7]),
            sos=np.zeros((0, 6)),
            delay=1,
            sensitivities=np.arange(10.0).reshape(2, 5) / 3,
            u_noise=0.1,
            u_model=0.0,
            band_hz=1.0,
        ),
        gain_limits=(0.9, 1.1),
        valid_from_ns=InstantNs(T0),
        provenance=Provenance("cal-1", S2, InstantNs(T0), InstantNs(T0), InstantNs(T0), 10),
        residual_limit=0.5,
    )


def make_alarm(state: AlarmState = AlarmState.UNACKNOWLEDGED, *, k: int = 0, sensor: SensorId = S1) -> Alarm:
    """Return a drift alarm that changed at second `k`, by the change of number k + 1."""
    active = state in (AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED)
    condition = Condition(
        SiteId("plant"), sensor, AlarmKind.DRIFT, holds=True, at_ns=InstantNs(T0), edge="edge-1",
        parameter="tau_s", value=0.1 + 0.2, limit=None, cause="fouling",
    )  # fmt: skip
    return Alarm(
        found=condition,
        definition=DEFAULTS[AlarmKind.DRIFT],
        reporter="tester",
        holds=active,
        holds_ns=InstantNs(T0),
        active=active,
        acknowledged=state in (AlarmState.ACKNOWLEDGED, AlarmState.NORMAL),
        annunciation=Annunciation.SINGLE,
        raised_ns=InstantNs(T0),
        cleared_ns=None if active else act(k).at_ns,
        number=k + 1,
        changed_ns=act(k).at_ns,
    )


def put_alarm(registry: AlarmRegistry, alarm: Alarm, by: Act, event: AlarmEvent = AlarmEvent.RAISED) -> Changed:
    """Write a change of one alarm, with the next number."""
    for _ in range(100):
        state, revision = registry.load_alarms()
        alarm = msgspec.structs.replace(alarm, number=state.number + 1)
        told = Annunciation.SINGLE if event is AlarmEvent.RAISED else Annunciation.NONE
        change = Changed(alarm, event, by.at_ns, by.actor, by.reason, told)
        after = EngineState(by.at_ns, state.number + 1, state.recent, state.flood)
        try:
            registry.write_alarms(AlarmWrite(revision, after, [alarm], [change]))
        except Conflict:
            continue
        return change
    raise Conflict("others write all the time")

"""What alarms say."""

from __future__ import annotations

import math

import pytest

from dyncal.contracts import conditions as wire
from dyncal.contracts import topics
from dyncal.domain.alarms import Condition
from dyncal.domain.health import Attribution, Cause
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.drift import DriftState
from dyncal.drift.monitor import DriftStatus
from dyncal.testing.registry import make_sensor
from services.calibrate import findings

NOW = InstantNs(1_700_000_000_000_000_000)


def drift(change: float, u: float) -> Condition:
    status = DriftStatus(DriftState.DRIFT, "tau_s", 9.0, 4.0, change, u, NOW - 5, NOW - 9, NOW - 1)
    return findings.drift(make_sensor(SensorId("TC-1")), NOW, status)


def test_a_drift_is_told_in_percent() -> None:
    alarm = drift(0.123, 0.01)
    assert (alarm.value, alarm.u) == (0.123, 0.01)
    assert "+12.3% since the baseline" in alarm.cause


@pytest.mark.parametrize(("change", "u"), [(math.nan, math.nan), (math.inf, 0.1), (0.1, math.nan)])
def test_a_change_without_a_percentage_is_told_without_one(change: float, u: float) -> None:
    alarm = drift(change, u)
    assert alarm.value is None
    assert alarm.u is None
    assert "nan" not in alarm.cause
    topic = topics.condition(alarm.site, alarm.source, alarm.kind)
    assert wire.decode(topic, wire.encode(alarm, "calibrate", NOW))[0] == alarm


def test_what_has_changed_is_said_first_and_once() -> None:
    plain, reference = drift(0.1, 0.01), SensorId("R-1")
    told = {cause: Attribution(cause, 0.98, 0.01, 0.01, 0.0) for cause in Cause}
    assert findings.explained(plain, told[Cause.CANNOT_TELL], reference) == plain
    once = findings.explained(plain, told[Cause.SENSOR_OR_REFERENCE], reference)
    assert once.response == plain.response
    again = findings.explained(once, told[Cause.REFERENCE], reference)
    assert again.cause == f"Most likely its reference R-1 has changed, and not the sensor; {plain.cause}"
    assert "R-1" in again.response
    assert findings.explained(again, told[Cause.REFERENCE], reference) == again

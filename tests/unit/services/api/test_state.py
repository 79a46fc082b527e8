"""States: what cannot be told is never called normal."""

from __future__ import annotations

from typing import Any

import pytest

from dyncal.alarms.alarm import Alarm
from dyncal.alarms.definitions import DEFAULTS
from dyncal.contracts.edges import ClockMessage
from dyncal.domain.alarms import AlarmKind, Condition
from dyncal.domain.health import Attribution, Cause, SensorHealth, Watch
from dyncal.domain.sensors import SensorId, SiteId
from dyncal.domain.time import InstantNs
from dyncal.testing.registry import make_sensor
from services.api.edges import EdgeDirectory, EdgeStatus
from services.api.frames import Latest
from services.api.state import SensorState, standing

NOW = InstantNs(1_700_000_000_000_000_000)


def alarm(kind: AlarmKind) -> Alarm:
    found = Condition(SiteId("plant"), "tc-1", kind, holds=True, at_ns=NOW, parameter="tau_s")
    return Alarm(found, DEFAULTS[kind], active=True, acknowledged=False)


def health(watch: Watch = Watch.IN_CONTROL, **changes: Any) -> SensorHealth:
    facts: dict[str, Any] = {"at_ns": NOW, "holds_until_ns": InstantNs(NOW + 1), "since_ns": InstantNs(NOW - 7)}
    return SensorHealth(SensorId("tc-1"), watch=watch, **{**facts, **changes})


def stands(age_s: float = 0.1, **changes: Any) -> SensorState:
    latest = Latest(raw_t_ns=NOW - int(age_s * 1e9), raw=1.0, quality=changes.pop("code", 0))
    facts: dict[str, Any] = {
        "edge_online": True,
        "paired": True,
        "is_reference": False,
        "has_set": True,
        "alarms": (),
        "now": NOW,
        "health": health(),
    }
    return standing(make_sensor(), changes.pop("latest", latest), **{**facts, **changes}).state


def test_without_news_of_its_dynamics_it_is_never_normal() -> None:
    idle = health(Watch.CANNOT_TELL, reason="no excitation")
    silent = health(at_ns=InstantNs(NOW - 9), holds_until_ns=InstantNs(NOW - 1))
    latest = Latest(raw_t_ns=NOW, raw=1.0)
    for said, since, words in (
        (None, None, "calibration has said nothing of this sensor"),
        (idle, NOW - 7, "no excitation"),
        (silent, NOW - 9, "calibration has fallen silent"),
    ):
        found = standing(
            make_sensor(), latest, edge_online=True, paired=True, is_reference=False, has_set=True, alarms=(), now=NOW,
            health=said,
        )  # fmt: skip
        assert found == (SensorState.CANNOT_TELL, words, since)
    assert stands(health=health(Watch.LEARNING)) is SensorState.LEARNING


def test_a_drift_shows_with_its_cause_whatever_becomes_of_its_alarm() -> None:
    told = Attribution(Cause.REFERENCE, 0.01, 0.97, 0.01, 0.01)
    found = standing(
        make_sensor(), Latest(raw_t_ns=NOW, raw=1.0), edge_online=True, paired=True, is_reference=False, has_set=True,
        alarms=(), now=NOW, health=health(Watch.DRIFT, parameter="tau_s", attribution=told),
    )  # fmt: skip
    assert found == (SensorState.MAINTENANCE_REQUIRED, "drift of tau_s: its reference has changed", NOW - 7)


def test_where_sensor_and_reference_contradict_each_other_that_is_said_and_no_drift() -> None:
    words = "sensor and reference contradict each other: a zero offset"
    found = standing(
        make_sensor(), Latest(raw_t_ns=NOW, raw=1.0), edge_online=True, paired=True, is_reference=False, has_set=True,
        alarms=(alarm(AlarmKind.DRIFT),), now=NOW, health=health(Watch.CANNOT_TELL, reason=words),
    )  # fmt: skip
    assert found == (SensorState.MAINTENANCE_REQUIRED, words, NOW - 7)


def test_a_sensor_with_fresh_corrected_values_is_normal() -> None:
    assert stands() is SensorState.NORMAL


@pytest.mark.parametrize(
    "facts",
    [{"latest": None}, {"latest": Latest()}, {"age_s": 5.1}, {"edge_online": False}, {"code": 0x80310000}],
)
def test_without_good_fresh_values_it_has_failed_whatever_else_holds(facts: dict[str, Any]) -> None:
    assert stands(**facts, alarms=(alarm(AlarmKind.DRIFT),)) is SensorState.FAILURE


@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        ([AlarmKind.DRIFT], SensorState.MAINTENANCE_REQUIRED),
        ([AlarmKind.DRIFT, AlarmKind.OUT_OF_TOLERANCE], SensorState.OUT_OF_SPECIFICATION),
        ([AlarmKind.CORRECTION_REVERTED], SensorState.CHECK_FUNCTION),
        ([AlarmKind.REFERENCE_LOST], SensorState.CHECK_FUNCTION),
    ],
)
def test_the_gravest_alarm_says_the_state(kinds: list[AlarmKind], state: SensorState) -> None:
    assert stands(alarms=tuple(map(alarm, kinds))) is state


def test_without_coefficients_it_learns_or_is_a_reference() -> None:
    assert stands(has_set=False) is SensorState.LEARNING
    assert stands(has_set=False, paired=False) is SensorState.LEARNING
    assert stands(has_set=False, paired=False, is_reference=True) is SensorState.REFERENCE


def test_an_edge_that_has_not_spoken_yet_is_not_offline() -> None:
    assert stands(edge_online=None) is SensorState.NORMAL


@pytest.mark.parametrize(
    ("state", "own", "expected"),
    [
        ("holdover", True, SensorState.CHECK_FUNCTION),
        ("a state of a later version", True, SensorState.CHECK_FUNCTION),
        ("synchronised", True, SensorState.NORMAL),
        ("declared", True, SensorState.NORMAL),
        ("unknown", False, SensorState.NORMAL),
    ],
)
def test_a_clock_that_is_lost_concerns_those_whose_time_stamps_it_makes(
    state: str, own: bool, expected: SensorState
) -> None:
    sensor = make_sensor()
    edges = EdgeDirectory()
    assert edges.doubt(sensor) is None
    clock = ClockMessage(state, u_ns=250_000_000, since_ns=NOW - 5)
    stamped = frozenset({sensor.id} if own else {"another"})
    edges.put(EdgeStatus(sensor.edge, sensor.site, True, NOW, clock=clock, stamped=stamped))
    doubt = edges.doubt(sensor)
    assert stands(doubt=doubt) is expected
    assert stands(doubt=doubt, edge_online=False) is SensorState.FAILURE
    if doubt is not None:
        assert doubt.since_ns == NOW - 5
        assert "u of its time stamps is 0.25 s" in doubt.why
        assert stands(doubt=doubt, alarms=[alarm(AlarmKind.DRIFT)]) is SensorState.CHECK_FUNCTION

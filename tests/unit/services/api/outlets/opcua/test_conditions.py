from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from asyncua import ua

from dyncal.domain.alarms import AlarmState
from services.api.outlets.feed import Answer
from services.api.outlets.news import News
from services.api.outlets.opcua.conditions import Conditions, event_id, fields, message, number_of, retained
from services.api.outlets.opcua.methods import code_of
from services.api.outlets.opcua.units import engineering_units, of_difference
from services.api.outlets.opcua.values import HEALTH_NAMES, device_health
from services.api.state import SensorState
from tests.unit.services.api.outlets.alarms import change

SOURCE = ua.NodeId("sensor/TT-101", 2)


def told(news: News) -> dict[str, Any]:
    return {name: variant.Value for name, variant in fields(news, SOURCE, None).items()}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, {"ActiveState/Id": True, "AckedState/Id": False, "Retain": True, "SuppressedOrShelved": False}),
        ({"state": "normal", "active": False, "acknowledged": True}, {"ActiveState/Id": False, "Retain": False}),
        (
            {"state": "latched_acknowledged", "active": False, "acknowledged": True, "latched": True},
            {"ConfirmedState/Id": False, "LatchedState/Id": True, "Retain": True},
        ),
        (
            {"state": "shelved", "shelved_until_ns": 1_769_860_800_000_000_001 + 60 * 10**9},
            {"ShelvingState/UnshelveTime": 60_000.0, "SuppressedOrShelved": True, "Retain": True},
        ),
        ({"state": "suppressed", "suppressed_by": ["manual"]}, {"SuppressedState/Id": True}),
        ({"state": "out_of_service", "out_of_service": True}, {"OutOfServiceState/Id": True}),
        ({"priority": "high"}, {"Severity": 800}),
    ],
)
def test_states_are_those_of_the_alarm(more: dict[str, Any], expected: dict[str, Any]) -> None:
    found = told(change(1, **more))
    assert {name: found[name] for name in expected} == expected


def test_every_field_has_the_type_that_it_says() -> None:
    """A value of another type would not be sent at all, and end the client's connection."""
    for name, variant in fields(change(1, state="shelved", shelved_until_ns=1), SOURCE, SOURCE).items():
        assert ua.ua_binary.variant_to_binary(variant), name


def test_an_event_is_known_by_alarm_and_number() -> None:
    assert number_of("TT-101:drift", event_id("TT-101:drift", 4711)) == 4711
    for wrong in (event_id("TT-102:drift", 4711), b"", None, 5, b"x" * 16):
        assert number_of("TT-101:drift", wrong) is None


def test_a_message_says_what_and_why_and_what_to_do() -> None:
    text = message(change(1))
    assert text.startswith("drift of TT-101 tau_s = 0.55 ± 0.008 (limit 0.525). ")
    assert text.endswith("Inspect for fouling")


def test_the_newest_picture_is_kept_whichever_way_it_came() -> None:
    known = Conditions()
    assert known.take(change(5))
    assert not known.take(change(4, event="cleared", state="normal", active=False))
    assert known.take(change(6, "TT-102"))
    assert [news.number for news in known.retained()] == [5, 6]
    assert [news.id for news in known.of("TT-101")] == ["TT-101:drift"]
    assert known.take(change(7, state="normal", active=False, acknowledged=True))
    assert [news.number for news in known.retained()] == [6]
    assert not list(known.of("TT-101"))


def test_what_is_normal_alone_is_not_retained() -> None:
    for state in AlarmState:
        assert retained(change(1, state=state)) is (state is not AlarmState.NORMAL)


def test_what_cannot_be_told_is_no_green_light() -> None:
    green = {state for state in SensorState if HEALTH_NAMES[device_health(state)] == "NORMAL"}
    assert green == {SensorState.NORMAL, SensorState.REFERENCE}


def test_refusals_have_codes() -> None:
    assert code_of(Answer()) == ua.StatusCodes.Good
    assert code_of(Answer("too_long")) == ua.StatusCodes.BadShelvingTimeOutOfRange
    assert code_of(Answer("whatever comes")) == ua.StatusCodes.BadInvalidState
    assert dataclasses.is_dataclass(Answer)


def test_units_have_their_common_codes() -> None:
    assert (engineering_units("Cel").UnitId, engineering_units("m/s2").UnitId) == (4408652, 5067595)
    assert (engineering_units("furlong").UnitId, engineering_units("furlong").DisplayName.Text) == (-1, "furlong")
    assert (of_difference("Cel"), of_difference("bar")) == ("K", "bar")

"""Alarms as conditions (OPC 10000-9, 5.8): the fields of their events, which are those of their nodes too."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final

from asyncua import ua

from dyncal.domain.alarms import AlarmState, Priority, Scope
from dyncal.domain.time import to_datetime
from services.api.outlets.news import News
from services.api.outlets.opcua.building import standard

SEVERITY: Final = {Priority.LOW: 200, Priority.MEDIUM: 500, Priority.HIGH: 800}
"""OPC 10000-5, 6.4.2: 1 to 333 low, to 666 medium, to 1000 high."""
TYPE_ID: Final = standard(ua.ObjectIds.AlarmConditionType)
_MAINTENANCE: Final = (standard(ua.ObjectIds.MaintenanceConditionClassType), "MaintenanceConditionClass")
_SYSTEM: Final = (standard(ua.ObjectIds.SystemConditionClassType), "SystemConditionClass")
_UNSHELVED: Final = (standard(ua.ObjectIds.ShelvedStateMachineType_Unshelved), "Unshelved")
_TIMED: Final = (standard(ua.ObjectIds.ShelvedStateMachineType_TimedShelved), "TimedShelved")

Fields = dict[str, Any]
"""Variants by the path of their browse names, as in ``"ActiveState/Id"``."""

_V = ua.VariantType


def event_id(alarm: str, number: int) -> bytes:
    """Return the identity of the event that tells of a change: the same whenever it is told."""
    return number.to_bytes(8) + hashlib.sha256(alarm.encode()).digest()[:8]


def number_of(alarm: str, event: object) -> int | None:
    """Return the number of the change that an event told of; None where it was none of this alarm."""
    if not isinstance(event, bytes) or len(event) != 16:
        return None
    number = int.from_bytes(event[:8])
    return number if event == event_id(alarm, number) else None


def fields(news: News, source: Any, input_node: Any | None) -> Fields:
    """Return all fields of the event that tells of a change.

    Parameters
    ----------
    source : NodeId
        Of what the alarm is about.
    input_node : NodeId, optional
        Of the value that it is about.
    """
    at = to_datetime(news.told_ns)
    condition_class = _MAINTENANCE if news.scope is Scope.SENSOR else _SYSTEM
    shelved = news.shelved_until_ns is not None
    shelving = _TIMED if shelved else _UNSHELVED
    left_ms = max(0.0, ((news.shelved_until_ns or 0) - news.told_ns) / 1e6)
    told: Fields = {
        "EventId": ua.Variant(event_id(news.id, news.number), _V.ByteString),
        "EventType": ua.Variant(TYPE_ID, _V.NodeId),
        "SourceNode": ua.Variant(source, _V.NodeId),
        "SourceName": ua.Variant(news.source, _V.String),
        "Time": ua.Variant(at, _V.DateTime),
        "ReceiveTime": ua.Variant(at, _V.DateTime),
        "Message": _text(message(news)),
        "Severity": ua.Variant(SEVERITY[news.priority], _V.UInt16),
        "ConditionClassId": ua.Variant(condition_class[0], _V.NodeId),
        "ConditionClassName": _text(condition_class[1]),
        "ConditionName": ua.Variant(str(news.kind), _V.String),
        "BranchId": ua.Variant(ua.NodeId(), _V.NodeId),
        "Retain": _flag(retained(news)),
        "Quality": ua.Variant(ua.StatusCode(0), _V.StatusCode),
        "LastSeverity": ua.Variant(SEVERITY[news.priority], _V.UInt16),
        "Comment": _text(news.reason),
        "ClientUserId": ua.Variant(news.actor, _V.String),
        "InputNode": ua.Variant(input_node or ua.NodeId(), _V.NodeId),
        "SuppressedOrShelved": _flag(bool(news.suppressed_by) or shelved or news.out_of_service),
        "ShelvingState/CurrentState": _text(shelving[1]),
        "ShelvingState/CurrentState/Id": ua.Variant(shelving[0], _V.NodeId),
        "ShelvingState/UnshelveTime": ua.Variant(left_ms, _V.Double),
    }
    for name in ("Quality", "LastSeverity", "Comment"):
        told[f"{name}/SourceTimestamp"] = ua.Variant(at, _V.DateTime)
    told.update(_two_state("EnabledState", value=True, yes="Enabled", no="Disabled"))
    told.update(_two_state("AckedState", news.acknowledged, "Acknowledged", "Unacknowledged"))
    told.update(_two_state("ConfirmedState", not news.latched or news.active, "Confirmed", "Unconfirmed"))
    told.update(_two_state("ActiveState", news.active, "Active", "Inactive"))
    told.update(_two_state("SuppressedState", bool(news.suppressed_by), "Suppressed", "Unsuppressed"))
    told.update(_two_state("OutOfServiceState", news.out_of_service, "Out of Service", "In Service"))
    told.update(_two_state("LatchedState", news.latched, "Latched", "Unlatched"))
    told["ActiveState/EffectiveDisplayName"] = _text(str(news.state))
    return told


def retained(news: News) -> bool:
    """Tell whether an alarm is of interest, and part of a refresh."""
    return news.state is not AlarmState.NORMAL


def message(news: News) -> str:
    """Return a line for people: what, why, and what to do."""
    value = "" if news.value is None else f" {news.parameter or 'value'} = {news.value:.6g}"
    value += f" ± {2 * news.u:.2g}" if value and news.u is not None else ""
    value += f" (limit {news.limit:.6g})" if value and news.limit is not None else ""
    parts = [f"{news.kind} of {news.source}{value}", news.cause, news.response]
    return ". ".join(part.rstrip(".") for part in parts if part)


class Conditions:
    """The newest picture of each alarm, as far as it is known here."""

    def __init__(self) -> None:
        self._known: dict[str, News] = {}
        self._of_source: dict[str, dict[str, News]] = {}

    def take(self, news: News) -> bool:
        """Take a change or a picture; return False where a newer one is known."""
        known = self._known.get(news.id)
        if known is not None and known.number >= news.number:
            return False
        self._known[news.id] = news
        self._of_source.setdefault(news.source, {})[news.id] = news
        return True

    def get(self, alarm: str) -> News | None:
        """Return the picture of an alarm."""
        return self._known.get(alarm)

    def of(self, source: str) -> Iterable[News]:
        """Return the alarms of a source that are not normal."""
        return [news for news in self._of_source.get(source, {}).values() if retained(news)]

    def active(self, source: str) -> list[News]:
        """Return the alarms of a source whose conditions hold."""
        return [news for news in self._of_source.get(source, {}).values() if news.active]

    def retained(self) -> list[News]:
        """Return all alarms that are not normal, in the order of their last changes."""
        return sorted((news for news in self._known.values() if retained(news)), key=lambda news: news.number)


def _text(text: str) -> Any:
    return ua.Variant(ua.LocalizedText(text, "en"), _V.LocalizedText)


def _flag(value: bool) -> Any:
    return ua.Variant(value, _V.Boolean)


def _two_state(name: str, value: bool, yes: str, no: str) -> Fields:
    return {
        name: _text(yes if value else no),
        f"{name}/Id": _flag(value),
        f"{name}/TrueState": _text(yes),
        f"{name}/FalseState": _text(no),
    }

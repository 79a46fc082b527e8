"""Methods of conditions: commands for alarms, by the same way as those over HTTP (OPC 10000-9, 5.7 and 5.8)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from asyncua import ua

from dyncal.domain.errors import DyncalError
from dyncal.runtime.logging import logger
from services.api.outlets.feed import AlarmDesk, Answer, Wish
from services.api.outlets.opcua.conditions import Conditions, number_of
from services.api.outlets.opcua.dispatch import Dispatcher
from services.api.outlets.opcua.sessions import caller

_CODES: Final = {
    "": ua.StatusCodes.Good,
    "nothing_to_acknowledge": ua.StatusCodes.BadConditionBranchAlreadyAcked,
    "raised_since": ua.StatusCodes.BadEventIdUnknown,
    "already_shelved": ua.StatusCodes.BadConditionAlreadyShelved,
    "not_shelved": ua.StatusCodes.BadConditionNotShelved,
    "too_long": ua.StatusCodes.BadShelvingTimeOutOfRange,
    "not_latched": ua.StatusCodes.BadConditionBranchAlreadyConfirmed,
    "unknown_alarm": ua.StatusCodes.BadNodeIdUnknown,
    "reason_missing": ua.StatusCodes.BadInvalidArgument,
}
"""Status codes for refusals; all others are an invalid state."""

_WITH_EVENT: Final = {
    ua.ObjectIds.ConditionType_AddComment: "comment",
    ua.ObjectIds.AcknowledgeableConditionType_Acknowledge: "acknowledge",
    ua.ObjectIds.AcknowledgeableConditionType_Confirm: "reset",
}
_WITHOUT: Final = {
    ua.ObjectIds.AlarmConditionType_Reset: "reset",
    ua.ObjectIds.AlarmConditionType_Suppress: "suppress",
    ua.ObjectIds.AlarmConditionType_Unsuppress: "unsuppress",
    ua.ObjectIds.AlarmConditionType_RemoveFromService: "take_out_of_service",
    ua.ObjectIds.AlarmConditionType_PlaceInService: "return_to_service",
    ua.ObjectIds.ShelvedStateMachineType_Unshelve: "unshelve",
    ua.ObjectIds.AlarmConditionType_ShelvingState_Unshelve: "unshelve",
}
_TIMED: Final = (
    ua.ObjectIds.ShelvedStateMachineType_TimedShelve,
    ua.ObjectIds.AlarmConditionType_ShelvingState_TimedShelve,
)
MOST_WORDS: Final = 500
"""Longest comment that is kept; what is longer is cut."""
MOST_SHELVED_MS: Final = 365 * 86_400_000.0
_REASON: Final = "over OPC UA, without a comment"

log = logger("api")

Method = Callable[..., Awaitable[Any]]


class Methods:
    """What clients may call. `install` binds it to the methods of the types, which instances refer to."""

    def __init__(self, iserver: Any, alarms: Conditions, desk: AlarmDesk | None, dispatcher: Dispatcher) -> None:
        self._iserver, self._alarms, self._desk, self._dispatcher = iserver, alarms, desk, dispatcher

    def install(self) -> None:
        """Bind the methods."""
        bound: dict[int, Method] = {
            ua.ObjectIds.ConditionType_ConditionRefresh: self._refresh,
            ua.ObjectIds.ConditionType_ConditionRefresh2: self._refresh,
        }
        bound.update({number: self._with_event(command) for number, command in _WITH_EVENT.items()})
        bound.update({number: self._without(command) for number, command in _WITHOUT.items()})
        bound.update(dict.fromkeys(_TIMED, self._timed_shelve))
        for number, method in bound.items():
            self._iserver.isession.add_method_callback(ua.NodeId(number, 0), method)

    def _with_event(self, command: str) -> Method:
        async def method(parent: Any, *arguments: Any) -> Any:
            if len(arguments) != 2:
                return ua.StatusCode(ua.StatusCodes.BadArgumentsMissing)
            alarm = self._alarm(parent)
            news = None if alarm is None else self._alarms.get(alarm)
            if alarm is None or news is None:
                return ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown)
            number = number_of(alarm, arguments[0].Value)
            if number is None or number > news.number:
                return ua.StatusCode(ua.StatusCodes.BadEventIdUnknown)
            text = str(getattr(arguments[1].Value, "Text", None) or "")[:MOST_WORDS]
            return await self._order(Wish(alarm, command, reason=text, upto=number))

        return method

    def _without(self, command: str) -> Method:
        async def method(parent: Any, *arguments: Any) -> Any:
            del arguments
            alarm = self._alarm(parent)
            if alarm is None:
                return ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown)
            return await self._order(Wish(alarm, command, reason=_REASON))

        return method

    async def _timed_shelve(self, parent: Any, *arguments: Any) -> Any:
        alarm = self._alarm(parent)
        if alarm is None:
            return ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown)
        if len(arguments) != 1:
            return ua.StatusCode(ua.StatusCodes.BadArgumentsMissing)
        wanted_ms = arguments[0].Value
        if not isinstance(wanted_ms, int | float) or not 0 < wanted_ms <= MOST_SHELVED_MS:
            return ua.StatusCode(ua.StatusCodes.BadShelvingTimeOutOfRange)
        return await self._order(Wish(alarm, "shelve", reason=_REASON, duration_s=wanted_ms / 1e3))

    async def _order(self, wish: Wish) -> Any:
        session = caller.get()
        if self._desk is None or session is None or not session.may_operate:
            return ua.StatusCode(ua.StatusCodes.BadUserAccessDenied)
        try:
            answer = await self._desk.carry_out(wish, session.actor)
        except DyncalError as error:
            log.warning("command_failed", alarm=wish.alarm, command=wish.command, error=str(error))
            return ua.StatusCode(ua.StatusCodes.BadResourceUnavailable)
        return ua.StatusCode(code_of(answer))

    def _alarm(self, node: Any) -> str | None:
        """Return the alarm of a condition's node, or of its shelving state."""
        identifier = node.Identifier if isinstance(node.Identifier, str) else ""
        kind, _, rest = identifier.partition("/")
        alarm = rest.removesuffix("/ShelvingState")
        return alarm if kind == "alarm" and self._alarms.get(alarm) is not None else None

    async def _refresh(self, parent: Any, *arguments: Any) -> Any:
        del parent
        numbers: Sequence[Any] = [argument.Value for argument in arguments]
        if len(numbers) not in (1, 2):
            return ua.StatusCode(ua.StatusCodes.BadArgumentsMissing)
        session, subscriptions = caller.get(), self._iserver.subscription_service.subscriptions
        subscription = subscriptions.get(numbers[0])
        if subscription is None or session is None or subscription.session_id != session.session_id:
            return ua.StatusCode(ua.StatusCodes.BadSubscriptionIdInvalid)
        item = numbers[1] if len(numbers) == 2 else None
        known = subscription.monitored_item_srv._monitored_items  # noqa: SLF001 - asyncua offers no other way
        if item is not None and item not in known:
            return ua.StatusCode(ua.StatusCodes.BadMonitoredItemIdInvalid)
        await self._dispatcher.refresh(subscription, self._alarms.retained(), item)
        return []


def code_of(answer: Answer) -> int:
    """Return the status code of an answer."""
    return int(_CODES.get(answer.refusal, ua.StatusCodes.BadInvalidState))

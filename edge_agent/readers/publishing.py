"""The notification messages of a subscription, in their order, each asked for again where it did not arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final, Protocol

from asyncua import ua
from asyncua.client.ua_session import UaSession

from dyncal.domain.errors import Unavailable

_WAITING: Final = 3
_NUMBERS: Final = 2**32 - 1  # numbers go from 1 to this, and from there to 1 (OPC 10000-4, 7.26)
_MOST_MISSING: Final = 10_000


class Take(Protocol):
    """Is given a notification message with data."""

    def __call__(self, message: Any, done: Callable[[], None], *, holed: bool) -> Awaitable[None]:
        """Take it; `done` is to be called once nothing of it can be lost any more, `holed`: some before it are lost."""
        ...


class SubscriptionLost(Unavailable):
    """The server has no such subscription any more."""


class Publishing:
    """Publishes one subscription, over connections that come and go.

    Parameters
    ----------
    subscription : int
        Identifier that the server gave.
    take : callable
        Gets the messages with data in their order, one at a time. The server is told to forget a message only when
        the call that goes with it was made: until then it can be asked for again, also by a later connection.
    heard : callable
        Is told of each answer of the server, also of those without data.
    """

    def __init__(self, subscription: int, take: Take, heard: Callable[[], None]) -> None:
        self.subscription = subscription
        self._take, self._heard = take, heard
        self._last = 0
        self._acknowledge: list[int] = []
        self._in_order = asyncio.Lock()
        self._holed = False
        self.n_republished = 0
        self.n_missing = 0

    @property
    def last(self) -> int:
        """Number of the newest message; 0 before the first."""
        return self._last

    def inherit(self, available: Iterable[int]) -> None:
        """Begin with what the server still has for a subscription of a former life: numbers of its messages."""
        numbers = list(available)
        self._last = (min(numbers) - 2) % _NUMBERS + 1 if numbers else 0

    async def run(self, session: UaSession) -> None:
        """Keep publish requests waiting at the server, until one fails.

        Raises
        ------
        SubscriptionLost
            If the subscription is gone.
        OSError, asyncua.ua.UaError
            If the connection or the session is.
        """
        async with asyncio.TaskGroup() as group:
            for _ in range(_WAITING):
                group.create_task(self._ask(session))

    async def recover(self, session: UaSession) -> int:
        """Ask for the messages after the last until the server has no more; return how many came.

        To be called after a reconnection, before `run`. Raises as that does.
        """
        before = self.n_republished
        while await self._republish(session, _after(self._last)):
            pass
        return self.n_republished - before

    async def _ask(self, session: UaSession) -> None:
        while True:
            acknowledged, self._acknowledge = self._acknowledge, []
            try:
                answer = await session.publish(
                    [ua.SubscriptionAcknowledgement(self.subscription, number) for number in acknowledged]
                )
            except ua.uaerrors.BadTimeout:
                continue
            except ua.uaerrors.BadTooManyPublishRequests:
                return
            except (ua.uaerrors.BadNoSubscription, ua.uaerrors.BadSubscriptionIdInvalid) as error:
                raise SubscriptionLost(str(error)) from error
            self._heard()
            async with self._in_order:
                await self._arrived(session, answer.Parameters)
            del answer  # all its values, until the next one comes: megabytes where arrays are read

    async def _arrived(self, session: UaSession, result: Any) -> None:
        if result.SubscriptionId != self.subscription:
            return
        message = result.NotificationMessage
        n_missing = (message.SequenceNumber - _after(self._last)) % _NUMBERS if self._last else 0
        if n_missing >= _NUMBERS // 2:  # an older one, delivered again
            if message.NotificationData:
                self._acknowledge.append(message.SequenceNumber)
            return
        for _ in range(min(n_missing, _MOST_MISSING)):
            number = _after(self._last)
            if not await self._republish(session, number):
                self.n_missing += 1
                self._holed = True
                self._last = number
        if message.NotificationData:  # a keep-alive only says which number comes next
            await self._accept(message)

    async def _republish(self, session: UaSession, number: int) -> bool:
        try:
            message = await session.republish(self.subscription, number)
        except (ua.uaerrors.BadMessageNotAvailable, ua.uaerrors.BadSequenceNumberUnknown):
            return False
        except (ua.uaerrors.BadSubscriptionIdInvalid, ua.uaerrors.BadNoSubscription) as error:
            raise SubscriptionLost(str(error)) from error
        if message.SequenceNumber != number:
            return False
        self.n_republished += 1
        await self._accept(message)
        return True

    async def _accept(self, message: Any) -> None:
        done = partial(self._safe, message.SequenceNumber)
        await self._take(message, done, holed=self._holed)
        self._holed = False
        self._last = message.SequenceNumber

    def _safe(self, number: int) -> None:
        self._acknowledge.append(number)


def _after(number: int) -> int:
    return number % _NUMBERS + 1

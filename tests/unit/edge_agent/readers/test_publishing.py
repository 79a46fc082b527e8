"""The order, the numbers and the acknowledgements of notification messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.readers.publishing import Publishing, SubscriptionLost, Take

SUBSCRIPTION = 7
LARGEST = 2**32 - 1
_TURNS = 300  # of the event loop: three for each of the 30 messages of a test, at most


def message(number: int, *, data: bool = True) -> Any:
    return SimpleNamespace(SequenceNumber=number, NotificationData=[number] if data else [])


class Server:
    """Answers publish requests from a list, and republishes what it keeps; at the end of the list it is gone."""

    def __init__(self, answers: Sequence[Any], keeps: Sequence[int] = ()) -> None:
        self.answers = list(answers)
        self.keeps = set(keeps)
        self.acknowledged: list[int] = []
        self.asked: list[int] = []

    async def publish(self, acknowledgements: list[Any]) -> Any:
        await asyncio.sleep(0)
        self.acknowledged += [a.SequenceNumber for a in acknowledgements]
        if not self.answers:
            for _ in range(_TURNS):  # what was answered before is dealt with, however slow the machine is
                await asyncio.sleep(0)
            raise ConnectionError("gone")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(Parameters=SimpleNamespace(SubscriptionId=SUBSCRIPTION, NotificationMessage=answer))

    async def republish(self, subscription: int, number: int) -> Any:
        await asyncio.sleep(0)
        assert subscription == SUBSCRIPTION
        self.asked.append(number)
        if number not in self.keeps:
            raise ua.uaerrors.BadMessageNotAvailable
        return message(number)


def into(got: list[int], holes: list[int] | None = None) -> Take:
    """Take messages, and have each safe at once."""

    async def take(message: Any, done: Callable[[], None], *, holed: bool) -> None:
        got.append(message.SequenceNumber)
        if holed and holes is not None:
            holes.append(message.SequenceNumber)
        done()

    return take


async def taken(server: Server, publishing: Publishing | None = None) -> list[int]:
    """What is handed over until the server is gone."""
    got: list[int] = []
    now = publishing or Publishing(SUBSCRIPTION, into(got), lambda: None)
    with pytest.raises(ExceptionGroup) as caught:
        await now.run(server)
    assert caught.group_contains(ConnectionError)
    return got


async def test_messages_are_handed_over_in_order_and_acknowledged() -> None:
    server = Server([message(k) for k in range(1, 40)])
    assert await taken(server) == list(range(1, 40))
    assert server.acknowledged == list(range(1, len(server.acknowledged) + 1))
    assert len(server.acknowledged) >= 36  # the last ones had no request to travel with
    assert server.asked == []


async def test_what_is_missing_in_between_is_asked_for_before_what_follows() -> None:
    server = Server([message(1), message(2), message(5), message(6)], keeps=(3, 4))
    assert await taken(server) == [1, 2, 3, 4, 5, 6]


async def test_what_the_server_no_longer_has_is_counted_and_passed_over() -> None:
    got: list[int] = []
    holes: list[int] = []
    publishing = Publishing(SUBSCRIPTION, into(got, holes), lambda: None)
    server = Server([message(1), message(4), message(5)], keeps=(3,))
    await taken(server, publishing)
    assert got == [1, 3, 4, 5]
    assert holes == [3]  # what comes first after a hole is told so
    assert publishing.n_missing == 1
    assert publishing.n_republished == 1


async def test_a_keep_alive_names_the_next_number_and_so_what_was_lost() -> None:
    server = Server([message(1), message(2, data=False), message(4, data=False), message(4)], keeps=(2, 3))
    assert await taken(server) == [1, 2, 3, 4]


async def test_an_older_message_is_not_handed_over_twice_but_acknowledged() -> None:
    server = Server([message(1), message(2), message(1), message(3), message(4, data=False)])
    assert await taken(server) == [1, 2, 3]
    assert server.acknowledged.count(1) == 2


async def test_numbers_go_round() -> None:
    got: list[int] = []
    publishing = Publishing(SUBSCRIPTION, into(got), lambda: None)
    server = Server([message(LARGEST - 1), message(LARGEST), message(2)], keeps=(1,))
    await taken(server, publishing)
    assert got == [LARGEST - 1, LARGEST, 1, 2]


async def test_after_a_reconnection_all_that_the_server_keeps_is_asked_for() -> None:
    got: list[int] = []
    publishing = Publishing(SUBSCRIPTION, into(got), lambda: None)
    await taken(Server([message(1), message(2)]), publishing)
    again = Server([message(6)], keeps=(1, 2, 3, 4, 5))
    assert await publishing.recover(again) == 3
    await taken(again, publishing)
    assert got == [1, 2, 3, 4, 5, 6]
    assert {3, 4, 5} <= set(again.acknowledged)


@pytest.mark.parametrize("error", [ua.uaerrors.BadNoSubscription, ua.uaerrors.BadSubscriptionIdInvalid])
async def test_a_subscription_that_is_gone_is_told_from_a_connection_that_is(error: type[Exception]) -> None:
    publishing = Publishing(SUBSCRIPTION, into([]), lambda: None)
    with pytest.raises(ExceptionGroup) as caught:
        await publishing.run(Server([message(1), error()]))
    assert caught.group_contains(SubscriptionLost)


async def test_a_server_that_takes_fewer_requests_and_one_that_lets_them_time_out_are_served() -> None:
    errors = (ua.uaerrors.BadTooManyPublishRequests(), ua.uaerrors.BadTimeout())
    server = Server([message(1), *errors, message(2), message(3)])
    assert await taken(server) == [1, 2, 3]


@given(lost=st.sets(st.integers(2, 29)), forgotten=st.sets(st.integers(2, 29)))
def test_whatever_is_lost_on_the_way_comes_once_and_in_order(lost: set[int], forgotten: set[int]) -> None:
    server = Server([message(k) for k in range(1, 31) if k not in lost], keeps=sorted(set(range(1, 31)) - forgotten))
    assert asyncio.run(taken(server)) == [k for k in range(1, 31) if k not in lost & forgotten]


async def test_only_what_is_safe_is_acknowledged_and_on_whatever_connection() -> None:
    waiting: list[Callable[[], None]] = []

    async def keep(message: Any, done: Callable[[], None], *, holed: bool) -> None:
        del message, holed
        waiting.append(done)

    publishing = Publishing(SUBSCRIPTION, keep, lambda: None)
    server = Server([message(k) for k in range(1, 10)])
    await taken(server, publishing)
    assert len(waiting) == 9
    assert server.acknowledged == []
    for done in waiting[:4]:
        done()
    again = Server([message(10), message(11)])
    await taken(again, publishing)
    assert again.acknowledged == [1, 2, 3, 4]

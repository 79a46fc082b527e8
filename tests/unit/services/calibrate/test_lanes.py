from __future__ import annotations

import asyncio

import pytest

from dyncal.domain.time import InstantNs
from services.calibrate.events import Tick
from services.calibrate.lanes import Lane, Lanes, Waiting
from services.calibrate.worker import Arrived


def tick(n: int) -> Waiting:
    return Waiting(Tick(InstantNs(n)))


async def test_the_first_lane_passes_the_other_by_and_each_keeps_its_order() -> None:
    lanes = Lanes(8)
    for n in range(3):
        await lanes.put(tick(n), Lane.BULK)
    for n in range(10, 12):
        await lanes.put(tick(n))
    assert await lanes.take(4) == [tick(10), tick(11), tick(0), tick(1)]
    assert len(lanes) == 1
    assert lanes.empty() == [tick(2)]


async def test_a_full_lane_makes_wait_and_the_other_does_not_care() -> None:
    lanes = Lanes(1)
    await lanes.put(tick(0), Lane.BULK)
    second = asyncio.create_task(lanes.put(tick(1), Lane.BULK))
    await asyncio.sleep(0)
    assert not second.done()
    await lanes.put(tick(2))
    assert await lanes.take(8) == [tick(2), tick(0)]
    await second
    assert await lanes.take(8) == [tick(1)]


async def test_taking_waits_for_something() -> None:
    lanes = Lanes(4)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await lanes.take(1)
    taking = asyncio.create_task(lanes.take(1))
    await lanes.put(tick(5))
    assert await taking == [tick(5)]


async def test_what_is_only_offered_does_not_wait_for_room() -> None:
    lanes = Lanes(1)
    assert lanes.offer(tick(0), Lane.BULK)
    assert not lanes.offer(tick(1), Lane.BULK)
    assert await lanes.take(9) == [tick(0)]
    assert lanes.offer(tick(2), Lane.BULK)


async def test_of_two_that_wait_the_slower_one_gets_nothing() -> None:
    lanes = Lanes(4)
    first, second = (asyncio.create_task(lanes.take(9)) for _ in range(2))
    await asyncio.sleep(0)
    await lanes.put(tick(0))
    await lanes.put(tick(1))
    assert [await first, await second] == [[tick(0), tick(1)], []]


async def test_what_is_sifted_leaves_the_rest_in_order_and_makes_room() -> None:
    lanes = Lanes(4)
    for n in range(4):
        await lanes.put(tick(n), Lane.BULK)
    waits = asyncio.create_task(lanes.put(tick(9), Lane.BULK))
    await asyncio.sleep(0)
    assert lanes.full(Lane.BULK)
    assert lanes.sift(Lane.BULK, lambda item: item in (tick(1), tick(3))) == [tick(0), tick(2)]
    await waits
    assert lanes.empty() == [tick(1), tick(3), tick(9)]


async def test_what_was_sifted_to_nothing_is_waited_for_again() -> None:
    lanes = Lanes(4)
    await lanes.put(tick(0), Lane.BULK)
    lanes.sift(Lane.BULK, lambda _: False)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await lanes.take(1)


async def test_a_lane_is_bounded_in_bytes_too() -> None:
    lanes = Lanes(100, n_bytes=30)
    message = Waiting(Arrived("topic", bytes(20)))
    assert lanes.offer(message, Lane.BULK)
    assert lanes.offer(message, Lane.BULK)  # one may go beyond, whatever its size
    assert not lanes.offer(message, Lane.BULK)
    assert lanes.offer(message, Lane.FIRST)
    lanes.empty()
    assert lanes.offer(message, Lane.BULK)

from __future__ import annotations

import asyncio
from pathlib import Path

from dyncal.domain.time import InstantNs
from dyncal.runtime.clocks import SystemClock
from services.api.outlets.courier import Courier
from services.api.outlets.metrics import OutletMetrics
from services.api.outlets.news import Filter
from services.api.outlets.queue import OutletQueue
from tests.unit.services.api.outlets.alarms import FakeFeed, picture


class Deaf(Courier):
    """Takes a cancellation for a lost connection, as libraries do."""

    sending = False

    async def _send(self, now: InstantNs) -> float:
        del now
        self.sending = True
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return 0.0
        return 0.0


class Slow(Courier):
    """Takes its time."""

    async def _send(self, now: InstantNs) -> float:
        del now
        self._say("503 \x1b[31mred\r\nforged line")
        await asyncio.sleep(60)
        return 0.0


class Broken(Courier):
    """Fails at the first attempt in a way that nobody has thought of."""

    n = 0

    async def _send(self, now: InstantNs) -> float:
        del now
        self.n += 1
        raise RuntimeError("whatever")


def made(kind: type[Courier], tmp_path: Path) -> tuple[Courier, OutletQueue]:
    queue = OutletQueue(tmp_path / "q.sqlite")
    return kind("t", "here", Filter(), queue, FakeFeed(), SystemClock(), OutletMetrics()), queue


async def test_a_cancellation_that_is_swallowed_ends_it_all_the_same(tmp_path: Path) -> None:
    courier, queue = made(Deaf, tmp_path)
    task = asyncio.create_task(courier.run())
    while not getattr(courier, "sending", False):
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait_for(asyncio.wait({task}), 2)
    assert task.done()
    queue.close()


async def test_what_waits_is_known_during_an_attempt_and_a_fault_holds_no_control_characters(tmp_path: Path) -> None:
    courier, queue = made(Slow, tmp_path)
    feed = courier._feed
    assert isinstance(feed, FakeFeed)
    feed.stand = [picture(1), picture(2, "TT-102")]
    task = asyncio.create_task(courier.run())
    async with asyncio.timeout(5):
        while courier.standing().n_waiting != 2:
            await asyncio.sleep(0.01)
        while not courier.fault:
            await asyncio.sleep(0.01)
    assert courier.standing().fault == "503 \ufffd[31mred\ufffd\ufffdforged line"
    task.cancel()
    await asyncio.wait({task})
    queue.close()


async def test_what_nobody_has_thought_of_is_said_and_tried_again(tmp_path: Path) -> None:
    courier, queue = made(Broken, tmp_path)
    task = asyncio.create_task(courier.run())
    while "whatever" not in courier.fault:
        await asyncio.sleep(0.01)
    courier.wake()
    while getattr(courier, "n", 0) < 2:
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait({task})
    queue.close()

"""Holes of a subscription, and the history of a server that closes them or does not."""

from __future__ import annotations

import asyncio
import bisect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from asyncua import ua

from dyncal.domain.sensors import SensorId
from dyncal.domain.time import DurationNs, InstantNs, to_datetime
from dyncal.runtime.clocks import SystemClock
from edge_agent.aside import Unreadable
from edge_agent.events import Event, Notice, SamplesRead
from edge_agent.readers.backfill import AT_ONCE, Backfill
from edge_agent.readers.feed import Feed
from edge_agent.readers.values import Item, Part, instant_of

SENSOR = SensorId("A")
DT = 10_000_000
T0 = 1_700_000_000_000_000_000
OVERFLOW = 0x0480
ITEM = Item(SENSOR, DurationNs(DT), DurationNs(3 * DT // 2), array=False, node_id=ua.NodeId("A", 2))


class Records:
    """A sink that keeps what it takes, and settles receipts when told to."""

    def __init__(self, newest: int | None) -> None:
        self.reads: list[SamplesRead] = []
        self._newest = newest

    def take(self, events: Iterable[Event]) -> None:
        self.reads += [event for event in events if isinstance(event, SamplesRead)]

    def newest(self, sensor: SensorId) -> InstantNs | None:
        assert sensor.startswith(SENSOR)
        return None if self._newest is None else InstantNs(self._newest)

    def notice(self, notice: Notice) -> None:
        raise AssertionError(notice)

    def set_aside(self, message: Unreadable, sensor: SensorId | None) -> None:
        raise AssertionError(message, sensor)

    @property
    def ks(self) -> list[int]:
        return [(t - T0) // DT for read in self.reads for t in read.t_ns.tolist()]


class Historian:
    """A session whose server remembers samples, a page at a time; `silent` pages end without word of more."""

    def __init__(self, ks: Sequence[int], *, page: int = 3, silent: bool = False, fails: Sequence[Any] = ()) -> None:
        self.at = [to_datetime(T0 + k * DT) for k in ks]
        self.page, self.silent = page, silent
        self.fails = list(fails)
        self.n_asked = 0

    async def history_read(self, parameters: Any) -> list[Any]:
        self.n_asked += 1
        await asyncio.sleep(0)
        if self.fails and (failure := self.fails.pop(0)) is not None:
            raise failure
        details, (node,) = parameters.HistoryReadDetails, parameters.NodesToRead
        first = bisect.bisect_left(self.at, details.StartTime)
        if node.ContinuationPoint:
            first = int(node.ContinuationPoint)
        last = bisect.bisect_right(self.at, details.EndTime)
        chosen = self.at[first : min(first + self.page, last)]
        more = first + len(chosen) < last and not self.silent
        data = [
            ua.DataValue(ua.Variant(1.0), SourceTimestamp=moment, ServerTimestamp=moment + timedelta(seconds=1))
            for moment in chosen
        ]
        return [
            SimpleNamespace(
                StatusCode=ua.StatusCode(0),
                HistoryData=SimpleNamespace(DataValues=data),
                ContinuationPoint=str(first + len(chosen)).encode() if more else None,
            )
        ]


class Scene:
    def __init__(self, historian: Historian, newest: int | None = 0) -> None:
        self.sink = Records(None if newest is None else T0 + newest * DT)
        self.feed = Feed(self.sink, SystemClock())
        self.backfill = Backfill(self.feed, SystemClock(), lambda: None)
        self.backfill.begin(historian)
        self.acknowledged = 0

    def _done(self) -> None:
        self.acknowledged += 1

    async def brings(self, ks: Sequence[int], codes: dict[int, int] | None = None, *, holed: bool = False) -> None:
        """Let a message bring these samples."""
        marks = {} if codes is None else codes
        t_ns = np.array([T0 + k * DT for k in ks], np.int64)
        part = Part(SENSOR, t_ns, np.ones(len(ks)), np.array([marks.get(k, 0) for k in ks], np.uint32))
        if self.backfill.wanted(ITEM, part, holed=holed):
            part = await self.backfill.complete(ITEM, part, holed=holed)
        self.feed.deliver([part], self._done)

    @property
    def codes(self) -> dict[int, int]:
        return {
            (int(t) - T0) // DT: int(code)
            for read in self.sink.reads
            for t, code in zip(read.t_ns, read.codes, strict=True)
            if code
        }


@pytest.mark.parametrize("silent", [False, True])
async def test_everything_since_the_last_life_is_read_page_by_page(silent: bool) -> None:
    scene = Scene(Historian(range(-5, 20), silent=silent), newest=4)
    await scene.backfill.up_to_now(ITEM)
    assert scene.sink.ks == list(range(5, 20))
    assert all(read.from_history for read in scene.sink.reads)


async def test_nothing_is_read_of_a_sensor_that_is_new() -> None:
    historian = Historian(range(20))
    await Scene(historian, newest=None).backfill.up_to_now(ITEM)
    assert historian.n_asked == 0


async def test_what_was_read_from_history_is_passed_over_when_the_subscription_brings_it() -> None:
    scene = Scene(Historian(range(20)))
    await scene.backfill.up_to_now(ITEM)
    await scene.brings([17, 18, 19])
    assert scene.acknowledged == 1  # of nothing that is new
    await scene.brings([19, 20, 21])
    await scene.brings([22])
    assert scene.sink.ks == list(range(1, 23))


async def test_an_overflow_is_filled_before_what_follows_it() -> None:
    scene = Scene(Historian(range(50)))
    await scene.brings([1, 2, 9, 10, 14], {9: OVERFLOW, 14: OVERFLOW})
    assert scene.sink.ks == list(range(1, 15))
    assert scene.codes == {}
    for read in scene.sink.reads:
        if read.receipt is not None:
            read.receipt.settle()  # type: ignore[attr-defined]  # what the feed made
    assert scene.acknowledged == 1


async def test_what_the_history_lacks_stays_an_overflow() -> None:
    scene = Scene(Historian([1, 2, 3, 4]))
    await scene.brings([9, 10], {9: OVERFLOW})
    assert scene.sink.ks == [1, 2, 3, 4, 9, 10]
    assert scene.codes == {9: OVERFLOW}


async def test_a_lost_message_is_filled_however_short_the_hole() -> None:
    scene = Scene(Historian([0, 1, 2]))
    await scene.brings([1])
    scene.feed.deliver_history(ITEM, Part(SENSOR, np.array([T0 + DT + 1000]), np.ones(1), np.zeros(1, np.uint32)))
    historian = Historian([2])
    scene.backfill.begin(historian)
    await scene.brings([3], holed=True)
    assert historian.n_asked > 0
    assert (T0 + 2 * DT) in [t for read in scene.sink.reads for t in read.t_ns.tolist()]


async def test_a_gap_is_looked_up_and_a_source_that_is_often_silent_ever_less() -> None:
    historian = Historian([])
    scene = Scene(historian)
    for k in range(5, 5000, 5):
        await scene.brings([k])
    assert 1 <= historian.n_asked <= 12
    remembering = Historian(range(10_000))
    fruitful = Scene(remembering)
    for k in range(5, 500, 5):
        await fruitful.brings([k])
    assert fruitful.sink.ks == list(range(1, 496))


@pytest.mark.parametrize(
    "error", [ua.uaerrors.BadServiceUnsupported(), ua.uaerrors.BadHistoryOperationUnsupported(), ValueError("no node")]
)
async def test_a_server_without_history_is_asked_once(error: Exception) -> None:
    historian = Historian([], fails=[error] * 10)
    scene = Scene(historian)
    await scene.backfill.up_to_now(ITEM)
    await scene.brings([9], {9: OVERFLOW})
    assert historian.n_asked == 1
    assert scene.codes == {9: OVERFLOW}


@pytest.mark.parametrize("error", [ConnectionError, ua.uaerrors.BadSessionIdInvalid, ua.uaerrors.BadConnectionClosed])
async def test_a_lost_connection_is_not_taken_for_a_server_without_history(error: Callable[[], Exception]) -> None:
    historian = Historian(range(10), fails=[None, error()])
    scene = Scene(historian)
    with pytest.raises((ConnectionError, ua.UaError)):
        await scene.backfill.up_to_now(ITEM)
    scene.backfill.begin(historian)
    await scene.backfill.up_to_now(ITEM)
    assert scene.sink.ks == list(range(1, 10))


async def test_a_server_that_never_answers_for_its_history_is_read_without_it() -> None:
    scene = Scene(Historian(range(10), fails=[TimeoutError()] * 9))
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await scene.backfill.up_to_now(ITEM)
    await scene.backfill.up_to_now(ITEM)
    await scene.brings([11])
    assert scene.sink.ks == [11]


def test_history_is_asked_for_to_the_microsecond() -> None:
    assert instant_of(to_datetime(T0 + 1_999)) == T0 + 1_000


async def test_many_nodes_are_read_some_at_once() -> None:
    class Slow(Historian):
        under_way = most = 0

        async def history_read(self, parameters: Any) -> list[Any]:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            await asyncio.sleep(0.001)
            self.under_way -= 1
            return await super().history_read(parameters)

    historian = Slow(range(10))
    scene = Scene(historian)
    await scene.backfill.all_up_to_now([replace(ITEM, sensor=SensorId(f"A{k}")) for k in range(100)])
    found = [(read.sensor, (t - T0) // DT) for read in scene.sink.reads for t in read.t_ns.tolist()]
    assert sorted(found) == sorted((f"A{k}", n) for k in range(100) for n in range(1, 10))
    assert historian.most == AT_ONCE
    for k in range(100):  # each in its order
        mine = [n for sensor, n in found if sensor == f"A{k}"]
        assert mine == sorted(mine)


async def test_answers_that_stay_away_together_are_one_timeout() -> None:
    class Deaf(Historian):
        async def history_read(self, parameters: Any) -> list[Any]:
            self.n_asked += 1
            await asyncio.sleep(0.01)
            raise TimeoutError

    scene = Scene(Deaf([]))
    items = [replace(ITEM, sensor=SensorId(f"A{k}")) for k in range(20)]
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await scene.backfill.all_up_to_now(items)
    await scene.backfill.all_up_to_now(items)

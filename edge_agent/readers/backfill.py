"""What a server's history holds of the time in which nobody was subscribed (OPC 10000-11, ReadRaw)."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final

import numpy as np
from asyncua import ua
from asyncua.client.ua_session import UaSession

from dyncal.domain import quality
from dyncal.domain.quality import has_overflow
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import DurationNs, InstantNs, to_datetime
from dyncal.ports.clock import Clock
from edge_agent.readers.feed import Feed
from edge_agent.readers.session import CONNECTION_LOST
from edge_agent.readers.together import each
from edge_agent.readers.values import Gathered, Item, Part

_PAGE: Final = 10_000
_MICROSECOND: Final = datetime.timedelta(microseconds=1)
_MOST_PAGES: Final = 10_000
_AHEAD: Final = DurationNs(86_400 * 1_000_000_000)  # a server's clock may be ahead of ours
_MOST_TIMEOUTS: Final = 3
AT_ONCE: Final = 8
"""Requests under way: thousands of nodes one by one are thousands of times the way to the server and back."""
_LONGEST_PAUSE: Final = 1023  # gaps
_OVERFLOW: Final = np.uint32(quality.OVERFLOW_BITS)


class Backfill:
    """Fills holes in what a subscription brought, as far as the server remembers.

    Parameters
    ----------
    feed : Feed
        Gets what is found.
    heard : callable
        Is told of each answer of the server.
    """

    def __init__(self, feed: Feed, clock: Clock, heard: Callable[[], None]) -> None:
        self._session: UaSession | None = None
        self._feed = feed
        self._clock = clock
        self._heard = heard
        self._forgetful: set[SensorId] = set()
        self._n_timeouts = 0
        self._timed_out_s = float("-inf")
        self._fruitless: dict[SensorId, int] = {}
        self._pauses: dict[SensorId, int] = {}
        self.n_values = 0

    def begin(self, session: UaSession) -> None:
        """Go on with a new connection; what kept no history may keep one now."""
        self._session = session
        self._forgetful.clear()
        self.n_values = 0

    def without(self, sensors: Iterable[SensorId]) -> None:
        """Take note of sensors of which the server keeps no history."""
        self._forgetful |= set(sensors)

    async def up_to_now(self, item: Item) -> None:
        """Read what is newer than the newest sample; nothing of a sensor that never had one."""
        await self._fill(item, InstantNs(self._clock.now() + _AHEAD))

    async def all_up_to_now(self, items: Iterable[Item]) -> None:
        """Do as `up_to_now` for many."""
        await each(self.up_to_now, items, AT_ONCE)

    def wanted(self, item: Item, part: Part, *, holed: bool) -> bool:
        """Tell whether `complete` has anything to do. Called for every part: must be quick."""
        if item.sensor in self._forgetful:
            return False
        newest = self._feed.newest(item.sensor)
        if newest is None:
            return False
        if part.t_ns.size == 1 and not holed and int(part.t_ns[0]) - newest <= item.longest_ns:
            return has_overflow(int(part.codes[0]))
        return bool(self._holes(item, part, newest, holed=holed))

    async def complete(self, item: Item, part: Part, *, holed: bool) -> Part:
        """Read what is missing before samples of a part, deliver all up to the last such place; return the rest.

        What is missing before a sample is known by its overflow bit, by `holed` of the first, and suspected where the
        step to it is a gap. Where the history closes a hole, the sample behind it does not tell of one any more.
        """
        done = 0
        codes = part.codes.copy()
        newest = self._feed.newest(item.sensor)
        for k in [] if newest is None else self._holes(item, part, newest, holed=holed):
            if done < k:
                self._feed.deliver([part.cut(slice(done, k))._replace(codes=codes[done:k])])
                done = k
            instant = InstantNs(int(part.t_ns[k]))
            n_before = self.n_values
            if await self._fill(item, instant) and self._closed(item, instant):
                codes[k] = _without_overflow(codes[k])
            self._learn(item.sensor, fruitful=self.n_values > n_before)
        return part.cut(slice(done, None))._replace(codes=codes[done:])

    def _holes(self, item: Item, part: Part, newest: InstantNs, *, holed: bool) -> list[int]:
        """Return the positions of samples before which some are missing."""
        missing = (part.codes & _OVERFLOW) == _OVERFLOW
        missing[0] |= holed
        suspected = np.diff(part.t_ns, prepend=newest) > item.longest_ns
        if suspected.any():
            pause = self._pauses.get(item.sensor, 0)
            if pause == 0:
                missing |= suspected
            else:
                self._pauses[item.sensor] = pause - 1
        return np.flatnonzero(missing).tolist()

    def _learn(self, sensor: SensorId, *, fruitful: bool) -> None:
        """Ask ever less often about gaps of which the history knows nothing: the source was silent."""
        known = 0 if fruitful else min(2 * self._fruitless.get(sensor, 0) + 1, _LONGEST_PAUSE)
        self._fruitless[sensor] = known
        self._pauses[sensor] = known

    def _closed(self, item: Item, instant: InstantNs) -> bool:
        newest = self._feed.newest(item.sensor)
        return newest is not None and instant - newest <= item.longest_ns

    async def _fill(self, item: Item, until_ns: InstantNs) -> bool:
        """Deliver what lies between the newest sample and `until_ns`; return whether the server keeps a history.

        Some servers give a limited number of values and no word of more: they are asked until there is nothing.
        """
        after_ns = self._feed.newest(item.sensor)
        while after_ns is not None and after_ns < until_ns and item.sensor not in self._forgetful:
            async for values in self._pages(item, after_ns, until_ns):
                self._deliver(item, values)
            before, after_ns = after_ns, self._feed.newest(item.sensor)
            if after_ns is None or after_ns <= before:
                break
        return item.sensor not in self._forgetful

    def _deliver(self, item: Item, values: list[Any]) -> None:
        gathered = Gathered(item)
        arrival_ns = self._clock.now()
        for value in values:
            gathered.add(value, arrival_ns)
        part = self._feed.part(gathered)
        if part is not None:
            self._feed.deliver_history(item, part)
        self.n_values += len(values)

    async def _pages(self, item: Item, after_ns: InstantNs, until_ns: InstantNs) -> AsyncIterator[list[Any]]:
        """Yield pages of a node's data values after one instant and before another, the oldest first.

        Raises
        ------
        OSError, TimeoutError, asyncua.ua.UaError
            If the connection is gone.
        """
        details = ua.ReadRawModifiedDetails(
            IsReadModified=False,
            StartTime=to_datetime(after_ns) + _MICROSECOND,
            EndTime=to_datetime(until_ns) - _MICROSECOND,  # some take it for a part of the range
            NumValuesPerNode=_PAGE,
            ReturnBounds=False,
        )
        point: bytes | None = None
        for _ in range(_MOST_PAGES):
            result = await self._read(details, item.node_id, point)
            self._heard()
            if result is None:
                self._forgetful.add(item.sensor)
                return
            values = getattr(result.HistoryData, "DataValues", None)
            if values:
                yield values
            point = result.ContinuationPoint
            if not point:
                return

    async def _read(self, details: Any, node_id: Any, point: bytes | None) -> Any | None:
        """Return a result; None where the server keeps no history of the node."""
        session = self._session
        if session is None:
            return None
        parameters = ua.HistoryReadParameters(
            HistoryReadDetails=details,
            TimestampsToReturn=ua.TimestampsToReturn.Both,
            ReleaseContinuationPoints=False,
            NodesToRead=[ua.HistoryReadValueId(NodeId=node_id, ContinuationPoint=point)],
        )
        asked_s = self._clock.monotonic_s()
        try:
            (result,) = await session.history_read(parameters)
        except (TimeoutError, ua.uaerrors.BadTimeout):  # a server that never answers this must still be read
            if asked_s >= self._timed_out_s:  # those that were under way together are one
                self._n_timeouts += 1
                self._timed_out_s = self._clock.monotonic_s()
            if self._n_timeouts <= _MOST_TIMEOUTS:
                raise
            return None
        except CONNECTION_LOST:
            raise
        except (ua.UaStatusCodeError, ValueError):  # no such service, or an answer for no node
            return None
        self._n_timeouts = 0
        return result if result.StatusCode.is_good() else None


def _without_overflow(code: np.uint32) -> np.uint32:
    return code & ~_OVERFLOW if code & _OVERFLOW == _OVERFLOW else code

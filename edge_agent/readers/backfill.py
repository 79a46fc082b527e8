"""What a server's history holds of the time in which nobody was subscribed (OPC 10000-11, ReadRaw)."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import numpy as np
from asyncua import ua
from asyncua.client.ua_session import UaSession

from dyncal.domain import quality
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import DurationNs, InstantNs, duration, to_datetime
from dyncal.ports.clock import Clock
from edge_agent.readers.feed import Feed
from edge_agent.readers.values import Gathered, Part
from edge_agent.source_settings import NodeSettings

_PAGE: Final = 10_000
_MICROSECOND: Final = datetime.timedelta(microseconds=1)
_MOST_PAGES: Final = 10_000
_AHEAD: Final = DurationNs(86_400 * 1_000_000_000)  # a server's clock may be ahead of ours
_MOST_TIMEOUTS: Final = 3
_CONNECTION: Final = (
    ua.uaerrors.BadCommunicationError,
    ua.uaerrors.BadConnectionClosed,
    ua.uaerrors.BadSecureChannelClosed,
    ua.uaerrors.BadSecureChannelIdInvalid,
    ua.uaerrors.BadServerHalted,
    ua.uaerrors.BadSessionClosed,
    ua.uaerrors.BadSessionIdInvalid,
    ua.uaerrors.BadShutdown,
)
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
        self._forgetful: set[Any] = set()
        self._n_timeouts = 0
        self.n_values = 0

    def begin(self, session: UaSession) -> None:
        """Go on with a new connection; what kept no history may keep one now."""
        self._session = session
        self._forgetful.clear()
        self.n_values = 0

    async def up_to_now(self, node: NodeSettings, node_id: Any) -> None:
        """Read what is newer than the newest sample; nothing of a sensor that never had one."""
        await self._fill(node, node_id, InstantNs(self._clock.now() + _AHEAD))

    async def complete(self, node: NodeSettings, node_id: Any, part: Part, holed: bool) -> Part:
        """Read what the queue dropped before samples of a part, deliver all up to the last such place; return the rest.

        `holed` says that something is missing before the first, too. Where the history closes a hole, the sample
        behind it does not tell of one any more.
        """
        done = 0
        codes = part.codes.copy()
        dropped = (codes & _OVERFLOW) == _OVERFLOW
        dropped[0] |= holed
        for k in np.flatnonzero(dropped).tolist():
            if done < k:
                self._feed.deliver([part.cut(slice(done, k))._replace(codes=codes[done:k])])
                done = k
            instant = InstantNs(int(part.t_ns[k]))
            if await self._fill(node, node_id, instant) and self._closed(node, instant):
                codes[k] = _without_overflow(codes[k])
        return part.cut(slice(done, None))._replace(codes=codes[done:])

    def _closed(self, node: NodeSettings, instant: InstantNs) -> bool:
        newest = self._feed.newest(SensorId(node.sensor))
        return newest is not None and instant - newest <= duration(node.longest_interval_s())

    async def _fill(self, node: NodeSettings, node_id: Any, until_ns: InstantNs) -> bool:
        """Deliver what lies between the newest sample and `until_ns`; return whether the server keeps a history."""
        after_ns = self._feed.newest(SensorId(node.sensor))
        if after_ns is None or node_id in self._forgetful:
            return False
        async for values in self._pages(node_id, after_ns, until_ns):
            gathered = Gathered(SensorId(node.sensor), duration(node.dt_s), node.array)
            arrival_ns = self._clock.now()
            for value in values:
                gathered.add(value, arrival_ns)
            part = self._feed.part(gathered)
            if part is not None:
                self._feed.deliver_history(part)
            self.n_values += len(values)
            self._heard()
        return node_id not in self._forgetful

    async def _pages(self, node_id: Any, after_ns: InstantNs, until_ns: InstantNs) -> AsyncIterator[list[Any]]:
        """Yield pages of a node's data values after one instant and before another, the oldest first.

        Raises
        ------
        OSError, TimeoutError, asyncua.ua.UaError
            If the connection is gone.
        """
        details = ua.ReadRawModifiedDetails(
            IsReadModified=False,
            StartTime=to_datetime(after_ns) + _MICROSECOND,
            EndTime=to_datetime(until_ns),
            NumValuesPerNode=_PAGE,
            ReturnBounds=False,
        )
        point: bytes | None = None
        for _ in range(_MOST_PAGES):
            result = await self._read(details, node_id, point)
            if result is None:
                self._forgetful.add(node_id)
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
        try:
            (result,) = await session.history_read(parameters)
        except _CONNECTION:
            raise
        except (TimeoutError, ua.uaerrors.BadTimeout):  # a server that never answers this must still be read
            self._n_timeouts += 1
            if self._n_timeouts <= _MOST_TIMEOUTS:
                raise
            return None
        except (ua.UaStatusCodeError, ValueError):  # no such service, or an answer for no node
            return None
        self._n_timeouts = 0
        return result if result.StatusCode.is_good() else None


def _without_overflow(code: np.uint32) -> np.uint32:
    return code & ~_OVERFLOW if code & _OVERFLOW == _OVERFLOW else code

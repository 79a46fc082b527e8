"""What a server's history holds of the time in which nobody was subscribed (OPC 10000-11, ReadRaw)."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from typing import Any, Final

from asyncua import ua
from asyncua.client.ua_session import UaSession

from dyncal.domain.time import InstantNs, to_datetime

_PAGE: Final = 10_000
_MICROSECOND: Final = datetime.timedelta(microseconds=1)
_MOST_PAGES: Final = 10_000


async def history(session: UaSession, node: Any, after_ns: InstantNs, until_ns: InstantNs) -> AsyncIterator[list[Any]]:
    """Yield pages of a node's data values after one instant and up to another, the oldest first.

    Nothing where the server keeps no history of the node.

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
        parameters = ua.HistoryReadParameters(
            HistoryReadDetails=details,
            TimestampsToReturn=ua.TimestampsToReturn.Both,
            ReleaseContinuationPoints=False,
            NodesToRead=[ua.HistoryReadValueId(NodeId=node, ContinuationPoint=point)],
        )
        try:
            (result,) = await session.history_read(parameters)
        except ua.UaStatusCodeError:  # no such service
            return
        if not result.StatusCode.is_good():
            return
        values = getattr(result.HistoryData, "DataValues", None)
        if values:
            yield values
        point = result.ContinuationPoint
        if not point:
            return

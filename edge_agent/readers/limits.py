"""Calls with many operations, in batches that the server takes (OPC 10000-5, OperationLimits)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from asyncua import ua
from asyncua.client.ua_session import UaSession

MOST: Final = 500
_TOO_MUCH: Final = (
    ua.uaerrors.BadEncodingLimitsExceeded,
    ua.uaerrors.BadRequestTooLarge,
    ua.uaerrors.BadResponseTooLarge,
    ua.uaerrors.BadTcpMessageTooLarge,
    ua.uaerrors.BadTooManyOperations,
)

In = TypeVar("In")
Out = TypeVar("Out")


class Limits:
    """How many operations a server takes in a call; learnt from its word and from its refusals."""

    def __init__(self) -> None:
        self._most: dict[int, int] = {}

    async def read(self, session: UaSession) -> None:
        """Ask the server; what it does not say is no limit."""
        numbers = (
            ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
            ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse,
            ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
            ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerTranslateBrowsePathsToNodeIds,
        )
        values = await session.read_attributes([ua.NodeId(number) for number in numbers], ua.AttributeIds.Value)
        for number, value in zip(numbers, values, strict=True):
            limit = None if value.Value is None else value.Value.Value
            self._most[number] = limit if isinstance(limit, int) and 0 < limit < MOST else MOST

    async def each(
        self, kind: int, items: Sequence[In], call: Callable[[list[In]], Awaitable[Sequence[Out]]]
    ) -> list[Out | ua.UaStatusCodeError]:
        """Call with all items, a batch at a time; an item that the server refuses even alone has its error as result.

        Raises
        ------
        OSError, TimeoutError, asyncua.ua.UaError
            If the connection is gone.
        """
        results: list[Any] = []
        while len(results) < len(items):
            most = self._most.get(kind, MOST)
            batch = list(items[len(results) : len(results) + most])
            try:
                results += await call(batch)
            except _TOO_MUCH as error:
                if len(batch) == 1:
                    results.append(error)
                self._most[kind] = max(1, len(batch) // 2)
        return results

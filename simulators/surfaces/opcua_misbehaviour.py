"""What servers in plants do, done to clients by asyncua's server: below its services, as a scenario's `[opcua]` says.

Queues and intervals are those of client subscriptions; what the server keeps for itself (its history) goes on as ever.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

from asyncua import Server, ua
from asyncua.server.history import HistoryDict
from asyncua.server.monitored_item_service import MonitoredItemService

from dyncal.domain.quality import OVERFLOW_BITS
from dyncal.domain.time import NS_PER_S, InstantNs, duration, to_datetime
from simulators.scenarios.opcua_settings import OpcuaSpec

_ZERO: Final = InstantNs(-11_644_473_600 * NS_PER_S)  # 1601-01-01: what OPC UA counts from


def within(spans: list[Any], elapsed_s: float) -> Any:
    """Return the first span that an instant since the start lies in, or None."""
    return next((span for span in spans if span.from_s <= elapsed_s < span.to_s), None)


class Manners:
    """Makes a server behave as settings say.

    Parameters
    ----------
    spec : OpcuaSpec
    elapsed_s : callable
        Returns the time since the first sample; negative before.
    """

    def __init__(self, spec: OpcuaSpec, elapsed_s: Callable[[], float]) -> None:
        self.spec, self._elapsed_s = spec, elapsed_s

    @property
    def mute(self) -> bool:
        """Whether nothing is published now."""
        return within(self.spec.mute, self._elapsed_s()) is not None

    def of_sample(self, t_ns: int, elapsed_s: float, server_ns: InstantNs) -> tuple[int, Any, Any]:
        """Return what a sample comes with: status code, source and server time stamp (None: absent).

        Parameters
        ----------
        t_ns : int
            Its true instant.
        elapsed_s : float
            The same, since the first one.
        server_ns : InstantNs
            The server's time.
        """
        status = within(self.spec.status, elapsed_s)
        code = ua.StatusCodes.Good if status is None else status.value
        stamp, server = within(self.spec.stamps, elapsed_s), to_datetime(server_ns)
        if stamp is None:
            return code, to_datetime(t_ns), server
        match stamp.kind:
            case "local" | "future":
                return code, to_datetime(t_ns + duration(3600.0 * stamp.hours)), server
            case "zero":
                return code, to_datetime(_ZERO), server
            case "absent":
                return code, None, to_datetime(t_ns)  # of servers that stamp when they sample
            case _:
                return code, None, None

    def install(self, server: Server) -> None:
        """Have the subscriptions of a server that has not begun treated so, and its history."""
        service: Any = server.iserver.subscription_service
        made = service.create_subscription

        async def create(params: Any, *given: Any, request_callback: Any = None, **more: Any) -> Any:
            if request_callback is None:  # the server's own
                return await made(params, *given, request_callback=None, **more)
            asked_ms = params.RequestedPublishingInterval
            params.RequestedPublishingInterval = max(asked_ms, 1e3 * self.spec.publishing_s)
            result = await made(params, *given, request_callback=request_callback, **more)
            self._spoil(service.subscriptions[result.SubscriptionId])
            if self.spec.tells_revisions:
                return result
            told = copy.copy(result)
            told.RevisedPublishingInterval = asked_ms
            return told

        service.create_subscription = create
        keeper: Any = server.iserver.history_manager
        keeper.set_storage(Remembered())
        if self.spec.history == "refused":
            keeper.read_history = _refuse

    def _spoil(self, subscription: Any) -> None:
        items = _Items(subscription, subscription.monitored_item_srv.aspace, self.spec)
        subscription.monitored_item_srv, has_results = items, subscription.has_published_results
        subscription.has_published_results = lambda: not self.mute and has_results()

        async def enqueue(mid: int, event: Any, size: int, queue: dict[int, list[Any]]) -> None:
            waiting = queue.setdefault(mid, [])
            dropped = False
            while size and len(waiting) >= size:
                waiting.pop(0)
                dropped = True
            waiting.append(event)
            if dropped and self.spec.overflow == "told":
                waiting[0] = _overflowed(waiting[0])  # OPC 10000-4, 7.21: of what is left, the oldest says so

        subscription._enqueue_event = enqueue  # noqa: SLF001  # there is no other way below its services


class Remembered(HistoryDict):  # type: ignore[misc]  # asyncua's types are not seen
    """A history in memory, of what has a source time stamp: asyncua's fails to be read where one value has none."""

    async def save_node_value(self, node_id: Any, datavalue: Any) -> None:
        """Keep a value."""
        if datavalue.SourceTimestamp is not None:
            await super().save_node_value(node_id, datavalue)


class _Items(MonitoredItemService):  # type: ignore[misc]  # likewise
    """Monitored items that are sampled no faster, and queued no longer, than the server likes."""

    def __init__(self, subscription: Any, aspace: Any, spec: OpcuaSpec) -> None:
        super().__init__(subscription, aspace)
        self._spec = spec
        self._sampled: dict[int, Any] = {}

    def _make_monitored_item_common(self, params: Any) -> Any:
        result, item = super()._make_monitored_item_common(params)
        asked, spec = params.RequestedParameters, self._spec
        item.queue_size = max(1, min(asked.QueueSize or spec.queue_size, spec.queue_size))
        result.RevisedQueueSize = item.queue_size if spec.tells_revisions else asked.QueueSize
        slowest_ms = max(asked.SamplingInterval, 1e3 * spec.sampling_s)
        result.RevisedSamplingInterval = slowest_ms if spec.tells_revisions else asked.SamplingInterval
        return result, item

    async def datachange_callback(self, handle: int, value: Any, error: Any = None) -> None:
        """Take a value that was written, if it is time for one."""
        last, now = self._sampled.get(handle), value.ServerTimestamp
        # With a tenth of slack: the instants at which a plant writes are not quite even.
        least_s = 0.9 * self._spec.sampling_s
        if least_s and last is not None and now is not None and 0 <= (now - last).total_seconds() < least_s:
            return
        self._sampled[handle] = now
        await super().datachange_callback(handle, value, error)


def _overflowed(event: Any) -> Any:
    value = copy.copy(event.Value)
    code = ua.StatusCodes.Good if value.StatusCode is None else value.StatusCode.value
    told = ua.DataValue(
        Value=value.Value,
        StatusCode=ua.StatusCode(code | OVERFLOW_BITS),
        SourceTimestamp=value.SourceTimestamp,
        ServerTimestamp=value.ServerTimestamp,
    )
    marked = ua.MonitoredItemNotification()
    marked.ClientHandle, marked.Value = event.ClientHandle, told
    return marked


async def _refuse(params: Any) -> list[Any]:
    refused = ua.StatusCode(ua.StatusCodes.BadHistoryOperationUnsupported)
    return [ua.HistoryReadResult(StatusCode=refused) for _ in params.NodesToRead]

"""The monitored items of one subscription: made in batches, each on its own merits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from asyncua import Client, ua
from asyncua.client.ua_session import UaSession

from dyncal.domain.sensors import SensorId
from dyncal.domain.time import duration
from edge_agent.readers.addresses import parse
from edge_agent.readers.browsing import namespaces, resolve
from edge_agent.readers.finds import Finds
from edge_agent.readers.limits import Limits
from edge_agent.readers.values import Item
from edge_agent.source_settings import NodeSettings, OpcuaSettings, SensorSettings

_CREATE: Final = ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall
_READ: Final = ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead
_HISTORY_READ: Final = 1 << 2  # of an access level (OPC 10000-3, 8.57)
_MIN_QUEUE: Final = 10
_MAX_QUEUE: Final = 100_000
_PAUSE_S: Final = 30.0
_NO_FILTER: Final = (
    ua.StatusCodes.BadMonitoredItemFilterUnsupported,
    ua.StatusCodes.BadFilterNotAllowed,
    ua.StatusCodes.BadMonitoredItemFilterInvalid,
)


class ItemFailed(NamedTuple):
    """A node that the server does not let us read now."""

    sensor: SensorId
    node: str
    reason: str


class Revision(NamedTuple):
    """A node that the server reads in another way than asked."""

    sensor: SensorId
    detail: str


def queue_size(node: NodeSettings, publishing_s: float) -> int:
    """Return the queue to ask for: what comes in half a minute, for which server, network or agent may pause.

    How often an array comes is not known: once in a publishing interval, it is taken.
    """
    if node.queue_size is not None:
        return node.queue_size
    interval_s = publishing_s if node.array else node.dt_s
    wanted = math.ceil(max(_PAUSE_S, 10 * publishing_s) / interval_s)
    return min(max(_MIN_QUEUE, wanted), _MAX_QUEUE)


class MonitoredItems:
    """Makes the items of a subscription, and knows which node a client handle is.

    Client handles count from `first_handle`, which no other subscription should have: what comes under another handle
    is not ours.
    """

    def __init__(
        self,
        client: Client,
        subscription: int,
        settings: OpcuaSettings,
        declared: Mapping[SensorId, SensorSettings],
        first_handle: int,
    ) -> None:
        self._client = client
        self._limits = Limits()
        self._limits_known = False
        self._subscription = subscription
        self._settings = settings
        self._next_handle = first_handle
        self.by_handle: dict[int, Item] = {}
        self.readable: dict[SensorId, Item] = {}
        self.failed: list[ItemFailed] = []
        self.without_history: set[SensorId] = set()
        self._asked: set[SensorId] = set()
        self._missing: list[NodeSettings] = list(settings.nodes)
        self._dropped: list[NodeSettings] = []  # for requests that are under way
        self._numbers: dict[int, int] = {}  # of the server for an item, by client handle
        self._left: list[int] = []
        self._found = Finds(settings, declared)

    @property
    def passed_over(self) -> str:
        """Tell of variables that a pattern has found and no sensor is declared for; empty if there are none."""
        return self._found.passed_over

    @property
    def _session(self) -> UaSession:
        return self._client.uaclient.session  # the subscription may outlive the session in which it was made

    def become(self, settings: OpcuaSettings) -> None:
        """Know other nodes of the same server; `create_missing` asks the server for them.

        What is not there any more is forgotten at once. Items of a former life, whose numbers are not known, go on at
        the server for as long as the subscription, and nobody takes what they bring.
        """
        gone = [node for node in self._settings.nodes if node not in settings.nodes]
        new = [node for node in settings.nodes if node not in self._settings.nodes]
        self._settings = settings
        self._dropped += gone
        self._missing = [node for node in self._missing if node not in gone] + new
        sensors = {SensorId(node.sensor) for node in gone}
        for handle in [handle for handle, item in self.by_handle.items() if item.sensor in sensors]:
            del self.by_handle[handle]
            if handle in self._numbers:
                self._left.append(self._numbers.pop(handle))
        for sensor in sensors:
            self.readable.pop(sensor, None)
            self._asked.discard(sensor)
            self.without_history.discard(sensor)
        self.failed = [failure for failure in self.failed if failure.sensor not in sensors]

    async def create_missing(self) -> tuple[list[ItemFailed], list[Revision]]:
        """Make the items that are not there yet; return what failed and what was revised."""
        self.failed = []
        revisions: list[Revision] = []
        await self._discover()
        await self._delete_left()
        self._dropped = []
        wanted, self._missing = self._missing, []
        refused = await self._create(await self._resolved(wanted), revisions, filtered=True)
        if refused:  # servers that know no trigger on the timestamp
            await self._create(refused, revisions, filtered=False)
        await self._ask_for_history()
        return self.failed, revisions

    async def _delete_left(self) -> None:
        left, self._left = self._left, []
        if left:
            parameters = ua.DeleteMonitoredItemsParameters(SubscriptionId=self._subscription, MonitoredItemIds=left)
            await self._session.delete_monitored_items(parameters)

    async def _ask_for_history(self) -> None:
        """Find out which nodes have no history to read: to ask each of thousands takes long."""
        asked = [item for item in self.readable.values() if item.sensor not in self._asked]
        self._asked |= {item.sensor for item in asked}
        values = await self._limits.each(_READ, [item.node_id for item in asked], self._access_levels)
        for item, value in zip(asked, values, strict=True):
            level = None if isinstance(value, ua.UaStatusCodeError) or value.Value is None else value.Value.Value
            if isinstance(level, int) and not level & _HISTORY_READ:
                self.without_history.add(item.sensor)

    async def _access_levels(self, nodes: list[Any]) -> list[Any]:
        values: list[Any] = await self._session.read_attributes(nodes, ua.AttributeIds.AccessLevel)
        return values

    async def adopt(self, sensors: Mapping[int, SensorId]) -> None:
        """Go on with items that a former life has made: by client handle; the others are still missing."""
        await self._discover()
        made = set(sensors.values())
        handles = {sensor: handle for handle, sensor in sensors.items()}
        wanted = [node for node in self._missing if node.sensor in made]
        self._missing = [node for node in self._missing if node.sensor not in made]
        self._next_handle = max(self._next_handle, *(handle + 1 for handle in sensors))
        for node, node_id in await self._resolved(wanted):
            if node in self._dropped:
                continue
            item = self._item(node, node_id)
            self.by_handle[handles[item.sensor]] = self.readable[item.sensor] = item
        await self._ask_for_history()
        self.failed += [ItemFailed(SensorId(node.sensor), node.node, "refused before") for node in self._missing]

    async def _discover(self) -> None:
        if not self._limits_known:
            await self._limits.read(self._session)
            self._limits_known = True
        self._missing += await self._found.more(self._session, self._limits)

    async def _resolved(self, nodes: list[NodeSettings]) -> list[tuple[NodeSettings, Any]]:
        indices = await namespaces(self._session)
        addresses = [parse(node.node, self._settings.namespaces) for node in nodes]
        found = await resolve(self._session, self._limits, indices, addresses)
        for node, node_id in zip(nodes, found, strict=True):
            if isinstance(node_id, str):
                self._fail(node, node_id)
        return [(n, node_id) for n, node_id in zip(nodes, found, strict=True) if not isinstance(node_id, str)]

    async def _create(
        self, nodes: list[tuple[NodeSettings, Any]], revisions: list[Revision], *, filtered: bool
    ) -> list[tuple[NodeSettings, Any]]:
        """Make items; return those that were refused for their filter."""
        requests = [self._request(node, node_id, filtered=filtered) for node, node_id in nodes]
        for request, (node, node_id) in zip(requests, nodes, strict=True):  # values may come before the answer
            self.by_handle[request.RequestedParameters.ClientHandle] = self._item(node, node_id)
        results = await self._limits.each(_CREATE, requests, self._call)
        without_filter: list[tuple[NodeSettings, Any]] = []
        for request, result, (node, node_id) in zip(requests, results, nodes, strict=True):
            handle = request.RequestedParameters.ClientHandle
            if not isinstance(result, ua.UaStatusCodeError) and result.StatusCode.is_good():
                if node in self._dropped:  # meanwhile
                    self._left.append(result.MonitoredItemId)
                    continue
                self.readable[SensorId(node.sensor)] = self.by_handle[handle]
                self._numbers[handle] = result.MonitoredItemId
                revisions += _revised(node, request.RequestedParameters, result)
                continue
            self.by_handle.pop(handle, None)
            code = result.code if isinstance(result, ua.UaStatusCodeError) else result.StatusCode.value
            if filtered and code in _NO_FILTER:
                without_filter.append((node, node_id))
            else:
                self._fail(node, ua.StatusCode(code).name)
        return without_filter

    async def _call(self, batch: list[Any]) -> list[Any]:
        results: list[Any] = await self._session.create_monitored_items(
            ua.CreateMonitoredItemsParameters(
                SubscriptionId=self._subscription,
                TimestampsToReturn=ua.TimestampsToReturn.Both,
                ItemsToCreate=batch,
            )
        )
        return results

    def _request(self, node: NodeSettings, node_id: Any, *, filtered: bool) -> Any:
        handle, self._next_handle = self._next_handle, self._next_handle + 1
        sampling_s = node.sampling_s if node.sampling_s is not None else (0.0 if node.array else node.dt_s)
        parameters = ua.MonitoringParameters(
            ClientHandle=handle,
            SamplingInterval=sampling_s * 1e3,
            QueueSize=queue_size(node, self._settings.publishing_s),
            DiscardOldest=True,
        )
        if filtered:  # a value that stays the same is a sample too
            parameters.Filter = ua.DataChangeFilter(Trigger=ua.DataChangeTrigger.StatusValueTimestamp)
        return ua.MonitoredItemCreateRequest(
            ItemToMonitor=ua.ReadValueId(NodeId=node_id, AttributeId=ua.AttributeIds.Value),
            MonitoringMode=ua.MonitoringMode.Reporting,
            RequestedParameters=parameters,
        )

    def _item(self, node: NodeSettings, node_id: Any) -> Item:
        queue = queue_size(node, self._settings.publishing_s)
        longest_ns = duration(node.longest_interval_s())
        return Item(SensorId(node.sensor), duration(node.dt_s), longest_ns, node.array, node_id, queue)

    def _fail(self, node: NodeSettings, reason: str) -> None:
        if node in self._dropped:
            return
        self._missing.append(node)
        self.failed.append(ItemFailed(SensorId(node.sensor), node.node, reason))


def _revised(node: NodeSettings, asked: Any, result: Any) -> Iterable[Revision]:
    # Asked for its fastest, a server may be slower than samples come.
    asked_ms = asked.SamplingInterval or (0.0 if node.array else node.dt_s * 1e3)
    if 0 < asked_ms * 1.001 < result.RevisedSamplingInterval:
        detail = f"sampling interval {result.RevisedSamplingInterval:g} ms, asked for {asked.SamplingInterval:g} ms"
        yield Revision(SensorId(node.sensor), detail)
    if result.RevisedQueueSize < asked.QueueSize:
        detail = f"queue of {result.RevisedQueueSize}, asked for {asked.QueueSize}"
        yield Revision(SensorId(node.sensor), detail)

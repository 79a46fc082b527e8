"""Reads an OPC UA server by subscription, with a reconnection of its own.

asyncua's session is used one level below its `Subscription`: that one keeps neither the revised intervals nor the
sequence of the notification messages, and starts a task for every value.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from asyncua import Client, ua
from asyncua.crypto import security_policies

from dyncal.domain.errors import Unavailable
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import duration
from dyncal.ports.clock import Clock
from dyncal.runtime.logging import logger
from edge_agent.events import Event, Kind, Notice, SamplesRead, SourceLost
from edge_agent.readers.items import ItemFailed, MonitoredItems
from edge_agent.readers.sink import Sink
from edge_agent.readers.values import Gathered
from edge_agent.source_settings import OpcuaSettings

_FIRST_WAIT_S: Final = 0.25
_LONGEST_WAIT_S: Final = 5.0
_RETRY_NODES_S: Final = 15.0
_KEEPALIVE_S: Final = 5.0
_LIFETIME_S: Final = 600.0
_CLOSE_S: Final = 1.0
_SESSION_MS: Final = 120_000


class OpcuaReader:
    """Keeps a subscription to all nodes of one server.

    A server that is absent is tried again, with growing waits; a node that is refused is reported and tried again, and
    does not harm the others.
    """

    def __init__(self, settings: OpcuaSettings, sink: Sink, clock: Clock) -> None:
        self._settings = settings
        self._sink = sink
        self._clock = clock
        self._log = logger("edge.opcua").bind(url=settings.url)
        self._sensors = tuple(SensorId(node.sensor) for node in settings.nodes)
        self._trouble = "not connected yet"
        self._lost = asyncio.Event()
        self._reason = ""
        self._items: MonitoredItems | None = None
        self._heard_s = 0.0
        self.last_sequence: int | None = None
        self.n_notifications = 0

    @property
    def name(self) -> str:
        """For logs and health."""
        return self._settings.url

    @property
    def trouble(self) -> str:
        """What is wrong; empty while every node is subscribed."""
        if self._trouble or self._items is None:
            return self._trouble
        failed = self._items.failed
        return f"{len(failed)} nodes refused, such as {failed[0].node}" if failed else ""

    async def run(self) -> None:
        """Read until cancelled."""
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                await self._one_connection()
                wait_s = _FIRST_WAIT_S
            except (Unavailable, OSError, TimeoutError, ua.UaError, ValueError, AttributeError) as error:
                # asyncua lets ValueError and AttributeError through when a server answers nonsense
                self._troubled(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    async def _one_connection(self) -> None:
        client = await self._client()
        self._lost.clear()
        await client.connect()
        try:
            await self._subscribe(client)
            self._trouble = ""
            self._notice(Kind.SOURCE_CONNECTED, self._settings.url)
            await self._until_lost()
        finally:
            self._sink.take([SourceLost(self._sensors, self._clock.now())])
            await self._close(client)
        self._troubled(self._reason or "connection lost")

    async def _client(self) -> Client:
        settings = self._settings
        # asyncua gives its probe of the server as long as the time between two: a server that pauses is not lost
        client = Client(settings.url, timeout=settings.timeout_s, watchdog_intervall=settings.timeout_s)
        client.name = client.description = "dyncal edge agent"
        client.application_uri = "urn:dyncal:edge"
        client.session_timeout = _SESSION_MS
        client.connection_lost_callback = self._on_lost
        if settings.username is not None:
            client.set_user(settings.username)
            client.set_password(settings.resolved_password() or "")
        if settings.security_policy != "None":
            await client.set_security(
                getattr(security_policies, f"SecurityPolicy{settings.security_policy.replace('_', '')}"),
                certificate=str(settings.certificate_file),
                private_key=str(settings.private_key_file),
                server_certificate=str(settings.server_certificate_file),
                mode=getattr(ua.MessageSecurityMode, settings.security_mode),
            )
        return client

    async def _subscribe(self, client: Client) -> None:
        publishing_s = self._settings.publishing_s
        keepalive = max(1, round(_KEEPALIVE_S / publishing_s))
        parameters = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=publishing_s * 1e3,
            RequestedLifetimeCount=max(3 * keepalive, round(_LIFETIME_S / publishing_s)),
            RequestedMaxKeepAliveCount=keepalive,
            MaxNotificationsPerPublish=10_000,
            PublishingEnabled=True,
            Priority=0,
        )
        self._heard_s = self._clock.monotonic_s()
        session = client.uaclient.session
        result = await session.create_subscription(parameters, self._on_publish)
        revised_s = result.RevisedPublishingInterval / 1e3
        if revised_s > publishing_s * 1.001:
            self._notice(Kind.REVISED, f"publishing interval {revised_s:g} s, asked for {publishing_s:g} s")
        self._stale_s = max(3 * _KEEPALIVE_S, 3 * result.RevisedMaxKeepAliveCount * revised_s)
        self._items = MonitoredItems(client, result.SubscriptionId, self._settings)
        await self._create_items(self._items)

    async def _create_items(self, items: MonitoredItems) -> None:
        failures, revisions = await items.create_missing()
        now = self._clock.now()
        for revision in revisions:
            self._sink.notice(Notice(Kind.REVISED, now, revision.sensor, revision.detail))
        for failure in failures:
            self._failed(failure)

    def _failed(self, failure: ItemFailed) -> None:
        detail = f"{failure.node}: {failure.reason}"
        self._sink.notice(Notice(Kind.NODE_FAILED, self._clock.now(), failure.sensor, detail))

    async def _until_lost(self) -> None:
        tried_s = self._clock.monotonic_s()
        while not self._lost.is_set():
            try:
                async with asyncio.timeout(1.0):
                    await self._lost.wait()
            except TimeoutError:
                now_s = self._clock.monotonic_s()
                if now_s - self._heard_s > self._stale_s:
                    raise Unavailable(f"no notification and no keep-alive for {self._stale_s:g} s") from None
                if self._items is not None and self._items.failed and now_s - tried_s > _RETRY_NODES_S:
                    tried_s = now_s
                    await self._create_items(self._items)

    def _on_publish(self, result: Any) -> None:
        """Take a notification message. Called in the event loop for each; must be quick."""
        self._heard_s = self._clock.monotonic_s()
        message = result.NotificationMessage
        if not message.NotificationData or self._items is None:
            return
        self.last_sequence = int(message.SequenceNumber)
        arrival_ns = self._clock.now()
        gathered: dict[int, Gathered] = {}
        nodes = self._items.by_handle
        for notification in message.NotificationData:
            if isinstance(notification, ua.DataChangeNotification):
                for item in notification.MonitoredItems or ():
                    handle = item.ClientHandle
                    into = gathered.get(handle)
                    if into is None:
                        node = nodes.get(handle)
                        if node is None:
                            continue
                        into = gathered[handle] = Gathered(SensorId(node.sensor), duration(node.dt_s), node.array)
                    into.add(item.Value, arrival_ns)
                    self.n_notifications += 1
            elif isinstance(notification, ua.StatusChangeNotification):
                self._end(f"the server ended the subscription: {notification.Status}")
        self._deliver(gathered, arrival_ns)

    def _deliver(self, gathered: dict[int, Gathered], arrival_ns: Any) -> None:
        events: list[Event] = []
        for node in gathered.values():
            for fault in node.faults[:1]:
                detail = fault if len(node.faults) == 1 else f"{fault} (and {len(node.faults) - 1} more)"
                self._sink.notice(Notice(Kind.INPUT_QUARANTINED, arrival_ns, node.sensor, detail))
            if node.t:
                t_ns, raw, codes = node.arrays()
                events.append(SamplesRead(node.sensor, t_ns, raw, codes, arrival_ns, node.server_ns))
        if events:
            self._sink.take(events)

    async def _on_lost(self, error: Exception) -> None:
        self._end(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)

    def _end(self, reason: str) -> None:
        self._reason = reason
        self._lost.set()

    async def _close(self, client: Client) -> None:
        try:
            async with asyncio.timeout(_CLOSE_S):
                await client.disconnect()
        except (OSError, TimeoutError, ua.UaError):
            client.disconnect_socket()

    def _troubled(self, reason: str) -> None:
        if reason != self._trouble:
            self._notice(Kind.SOURCE_LOST, f"{self._settings.url}: {reason}")
        self._trouble = reason

    def _notice(self, kind: Kind, detail: str) -> None:
        self._sink.notice(Notice(kind, self._clock.now(), None, detail))

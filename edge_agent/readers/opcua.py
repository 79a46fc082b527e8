"""Reads an OPC UA server by subscription, and loses nothing that the server still has when a connection breaks.

After an outage, in this order: the session of before and its subscription, whose messages are asked for again; a new
session to which the subscription is transferred, also that of an agent that was killed; a new subscription, and the
server's history for the hole.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Any, Final

from asyncua import ua

from dyncal.adapters.opcua.pki import Pki
from dyncal.domain.errors import Unavailable
from dyncal.domain.sensors import SensorId
from dyncal.ports.clock import Clock
from dyncal.runtime.logging import logger
from edge_agent.events import Kind, Notice, SourceLost
from edge_agent.readers.backfill import AT_ONCE, Backfill
from edge_agent.readers.feed import Feed
from edge_agent.readers.handover import Handover
from edge_agent.readers.items import ItemFailed, MonitoredItems
from edge_agent.readers.publishing import Publishing, SubscriptionLost
from edge_agent.readers.session import CONNECTION_LOST, ServerSession
from edge_agent.readers.sink import Sink
from edge_agent.readers.together import each
from edge_agent.readers.values import Gathered, Item, Part
from edge_agent.source_settings import OpcuaSettings, SensorSettings

_FIRST_WAIT_S: Final = 0.25
_LONGEST_WAIT_S: Final = 2.0
_RETRY_NODES_S: Final = 15.0
_LOOK_AGAIN_S: Final = 45.0
_KEEPALIVE_S: Final = 5.0
_LIFETIME_S: Final = 600.0
_QUIET_S: Final = 1.0
_FIRST_HANDLES: Final = 1 << 30


class OpcuaReader:
    """Keeps a subscription to all nodes of one server.

    A server that is absent is tried again, with growing waits; a node that is refused is reported and tried again, and
    does not harm the others.

    Parameters
    ----------
    declared : iterable of SensorSettings
        Sensors that patterns of the settings may find.
    pki : Pki
        Our certificate, and the servers that are trusted.
    handover : Handover
        What former lives have left.
    """

    def __init__(
        self,
        settings: OpcuaSettings,
        declared: Iterable[SensorSettings],
        sink: Sink,
        clock: Clock,
        pki: Pki,
        handover: Handover,
    ) -> None:
        self._settings = settings
        self._declared = {SensorId(sensor.sensor): sensor for sensor in declared}
        self._sink = sink
        self._clock = clock
        self._log = logger("edge.opcua").bind(url=settings.url)
        self._session = ServerSession(settings, pki)
        self._trouble = "not connected yet"
        self._passed_over = ""
        self._items: MonitoredItems | None = None
        self._publishing: Publishing | None = None
        self._subscription: int | None = None
        self._server_started = ""
        self._handover = handover
        self._kept = handover.load()
        self._adopted: dict[int, SensorId] = {}
        self._unfilled = False
        self._connected = False
        self._changed = asyncio.Event()
        self._heard_s = 0.0
        self._feed = Feed(sink, clock)
        self._holed: set[SensorId] = set()  # what is missing of them before their next sample, the history may have
        self._backfill = Backfill(self._feed, clock, self._hear)
        self._stale_s = 3 * _KEEPALIVE_S
        self.n_messages = 0

    @property
    def name(self) -> str:
        """For logs and health."""
        return self._settings.url

    @property
    def _sensors(self) -> tuple[SensorId, ...]:
        named = {SensorId(node.sensor): None for node in self._settings.nodes}
        return tuple(named if self._items is None else named | dict.fromkeys(self._items.readable))

    @property
    def trouble(self) -> str:
        """What is wrong; empty while every node is subscribed."""
        if self._trouble or self._items is None:
            return self._trouble
        failed = self._items.failed
        return f"{len(failed)} nodes refused, such as {failed[0].node}" if failed else ""

    def become(self, settings: OpcuaSettings) -> None:
        """Read these nodes of the same server from now on; those that were there before go on without a break.

        What is dropped is not taken any more from this call on; the server is told at once, or when it can be.
        """
        self._settings = settings
        self._handover.become(settings)
        if self._items is not None:
            self._items.become(settings)
        self._changed.set()

    async def run(self) -> None:
        """Read until cancelled."""
        wait_s = _FIRST_WAIT_S
        try:
            while True:
                try:
                    await self._one_connection()
                except* (Unavailable, OSError, TimeoutError, ua.UaError) as several:
                    self._troubled(_reason(several))
                except* Exception as several:  # noqa: BLE001  # whatever a server answers, the agent goes on
                    self._log.error("not_understood", exc_info=several)
                    self._troubled(_reason(several))
                self._session.disconnect()
                if self._connected:
                    wait_s = _FIRST_WAIT_S
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
        finally:
            # The next life goes on with what is whole; for whom none comes, the server ends it after its lifetime.
            await self._session.close(delete_subscriptions=self._publishing is None)

    async def _one_connection(self) -> None:
        self._connected = False
        resumed = await self._session.connect()
        self._connected = True
        try:
            publishing, detail = await self._subscribed(resumed)
            self._trouble = ""
            self._notice(Kind.SOURCE_CONNECTED, f"{self._settings.url}{detail}")
            await self._read(publishing)
        except* SubscriptionLost:
            self._publishing = None
            raise
        finally:
            self._sink.take([SourceLost(self._sensors, self._clock.now())])

    async def _read(self, publishing: Publishing) -> None:
        """Take what comes, until the connection or the subscription is gone."""
        async with asyncio.TaskGroup() as group:
            group.create_task(publishing.run(self._session.services))
            group.create_task(self._session.keep())
            group.create_task(self._look_after())

    async def _subscribed(self, resumed: bool) -> tuple[Publishing, str]:
        """Go on with the subscription of before, or make one; say what to tell of it."""
        self._hear()
        self._backfill.begin(self._session.services)
        if self._items is not None:
            self._backfill.without(self._items.without_history)
        if self._publishing is None:
            self._publishing = self._inherited()
        before = self._publishing
        if before is not None and ((resumed and not self._adopted) or await self._transferred(before)):
            with contextlib.suppress(SubscriptionLost):
                filled = await self._fill_holes() if self._unfilled else ""
                n = await before.recover(self._session.services)
                return before, f": the subscription goes on, {n} messages were asked for again{filled}"
        self._publishing = None
        self._publishing = made = await self._subscribe()
        self._unfilled = True  # what comes between may break the connection, not the subscription
        return made, await self._fill_holes()

    def _inherited(self) -> Publishing | None:
        """Return the subscription that a former life has left behind, at the first connection of this one."""
        kept, self._kept = self._kept, None
        if kept is None or not kept.handles:
            return None
        self._server_started, self._subscription, self._stale_s = kept.server_started, kept.subscription, kept.stale_s
        self._items = self._new_items(kept.subscription)
        self._adopted = kept.sensors()
        return Publishing(kept.subscription, self._on_message, self._hear)

    async def _transferred(self, publishing: Publishing) -> bool:
        """Have a subscription moved to this session; one of the same number after a restart is somebody else's."""
        if not self._server_started or await self._session.server_started() != self._server_started:
            return False
        parameters = ua.TransferSubscriptionsParameters([publishing.subscription], SendInitialValues=False)
        try:
            (result,) = await self._session.services.transfer_subscriptions(parameters)
        except CONNECTION_LOST:
            raise
        except (ua.UaError, ValueError):  # no such service, or an answer for no subscription
            return False
        if result.StatusCode.is_good() and self._adopted and self._items is not None:
            await self._items.adopt(self._adopted)
            self._backfill.without(self._items.without_history)
            self._adopted = {}
            publishing.inherit(result.AvailableSequenceNumbers or ())
        return bool(result.StatusCode.is_good())

    async def _subscribe(self) -> Publishing:
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
        await self._delete_last()
        self._adopted = {}
        self._server_started = await self._session.server_started()
        result = await self._session.services.create_subscription(parameters, _nothing)
        self._subscription = result.SubscriptionId
        revised_s = result.RevisedPublishingInterval / 1e3
        if revised_s > publishing_s * 1.001:
            self._notice(Kind.REVISED, f"publishing interval {revised_s:g} s, asked for {publishing_s:g} s")
        self._stale_s = max(3 * _KEEPALIVE_S, 3 * result.RevisedMaxKeepAliveCount * revised_s)
        self._items = self._new_items(result.SubscriptionId)
        await self._create_items(self._items)
        return Publishing(result.SubscriptionId, self._on_message, self._hear)

    def _new_items(self, subscription: int) -> MonitoredItems:
        first_handle = self._clock.now() // 1_000_000 % _FIRST_HANDLES + 1
        return MonitoredItems(self._session.client, subscription, self._settings, self._declared, first_handle)

    async def _delete_last(self) -> None:
        """Let go of a subscription that was left half made, or is not to be had: its messages are nobody's."""
        number, self._subscription = self._subscription, None
        self._handover.forget()
        if number is not None and await self._session.server_started() == self._server_started:
            with contextlib.suppress(ua.UaError):
                await self._session.services.delete_subscriptions([number])

    async def _fill_holes(self) -> str:
        """Read what the server remembers of the time since the last samples, before newer ones are taken."""
        await self._backfill.all_up_to_now(() if self._items is None else list(self._items.readable.values()))
        self._unfilled = False
        n = self._backfill.n_values
        return f": {n} values read from its history" if n else ""

    async def _create_items(self, items: MonitoredItems) -> None:
        failures, revisions = await items.create_missing()
        self._backfill.without(items.without_history)
        if self._subscription is not None:
            sensors = {handle: item.sensor for handle, item in items.by_handle.items()}
            self._handover.keep(self._server_started, self._subscription, self._stale_s, sensors)
        now = self._clock.now()
        for revision in revisions:
            self._sink.notice(Notice(Kind.REVISED, now, revision.sensor, revision.detail))
        for failure in failures:
            self._failed(failure)
        if items.passed_over != self._passed_over:
            self._passed_over = items.passed_over
            if items.passed_over:
                self._notice(Kind.NODE_FAILED, items.passed_over)

    def _failed(self, failure: ItemFailed) -> None:
        detail = f"{failure.node}: {failure.reason}"
        self._sink.notice(Notice(Kind.NODE_FAILED, self._clock.now(), failure.sensor, detail))

    async def _look_after(self) -> None:
        """Try nodes again that were refused, and notice a server that keeps silent."""
        tried_s = self._clock.monotonic_s()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_QUIET_S):
                    await self._changed.wait()
            now_s = self._clock.monotonic_s()
            if self._changed.is_set() and self._items is not None:
                self._changed.clear()
                await self._create_items(self._items)
            if now_s - self._heard_s > self._stale_s:
                raise Unavailable(f"no notification and no keep-alive for {self._stale_s:g} s")
            items = self._items
            if items is None or not (items.failed or self._settings.browse):
                continue
            if now_s - tried_s > (_RETRY_NODES_S if items.failed else _LOOK_AGAIN_S):
                tried_s = now_s
                await self._create_items(items)

    def _hear(self) -> None:
        self._heard_s = self._clock.monotonic_s()

    async def _on_message(self, message: Any, done: Callable[[], None], *, holed: bool) -> None:
        """Take a notification message. Called for each; must be quick."""
        gathered = self._gathered(message)
        parts = [part for part in map(self._feed.part, gathered.values()) if part is not None]
        if holed:
            self._holed = set(self._sensors)
        self._feed.deliver(await self._completed(parts), done)

    def _gathered(self, message: Any) -> dict[int, Gathered]:
        arrival_ns = self._clock.now()
        gathered: dict[int, Gathered] = {}
        nodes = {} if self._items is None else self._items.by_handle
        for notification in message.NotificationData:
            if isinstance(notification, ua.DataChangeNotification):
                for item in notification.MonitoredItems or ():
                    handle = item.ClientHandle
                    into = gathered.get(handle)
                    if into is None:
                        node = nodes.get(handle)
                        if node is None:
                            continue
                        into = gathered[handle] = Gathered(node)
                    into.add(item.Value, arrival_ns)
                    self.n_messages += 1
            elif isinstance(notification, ua.StatusChangeNotification) and not _says_transferred(notification):
                raise SubscriptionLost(f"{notification.Status}")
        return gathered

    async def _completed(self, parts: list[Part]) -> list[Part]:
        """Fetch from the history what is missing before or in parts; return what is still to be delivered."""
        readable = {} if self._items is None else self._items.readable
        wanted: dict[int, tuple[Item, bool]] = {}
        for k, part in enumerate(parts):
            item = readable.get(part.sensor)
            if item is None:
                continue
            holed = part.sensor in self._holed
            self._holed.discard(part.sensor)
            if self._backfill.wanted(item, part, holed=holed):
                wanted[k] = item, holed
        if not wanted:
            return parts
        rest = list(parts)

        async def complete(k: int) -> None:
            item, holed = wanted[k]
            rest[k] = await self._backfill.complete(item, parts[k], holed=holed)

        await each(complete, wanted, AT_ONCE)
        return rest

    def _troubled(self, reason: str) -> None:
        if reason != self._trouble:
            self._notice(Kind.SOURCE_LOST, f"{self._settings.url}: {reason}")
        self._trouble = reason

    def _notice(self, kind: Kind, detail: str) -> None:
        self._sink.notice(Notice(kind, self._clock.now(), None, detail))


def _nothing(result: Any) -> None:
    """Stand for the callback that asyncua wants: messages come from `Publishing`."""


def _reason(several: BaseExceptionGroup[Exception]) -> str:
    first: BaseException = several
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return f"{type(first).__name__}: {first}" if str(first) else type(first).__name__


def _says_transferred(change: Any) -> bool:
    """Tell whether a subscription was transferred: said to the session that had it, heard again by its new one."""
    return bool(change.Status.value == ua.StatusCodes.GoodSubscriptionTransferred)

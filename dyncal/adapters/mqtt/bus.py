"""The MQTT client behind the `MessageBus` port: what the event loop sees of a `Connector` in its thread."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import secrets
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, Self

from dyncal.adapters.mqtt import reasons
from dyncal.adapters.mqtt.client import LinkOptions
from dyncal.adapters.mqtt.connector import Backoff, Connector
from dyncal.adapters.mqtt.delivery import PahoDelivery
from dyncal.adapters.mqtt.handoff import Handoff
from dyncal.adapters.mqtt.link import Link
from dyncal.adapters.mqtt.posted import Posted
from dyncal.domain.errors import BusUnavailable, InvalidSetting, PublishRefused
from dyncal.ports.chance import Chance
from dyncal.ports.message_bus import Delivery, Will
from dyncal.runtime.logging import logger
from dyncal.runtime.settings import BrokerSettings

ANSWER_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 2.0
_LOOKS: Final = 0.25  # of the time-out, between two looks for answers
_END: Final = None


def open_bus(
    settings: BrokerSettings, client_id: str, *, will: Will | None = None, clean: bool = False
) -> PahoMessageBus:
    """Return a bus to the broker of `settings`; enter it (``async with``) to connect.

    Parameters
    ----------
    client_id : str
        Name of the session in the broker, unique in the plant: a second client of the same name ends the first.
    will : Will, optional
        What the broker says when this client is gone without a word.
    clean : bool
        Whether the broker forgets subscriptions and undelivered messages when the connection ends.

    Raises
    ------
    InvalidSetting
        If the password or a file for TLS cannot be read.
    """
    return PahoMessageBus(
        LinkOptions(
            host=settings.host,
            port=settings.port,
            client_id=client_id,
            clean=clean,
            keepalive_s=settings.keepalive_s,
            username=settings.username,
            password=settings.resolved_password(),
            tls=tls_context(settings),
            renew=lambda: (settings.resolved_password(), tls_context(settings)),
            will=will,
            protocol=settings.protocol,
        )
    )


def tls_context(settings: BrokerSettings) -> ssl.SSLContext | None:
    """Return the TLS context that the settings ask for, or None. Raises `InvalidSetting` if a file is unusable."""
    if settings.ca_file is None and settings.cert_file is None:
        return None
    try:
        context = ssl.create_default_context(cafile=None if settings.ca_file is None else str(settings.ca_file))
        if settings.cert_file is not None:
            context.load_cert_chain(settings.cert_file, settings.key_file)
    except OSError as error:  # ssl.SSLError is one
        raise InvalidSetting(
            f"broker.ca_file = {settings.ca_file}, cert_file = {settings.cert_file}, key_file = {settings.key_file}: "
            f"no usable PEM files: {error}"
        ) from error
    return context


class PahoMessageBus:
    """MQTT at QoS 1 through paho-mqtt; see `dyncal.ports.message_bus.MessageBus`.

    Speaks MQTT 5, or 3.1.1 where the broker does not know 5. All methods belong to the event loop in which the bus was
    entered; only `Delivery.ack` may be called from elsewhere. `publish` may be awaited many times at once: messages go
    out in the order of the calls, at most `window` (or what the broker allows) without an answer. A publish without
    answer makes the connection suspect, and it is made anew.
    """

    def __init__(
        self,
        options: LinkOptions,
        *,
        backoff: Backoff | None = None,
        rng: Chance | None = None,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        self._options = options
        self._connector = Connector(
            options,
            self,
            Backoff() if backoff is None else backoff,
            rng if rng is not None else secrets.SystemRandom(),
        )
        self._answer_timeout_s = answer_timeout_s
        self._log = logger("mqtt").bind(client_id=options.client_id, broker=f"{options.host}:{options.port}")
        self._handoff: Handoff | None = None
        self._link: Link | None = None
        self._waiting: collections.deque[Posted] = collections.deque()  # for room in the window
        self._published: dict[int, Posted] = {}  # the oldest first
        self._overdue: asyncio.TimerHandle | None = None
        self._delivered, self._moved_s = 0, 0.0  # on this connection, and when that was seen to grow last
        self._subscribed: dict[int, asyncio.Future[list[int]]] = {}
        self._filters: dict[str, None] = {}
        self._taken_back: dict[str, None] = {}
        self._arrived: asyncio.Queue[list[PahoDelivery] | None] = asyncio.Queue()  # bounded by `Holding`
        self._unread: collections.deque[PahoDelivery] = collections.deque()  # as well
        self._up = asyncio.Event()
        self._closed = False
        self._connections = 0
        self._n_dropped = 0
        self._last_trouble = ""

    async def __aenter__(self) -> Self:
        self._handoff = Handoff(asyncio.get_running_loop())
        self._connector.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Take leave of the broker, so that it does not publish the will, and end `deliveries`; idempotent."""
        if self._closed:
            return
        self._closed = True
        self._arrived.put_nowait(_END)
        await asyncio.get_running_loop().run_in_executor(None, self._connector.close, CLOSE_TIMEOUT_S)
        self._lost("closed")

    @property
    def connected(self) -> bool:
        """True while the broker answers."""
        return self._up.is_set()

    @property
    def connections(self) -> int:
        """How many times the broker has accepted a connection of this bus so far."""
        return self._connections

    @property
    def dropped(self) -> int:
        """How many messages were not taken because too much was held, or because their topic is no text."""
        return self._n_dropped

    @property
    def trouble(self) -> str:
        """Why the broker cannot be had, as far as is known; empty while connected."""
        return self._last_trouble

    async def wait_connected(self) -> None:
        """Return when the broker answers."""
        await self._up.wait()

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish at QoS 1; see `MessageBus.publish`. Raises `BusUnavailable`."""
        await self.post(topic, payload, retain=retain)

    def post(self, topic: str, payload: bytes, *, retain: bool = False) -> asyncio.Future[None]:
        """Begin to publish at QoS 1; see `MessageBus.post`."""
        loop = asyncio.get_running_loop()
        posted = Posted(topic, payload, retain, loop.create_future(), loop.time())
        if self._link is None:
            posted.fail(self._not_connected())
        else:
            self._waiting.append(posted)
            self._send_waiting()
            if self._overdue is None:
                self._overdue = loop.call_later(self._answer_timeout_s * _LOOKS, self._look_for_answers)
        return posted.answer

    def _send_waiting(self) -> None:
        """Send what waits, as far as the window goes."""
        link = self._link
        while link is not None and self._waiting and len(self._published) < link.window:
            posted = self._waiting.popleft()
            if posted.answer.done():  # nobody waits for it any more
                continue
            try:
                taken = link.publish(posted.topic, posted.payload, retain=posted.retain)
            except PublishRefused as error:
                posted.fail(PublishRefused(f"{posted.topic}: {error}"))
                continue
            if taken is None:
                posted.fail(self._not_connected())
            else:
                mid, posted.there_at = taken
                self._published[mid] = posted

    def _look_for_answers(self) -> None:
        """End a connection on which a publish is not answered in time, from when it is there, or nothing gets on.

        A narrow link is no broken one, and a connection made anew would not carry more.
        """
        self._overdue = None
        oldest = next(iter(self._published.values()), None) or next(iter(self._waiting), None)
        if oldest is None:
            return
        loop = asyncio.get_running_loop()
        now_s, delivered = loop.time(), 0 if self._link is None else self._link.delivered
        if delivered > self._delivered:
            self._delivered, self._moved_s = delivered, now_s
        if not oldest.there:
            oldest.there = 0 < oldest.there_at <= delivered
            oldest.since_s = now_s if oldest.there else max(oldest.since_s, self._moved_s)
        left_s = oldest.since_s + self._answer_timeout_s - now_s
        if left_s <= 0:
            oldest.fail(BusUnavailable(f"no answer to a publish on {oldest.topic} in {self._answer_timeout_s:g} s"))
            if self._link is not None:
                self._link.end("no answer to PUBLISH")
            return
        self._overdue = loop.call_later(min(left_s, self._answer_timeout_s * _LOOKS), self._look_for_answers)

    def _not_connected(self) -> BusUnavailable:
        return BusUnavailable(f"not connected to {self._options.host}:{self._options.port}{self._trouble()}")

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Add topic filters, now and after every reconnection.

        Waits for the broker's answer if it is connected.

        Raises
        ------
        BusUnavailable
            If the broker does not grant a filter.
        """
        self._filters.update(dict.fromkeys(filters))
        if self._link is not None and filters:
            await self._subscribe(self._link, list(filters))

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """Take topic filters back, now or when there is a connection; see `MessageBus.unsubscribe`."""
        for item in filters:
            self._filters.pop(item, None)
        if self._link is None:
            self._taken_back.update(dict.fromkeys(filters))  # the broker's session has them still
        elif filters:
            self._link.unsubscribe(list(filters))

    async def _subscribe(self, link: Link, filters: list[str]) -> None:
        mid = link.subscribe(filters)
        if mid is None:
            return  # the connection is going; `link_up` of the next one subscribes again
        future = self._subscribed[mid] = asyncio.get_running_loop().create_future()
        refused: list[int] = []
        with contextlib.suppress(TimeoutError, BusUnavailable):  # the next connection subscribes again
            async with asyncio.timeout(self._answer_timeout_s):
                refused = await future
        if refused:
            names = ", ".join(filters[i] for i in refused)
            raise BusUnavailable(f"the broker does not grant a subscription to {names}")

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """Iterate over what arrives, in order for each topic, until the bus is closed; one consumer only."""
        while await self._something():
            yield self._unread.popleft()

    async def arrivals(self) -> AsyncIterator[Sequence[Delivery]]:
        """Iterate as `deliveries` does over what arrives together."""
        while await self._something():
            together, self._unread = self._unread, collections.deque()
            yield together

    async def _something(self) -> bool:
        """Wait for what may be read; False when the bus is closed."""
        while not self._unread:
            together = await self._arrived.get()
            if together is _END:
                return False
            self._unread.extend(together)
        return True

    # What the connector's thread tells, brought into the event loop.

    def link_up(self, link: Link) -> None:
        """Bring the event into the loop."""
        self._hand_over(self._on_up, link)

    def link_offered(self, link: Link) -> bool:
        """Have the loop take the connection over."""
        if self._handoff is None or self._closed:
            return False
        self._hand_over(link.turn_in_loop)
        return True

    def link_down(self, link: Link, reason: str) -> None:
        """Bring the event into the loop."""
        self._hand_over(self._on_down, link, reason)

    def link_published(self, link: Link, answers: list[tuple[int, int]]) -> None:
        """Bring the event into the loop."""
        self._hand_over(self._on_published, link, answers)

    def link_subscribed(self, link: Link, mid: int, refused: list[int]) -> None:
        """Bring the event into the loop."""
        self._hand_over(self._on_subscribed, link, mid, refused)

    def link_delivered(self, link: Link, deliveries: list[PahoDelivery]) -> None:
        """Bring the event into the loop."""
        del link
        self._hand_over(self._arrived.put_nowait, deliveries)

    def link_dropped(self, link: Link, why: str) -> None:
        """Bring the event into the loop."""
        del link
        self._hand_over(self._on_dropped, why)

    def _hand_over(self, action: Callable[..., None], *arguments: Any) -> None:
        if self._handoff is not None:
            self._handoff.put(action, *arguments)

    def _on_up(self, link: Link) -> None:
        self._link = link
        self._delivered = 0
        self._connections += 1
        self._last_trouble = ""
        taken_back = [item for item in self._taken_back if item not in self._filters]
        self._taken_back.clear()
        if taken_back:
            link.unsubscribe(taken_back)
        if self._filters:
            # The answer is not waited for: what the broker refuses now it refused, or will refuse, in `subscribe`.
            link.subscribe(list(self._filters))
        self._up.set()
        self._log.info("connected", protocol=link.protocol, session_present=link.session_present, in_flight=link.window)

    def _on_down(self, link: Link, reason: str) -> None:
        if link is self._link:
            self._lost(reason)
            if not self._closed:
                self._log.warning("disconnected", reason=reason)
        elif reason != self._last_trouble and not self._closed:
            self._log.warning("cannot_connect", reason=reason)
        self._last_trouble = reason

    def _lost(self, reason: str) -> None:
        self._link = None
        self._up.clear()
        lost = f"connection lost before the answer: {reason}"
        for posted in (*self._published.values(), *self._waiting):
            posted.fail(BusUnavailable(lost))
        for future in self._subscribed.values():
            if not future.done():
                future.set_exception(BusUnavailable(lost))
        self._published.clear()
        self._waiting.clear()
        self._subscribed.clear()
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _on_published(self, link: Link, answers: list[tuple[int, int]]) -> None:
        if link is not self._link:
            return
        for mid, reason in answers:
            posted = self._published.pop(mid, None)
            if posted is None:
                continue
            if reason >= reasons.REFUSED:
                kind = PublishRefused if reasons.of_the_message(reason) else BusUnavailable
                posted.fail(kind(f"the broker refuses to publish on {posted.topic}: {reasons.name(reason)}"))
            elif not posted.answer.done():
                posted.answer.set_result(None)
        self._send_waiting()

    def _on_subscribed(self, link: Link, mid: int, refused: list[int]) -> None:
        future = self._subscribed.pop(mid, None) if link is self._link else None
        if future is not None and not future.done():
            future.set_result(refused)

    def _on_dropped(self, why: str) -> None:
        self._n_dropped += 1
        if self._n_dropped & (self._n_dropped - 1) == 0:  # 1, 2, 4, 8, … so that a flood does not flood the log
            self._log.error("deliveries_dropped", so_far=self._n_dropped, why=why)

    def _trouble(self) -> str:
        return f": {self._last_trouble}" if self._last_trouble else ""

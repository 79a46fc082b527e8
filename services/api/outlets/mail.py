"""E-mail: changes of alarms to people, one thread for each alarm, and together when they are many."""

from __future__ import annotations

import asyncio
import enum
import ssl
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Self

import aiosmtplib
import numpy as np

from dyncal.domain.errors import InvalidSetting
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.ports.clock import Clock
from dyncal.runtime.settings import read_secret
from services.api.outlets import backoff
from services.api.outlets.courier import Courier
from services.api.outlets.feed import AlarmFeed
from services.api.outlets.letters import Envelope, id_of, letter
from services.api.outlets.metrics import OutletMetrics
from services.api.outlets.news import News, read
from services.api.outlets.queue import OutletQueue, Waiting
from services.api.outlets.settings import MailRecipientSettings, MailSettings

MOST_TOGETHER: Final = 200
"""Changes in one message; what is more waits for the next."""


MOST_REFUSED: Final = 10
"""Messages refused one after the other before it is taken that the server refuses all, and is left alone."""


class _Sent(enum.Enum):
    """What became of a message: the server took it, refused it for what is in it, or takes none now."""

    TAKEN = enum.auto()
    REFUSED = enum.auto()
    AWAY = enum.auto()


class _Group(NamedTuple):
    """Changes of one alarm, and the oldest as it waits."""

    first: Waiting
    news: list[News]


class Mail(Courier):
    """One recipient.

    What cannot be sent waits and is tried again, with growing pauses, for as long as it takes. A message that the
    server refuses for what is in it holds up its alarm alone.
    """

    way = "mail"

    def __init__(
        self,
        settings: MailSettings,
        recipient: MailRecipientSettings,
        queue: OutletQueue,
        feed: AlarmFeed,
        clock: Clock,
        metrics: OutletMetrics,
        rng: np.random.Generator,
    ) -> None:
        where = f"smtp://{settings.host}:{settings.port}"
        super().__init__(recipient.name, where, recipient.filter, queue, feed, clock, metrics)
        self._settings, self._rng = settings, rng
        self._envelope = Envelope(settings.sender, recipient.to, settings.link)
        self._password = read_secret(settings.password_file, None, "api.mail.password_file")
        self._tls = _trusting(settings)
        self._n_failed = self._n_refused = 0
        self._not_before_s = 0.0  # this and the next by the clock that is never set
        self._singles_s: deque[float] = deque()

    async def _send(self, now: InstantNs) -> float:
        now_s = self._clock.monotonic_s()
        if now_s < self._not_before_s:
            return self._not_before_s - now_s
        waiting = await asyncio.to_thread(self._queue.ready, self.name, now, MOST_TOGETHER)
        if not waiting:
            return await self._until_due(now)
        by_alarm: dict[str, _Group] = {}
        for each in waiting:
            news = read(each.document)
            by_alarm.setdefault(news.id, _Group(each, [])).news.append(news)
        groups = list(by_alarm.values())
        if self._room_for(len(groups), now_s):
            for group in groups:
                sent = await self._try([group], now)
                if sent is _Sent.AWAY:
                    break
                if sent is _Sent.TAKEN:
                    self._singles_s.append(now_s)
        elif await self._together(groups, now) is not _Sent.AWAY:
            self._not_before_s = now_s + self._settings.digest_s
        return 0.0

    async def _together(self, groups: Sequence[_Group], now: InstantNs) -> _Sent:
        """Send one message about several alarms; halves of it where the server refuses it for something in it."""
        sent = await self._try(groups, now)
        if sent is not _Sent.REFUSED or len(groups) == 1:
            return sent
        middle = len(groups) // 2
        for half in (groups[:middle], groups[middle:]):
            sent = await self._together(half, now)
            if sent is _Sent.AWAY:
                break
        return sent

    def _room_for(self, n: int, now_s: float) -> bool:
        """Tell whether `n` messages about one alarm each may go now."""
        while self._singles_s and now_s - self._singles_s[0] >= self._settings.digest_s:
            self._singles_s.popleft()
        return len(self._singles_s) + n <= self._settings.singly

    async def _try(self, groups: Sequence[_Group], now: InstantNs) -> _Sent:
        """Send one message, and keep what became of it."""
        news = sorted((each for group in groups for each in group.news), key=lambda each: each.number)
        message_id = id_of(news, self.name, self._settings.sender)
        thread = None
        if len(groups) == 1:
            thread = await asyncio.to_thread(self._queue.thread_of, self.name, news[0].id, message_id)
        message = letter(news, self._envelope, message_id, thread, now)
        try:
            refused, _ = await aiosmtplib.send(
                message,
                sender=self._settings.sender,
                recipients=list(self._envelope.to),
                hostname=self._settings.host,
                port=self._settings.port,
                timeout=self._settings.timeout_s,
                username=self._settings.username,
                password=self._password,
                use_tls=self._settings.security == "tls",
                start_tls=self._settings.security == "starttls",
                tls_context=self._tls,
            )
        except (aiosmtplib.SMTPException, OSError) as error:
            if _refuses(error) and self._n_refused < MOST_REFUSED:
                await self._put_off(groups, error, now)
                return _Sent.REFUSED
            self._n_refused = 0
            self._n_failed += 1
            self._metrics.attempts.labels(self.name, "away").inc()
            self._say(f"{type(error).__name__}: {error}"[:300])
            wait_s = backoff.delay_s(self._n_failed, self._rng)
            self._not_before_s = self._clock.monotonic_s() + wait_s
            return _Sent.AWAY
        self._n_failed = self._n_refused = 0
        self._metrics.attempts.labels(self.name, "delivered").inc()
        self._say(f"the server refuses {', '.join(refused)}"[:300] if refused else "")
        await asyncio.to_thread(self._queue.delivered, self.name, _numbers(news))
        return _Sent.TAKEN

    async def _put_off(self, groups: Sequence[_Group], error: Exception, now: InstantNs) -> None:
        """Keep that the server refuses a message for what is in it; that about one alarm waits, and no other."""
        self._n_refused += 1
        self._metrics.attempts.labels(self.name, "refused").inc()
        self._say(f"{type(error).__name__}: {error}"[:300])
        if len(groups) == 1:
            first = groups[0].first
            wait_s = backoff.delay_s(first.n_failed + 1, self._rng)
            due_ns = InstantNs(now + round(wait_s * NS_PER_S))
            await asyncio.to_thread(self._queue.failed, self.name, first.number, due_ns)

    @classmethod
    def of(
        cls,
        settings: MailSettings,
        recipient: MailRecipientSettings,
        queue: OutletQueue,
        feed: AlarmFeed,
        clock: Clock,
        metrics: OutletMetrics,
    ) -> Self:
        """Return the courier of a recipient. Raises `InvalidSetting` if a file cannot be used."""
        return cls(settings, recipient, queue, feed, clock, metrics, np.random.default_rng())


def _refuses(error: Exception) -> bool:
    """Tell whether a server has refused a message for good, once it had seen what is in it."""
    return isinstance(error, aiosmtplib.SMTPDataError) and 500 <= error.code < 600


def _numbers(news: Iterable[News]) -> list[int]:
    return [each.number for each in news]


def _trusting(settings: MailSettings) -> ssl.SSLContext | None:
    if settings.security == "none":
        return None
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise InvalidSetting(f"api.mail.ca_file = {str(settings.ca_file)!r}: {error}") from error

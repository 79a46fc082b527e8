"""E-mail: changes of alarms to people, one thread for each alarm, and together when they are many."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Iterable
from typing import Final, Self

import aiosmtplib
import numpy as np

from dyncal.domain.errors import InvalidSetting
from dyncal.domain.time import InstantNs
from dyncal.ports.clock import Clock
from dyncal.runtime.settings import read_secret
from services.api.outlets import backoff
from services.api.outlets.courier import LONGEST_S, Courier
from services.api.outlets.feed import AlarmFeed
from services.api.outlets.letters import Envelope, id_of, letter
from services.api.outlets.metrics import OutletMetrics
from services.api.outlets.news import News, read
from services.api.outlets.queue import OutletQueue
from services.api.outlets.settings import MailRecipientSettings, MailSettings

MOST_TOGETHER: Final = 200
"""Changes in one message; what is more waits for the next."""


class Mail(Courier):
    """One recipient.

    What cannot be sent waits and is tried again, with growing pauses, for as long as it takes.
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
        self._n_failed = 0
        self._not_before_s = 0.0  # this and the next by the clock that is never set
        self._singles_s: deque[float] = deque()

    async def _send(self, now: InstantNs) -> float:
        now_s = self._clock.monotonic_s()
        if now_s < self._not_before_s:
            return self._not_before_s - now_s
        waiting = await asyncio.to_thread(self._queue.all, self.name, MOST_TOGETHER)
        if not waiting:
            return LONGEST_S
        news = [read(each.document) for each in waiting]
        by_alarm: dict[str, list[News]] = {}
        for each in news:
            by_alarm.setdefault(each.id, []).append(each)
        if self._room_for(len(by_alarm), now_s):
            for group in by_alarm.values():
                if not await self._try(group, now):
                    break
                self._singles_s.append(now_s)
        elif await self._try(news, now):
            self._not_before_s = now_s + self._settings.digest_s
        return 0.0

    def _room_for(self, n: int, now_s: float) -> bool:
        """Tell whether `n` messages about one alarm each may go now."""
        while self._singles_s and now_s - self._singles_s[0] >= self._settings.digest_s:
            self._singles_s.popleft()
        return len(self._singles_s) + n <= self._settings.singly

    async def _try(self, news: list[News], now: InstantNs) -> bool:
        """Send one message, and keep what became of it."""
        message_id = id_of(news, self.name, self._settings.sender)
        thread = None
        if len({each.id for each in news}) == 1:
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
            self._n_failed += 1
            self._metrics.attempts.labels(self.name, "away").inc()
            self._say(f"{type(error).__name__}: {error}"[:300])
            wait_s = backoff.delay_s(self._n_failed, self._rng)
            self._not_before_s = self._clock.monotonic_s() + wait_s
            return False
        self._n_failed = 0
        self._metrics.attempts.labels(self.name, "delivered").inc()
        self._say(f"the server refuses {', '.join(refused)}"[:300] if refused else "")
        await asyncio.to_thread(self._queue.delivered, self.name, _numbers(news))
        return True

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


def _numbers(news: Iterable[News]) -> list[int]:
    return [each.number for each in news]


def _trusting(settings: MailSettings) -> ssl.SSLContext | None:
    if settings.security == "none":
        return None
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise InvalidSetting(f"api.mail.ca_file = {str(settings.ca_file)!r}: {error}") from error

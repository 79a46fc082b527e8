"""Webhooks: each change of an alarm posted as JSON, signed, until the receiver has taken it.

Headers, signature and the outer shape of the body are those of Standard Webhooks 1.0.0.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from typing import Final, Self

import httpx
import msgspec
import numpy as np

from dyncal.domain.errors import InvalidSetting
from dyncal.domain.time import NS_PER_S, InstantNs, to_datetime
from dyncal.ports.clock import Clock
from dyncal.runtime.logging import logger
from dyncal.runtime.settings import read_secret
from services.api.outlets import backoff, signing
from services.api.outlets.courier import LONGEST_S, Courier
from services.api.outlets.feed import AlarmFeed
from services.api.outlets.metrics import OutletMetrics
from services.api.outlets.news import News, read
from services.api.outlets.queue import OutletQueue, Waiting
from services.api.outlets.settings import WebhookSettings
from services.api.outlets.standing import host_of

MOST_ANSWER_BYTES: Final = 64 << 10
GONE: Final = 410
_BUSY: Final = (408, 425, 429)

log = logger("api")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt.

    Attributes
    ----------
    status : int
        Of HTTP; 0 where there was no answer.
    fault : str
        '' where the receiver took the message.
    asked_s : float, optional
        How long the receiver asks to be left alone.
    """

    status: int
    fault: str
    asked_s: float | None = None

    @property
    def away(self) -> bool:
        """True if the receiver as a whole cannot take anything now, as against this one message."""
        return bool(self.fault) and (self.status == 0 or self.status in _BUSY or self.status >= 500)

    @property
    def word(self) -> str:
        """For metrics."""
        return "delivered" if not self.fault else "gone" if self.status == GONE else "away" if self.away else "refused"


class Webhook(Courier):
    """One receiver.

    A receiver that does not answer, or answers 408, 425, 429 or 5xx, is left alone for a growing time and then tried
    with one message; other refusals hold up only the alarm that the message is about. 410 ends it until the service is
    started again; what happens meanwhile is not lost, and is delivered then.
    """

    way = "webhook"

    def __init__(
        self,
        settings: WebhookSettings,
        queue: OutletQueue,
        feed: AlarmFeed,
        clock: Clock,
        metrics: OutletMetrics,
        rng: np.random.Generator,
    ) -> None:
        super().__init__(settings.name, host_of(settings.url), settings.filter, queue, feed, clock, metrics)
        self._settings, self._rng = settings, rng
        self._keys = signing.read_keys(settings.secret_file, f"api.webhooks.{settings.name}.secret_file")
        self._token = _token(settings)
        self._tls = _trusting(settings)
        self._client: httpx.AsyncClient
        self._n_away = 0
        self._paused_until_s = 0.0  # by the clock that is never set
        self._gone = False

    @property
    def disabled(self) -> bool:
        """True where the receiver has answered 410."""
        return self._gone

    async def _begin(self, stack: contextlib.AsyncExitStack) -> None:
        headers = {"content-type": "application/json", "user-agent": "dyncal", "accept-encoding": "identity"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        self._client = await stack.enter_async_context(
            httpx.AsyncClient(
                verify=self._tls,
                headers=headers,
                timeout=self._settings.timeout_s,
                follow_redirects=False,
                trust_env=False,
                limits=httpx.Limits(max_connections=self._settings.at_once),
            )
        )

    async def _send(self, now: InstantNs) -> float:
        if self._gone:
            return LONGEST_S
        pause_s = self._paused_until_s - self._clock.monotonic_s()
        if pause_s > 0:
            await asyncio.sleep(min(LONGEST_S, pause_s))  # news do not end a pause
            return 0.0
        if not self._n_away and not await self._tell_of_loss():
            return 0.0
        limit = 1 if self._n_away else self._settings.at_once
        due = await asyncio.to_thread(self._queue.due, self.name, now, limit)
        if not due:
            return await self._until_due(now)
        await asyncio.gather(*(self._deliver(waiting) for waiting in due))
        return 0.0

    async def _deliver(self, waiting: Waiting) -> None:
        news = read(waiting.document)
        outcome = await self._post(news.event_id, body_of(news))
        await self._settle(waiting, news, outcome)

    async def _settle(self, waiting: Waiting, news: News, outcome: Outcome) -> None:
        """Keep what became of an attempt."""
        self._heed(outcome)
        if not outcome.fault:
            await asyncio.to_thread(self._queue.delivered, self.name, [waiting.number])
            return
        now = self._clock.now()
        refuses = not outcome.away and outcome.status != GONE
        refused_h = 0.0 if waiting.refused_ns is None else (now - waiting.refused_ns) / NS_PER_S / 3600
        if refuses and refused_h > self._settings.give_up_h:
            await asyncio.to_thread(self._queue.give_up, self.name, waiting.number)
            self._metrics.given_up.labels(self.name).inc()
            log.error("outlet_gave_up", target=self.name, event_id=news.event_id, alarm=news.id, error=outcome.fault)
            return
        # Where the receiver is away the pause of the whole target says when; the message itself stays due.
        wait_s = 0.0 if outcome.away else outcome.asked_s or backoff.delay_s(waiting.n_failed + 1, self._rng)
        await asyncio.to_thread(
            self._queue.failed, self.name, waiting.number, _later(now, wait_s), refused_ns=now if refuses else None
        )

    def _heed(self, outcome: Outcome) -> None:
        """Draw from an attempt what it means for the receiver as a whole."""
        self._metrics.attempts.labels(self.name, outcome.word).inc()
        self._say(outcome.fault)
        if outcome.status == GONE:
            self._gone = True
            self._metrics.disabled.labels(self.name).set(1)
            log.error("outlet_disabled", target=self.name, why="the receiver answered 410 Gone")
            self._say("disabled: the receiver answered 410 Gone; tried again when the service is started again")
        elif outcome.away:
            self._n_away += 1
            wait_s = outcome.asked_s or backoff.delay_s(self._n_away, self._rng)
            self._paused_until_s = max(self._paused_until_s, self._clock.monotonic_s() + wait_s)
        else:
            self._n_away = 0

    async def _tell_of_loss(self) -> bool:
        """Tell the receiver how many changes were given up since it was last told; return whether it knows."""
        n = (await asyncio.to_thread(self._queue.account, self.name)).n_untold
        if not n:
            return True
        now = self._clock.now()
        outcome = await self._post(f"loss-{now}", _body("changes.given_up", f"loss-{now}", now, b'{"n":%d}' % n))
        self._heed(outcome)
        if outcome.fault:
            return not outcome.away and outcome.status != GONE  # a receiver that refuses to know is not held up by it
        await asyncio.to_thread(self._queue.told, self.name, n)
        return True

    async def _post(self, message_id: str, body: bytes) -> Outcome:
        at_s = self._clock.now() // NS_PER_S
        headers = signing.headers(self._keys, message_id, at_s, body)
        try:
            async with (
                asyncio.timeout(self._settings.timeout_s),
                self._client.stream("POST", self._settings.url, content=body, headers=headers) as answer,
            ):
                n = 0
                async for part in answer.aiter_raw():  # a connection is used again only if its answer was read
                    n += len(part)
                    if n > MOST_ANSWER_BYTES:
                        break
        except TimeoutError:
            return Outcome(0, f"no answer within {self._settings.timeout_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            return Outcome(0, f"{type(error).__name__}: {error}"[:300])
        if answer.is_success:
            return Outcome(answer.status_code, "")
        what = "redirects, which is not followed" if answer.is_redirect else "answers"
        fault = f"the receiver {what}: {answer.status_code} {answer.reason_phrase[:60]}"
        return Outcome(answer.status_code, fault, backoff.asked_s(answer.headers.get("retry-after"), self._clock.now()))

    @classmethod
    def of(
        cls, settings: WebhookSettings, queue: OutletQueue, feed: AlarmFeed, clock: Clock, metrics: OutletMetrics
    ) -> Self:
        """Return the courier of a receiver. Raises `InvalidSetting` if one of its files cannot be used."""
        return cls(settings, queue, feed, clock, metrics, np.random.default_rng())


def body_of(news: News) -> bytes:
    """Return the body of the message about a change: type, instant and id of the change, and the alarm."""
    return _body(f"alarm.{news.event}", news.event_id, InstantNs(news.told_ns), news.document)


def _body(kind: str, message_id: str, at_ns: InstantNs, data: bytes) -> bytes:
    at = to_datetime(at_ns).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return msgspec.json.encode({"type": kind, "id": message_id, "timestamp": at, "data": msgspec.Raw(data)})


def _later(now: InstantNs, wait_s: float) -> InstantNs:
    return InstantNs(now + round(wait_s * NS_PER_S))


def _token(settings: WebhookSettings) -> str | None:
    key = f"api.webhooks.{settings.name}.token_file"
    token = read_secret(settings.token_file, None, key)
    if token and not all("!" <= each <= "~" for each in token):
        raise InvalidSetting(f"{key} = {str(settings.token_file)!r}: a token is printable ASCII without spaces")
    return token


def _trusting(settings: WebhookSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise InvalidSetting(f"api.webhooks.{settings.name}.ca_file = {str(settings.ca_file)!r}: {error}") from error

"""The loop of one target: take over what is new, send what is due, wait."""

from __future__ import annotations

import abc
import asyncio
import contextlib
from typing import Final

from dyncal.domain.errors import DyncalError
from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.ports.clock import Clock
from dyncal.runtime.logging import logger
from services.api.outlets.feed import AlarmFeed
from services.api.outlets.metrics import OutletMetrics
from services.api.outlets.news import Filter
from services.api.outlets.queue import Account, OutletQueue
from services.api.outlets.standing import OutletStanding, OutletState

LONGEST_S: Final = 30.0
RETRY_S: Final = 5.0

log = logger("api")


class Courier(abc.ABC):
    """Delivers the changes of alarms that one target wants, in order for each alarm, until each is delivered.

    Attributes
    ----------
    fault : str
        What is wrong now; '' where nothing is.
    way, where : str
        As in `OutletStanding`.
    """

    way = ""

    def __init__(
        self,
        name: str,
        where: str,
        wanted: Filter,
        queue: OutletQueue,
        feed: AlarmFeed,
        clock: Clock,
        metrics: OutletMetrics,
    ) -> None:
        self.name, self.where = name, where
        self.fault = ""
        self._account: Account | None = None
        self._n_unread = 0
        self._wanted, self._queue, self._feed, self._clock, self._metrics = wanted, queue, feed, clock, metrics
        self._news = asyncio.Event()

    @property
    def disabled(self) -> bool:
        """True where the receiver wants no more."""
        return False

    def standing(self) -> OutletStanding:
        """Return how it stands, as it was after the last attempt."""
        account = self._account
        if self.disabled:
            state = OutletState.DISABLED
        elif self.fault:
            state = OutletState.FAILS
        else:
            state = OutletState.STARTING if account is None else OutletState.WORKS
        known = account or Account(0, None, 0, 0, 0, 0)
        return OutletStanding(
            self.name,
            self.way,
            self.where,
            state,
            self.fault,
            known.n_waiting,
            self._n_unread,
            known.oldest_ns,
            known.n_delivered,
            known.n_given_up,
        )

    def wake(self) -> None:
        """Look for news now."""
        self._news.set()

    async def run(self) -> None:
        """Work until cancelled. What goes wrong is told in `fault`, and tried again."""
        async with contextlib.AsyncExitStack() as stack:
            await self._begin(stack)
            me = asyncio.current_task()
            # A library may take a cancellation for a lost connection; then it counts all the same.
            while me is None or not me.cancelling():
                self._news.clear()
                try:
                    wait_s = await self._round()
                except DyncalError as error:  # the registry or the queue's file is away
                    self._say(str(error))
                    wait_s = RETRY_S
                except Exception as error:  # one target must not end the service for all; what it lacks still waits
                    log.exception("outlet_failed", target=self.name)
                    self._say(f"{type(error).__name__}: {error}"[:300])  # its repr may hold what it was about: a secret
                    wait_s = RETRY_S
                if wait_s > 0:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(min(wait_s, LONGEST_S)):
                            await self._pause()

    async def _pause(self) -> None:
        await self._news.wait()

    async def _begin(self, stack: contextlib.AsyncExitStack) -> None:
        """Open what is needed to send; nothing, unless a target needs something."""
        del stack

    @abc.abstractmethod
    async def _send(self, now: InstantNs) -> float:
        """Send something of what is due, if anything is; return how long to wait before the next call [s]."""

    async def _round(self) -> float:
        now = self._clock.now()
        n_read = await asyncio.to_thread(self._queue.fill, self.name, self._feed, self._wanted.takes, now)
        await asyncio.to_thread(self._take_stock)  # before too: an attempt may take long
        wait_s = await self._send(now)
        account = await asyncio.to_thread(self._take_stock)
        self._metrics.waiting.labels(self.name).set(account.n_waiting)
        oldest = 0.0 if account.oldest_ns is None else (self._clock.now() - account.oldest_ns) / NS_PER_S
        self._metrics.oldest_s.labels(self.name).set(max(oldest, 0.0))
        return 0.0 if n_read else wait_s  # there may be more

    def _take_stock(self) -> Account:
        account = self._account = self._queue.account(self.name)
        self._n_unread = max(self._feed.newest() - account.last, 0)
        return account

    async def _until_due(self, now: InstantNs) -> float:
        due = await asyncio.to_thread(self._queue.next_due, self.name)
        return LONGEST_S if due is None else max(0.0, (due - now) / NS_PER_S)

    def _say(self, fault: str) -> None:
        """Keep what is wrong, and log it when it changes; it may be in the words of who answered."""
        fault = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in fault)
        if fault != self.fault:
            log.warning("outlet_fails", target=self.name, error=fault) if fault else log.info(
                "outlet_works", target=self.name
            )
        self.fault = fault

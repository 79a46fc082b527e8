"""All outlets of one service: made from the settings, run together, and what is wrong with each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from prometheus_client import CollectorRegistry

from dyncal.domain.errors import Unavailable
from dyncal.ports.clock import Clock
from dyncal.runtime.logging import logger
from services.api.outlets.courier import Courier
from services.api.outlets.feed import AlarmFeed
from services.api.outlets.metrics import OutletMetrics
from services.api.outlets.queue import OutletQueue
from services.api.outlets.settings import MailSettings, WebhookSettings

LOOK_S: Final = 1.0

log = logger("api")


class Outlets:
    """The couriers of all targets, and who wakes them.

    An outlet that fails does not make the service unready: it serves all others.
    """

    def __init__(self, couriers: Sequence[Courier], queue: OutletQueue | None, feed: AlarmFeed) -> None:
        self._couriers, self._queue, self._feed = couriers, queue, feed
        self._newest = -1

    @classmethod
    def make(
        cls,
        webhooks: Sequence[WebhookSettings],
        mail: MailSettings | None,
        *,
        queue_file: Path,
        feed: AlarmFeed,
        clock: Clock,
        metrics: CollectorRegistry,
    ) -> Self:
        """Return the outlets that the settings ask for. Blocks.

        Raises
        ------
        InvalidSetting
            If a file that they name cannot be used.
        StoreUnavailable
            If the queue's file cannot be opened.
        """
        if not webhooks and (mail is None or not mail.recipients):
            return cls([], None, feed)
        # Only who has webhooks needs an HTTP client.
        from services.api.outlets.webhook import Webhook  # noqa: PLC0415

        counters = OutletMetrics(metrics)
        queue = OutletQueue(queue_file)
        try:
            couriers: list[Courier] = [Webhook.of(each, queue, feed, clock, counters) for each in webhooks]
        except BaseException:
            queue.close()
            raise
        return cls(couriers, queue, feed)

    def faults(self) -> dict[str, str]:
        """Return what is wrong with each target, as in ``{"outlet.cmms": "..."}``; '' where nothing is."""
        return {f"outlet.{courier.name}": courier.fault for courier in self._couriers}

    def wake(self) -> None:
        """Have all targets look for news now."""
        for courier in self._couriers:
            courier.wake()

    async def run(self) -> None:
        """Work until cancelled."""
        if not self._couriers:
            return
        async with asyncio.TaskGroup() as group:
            for courier in self._couriers:
                group.create_task(courier.run(), name=f"api-outlet-{courier.name}")
            group.create_task(self._look(), name="api-outlets")

    async def _look(self) -> None:
        """Wake the couriers when the history has grown, whoever wrote it."""
        while True:
            try:
                newest = await asyncio.to_thread(self._feed.newest)
            except Unavailable:
                newest = self._newest  # the couriers say so themselves
            if newest != self._newest:
                self._newest = newest
                self.wake()
            await asyncio.sleep(LOOK_S)

    def close(self) -> None:
        """Close the queue's file; idempotent."""
        if self._queue is not None:
            self._queue.close()

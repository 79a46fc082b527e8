"""All outlets of one service: made from the settings, run together, and what is wrong with each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from prometheus_client import CollectorRegistry

from dyncal.domain.errors import Unavailable
from dyncal.ports.clock import Clock
from dyncal.runtime.logging import logger
from services.api.outlets.courier import Courier
from services.api.outlets.feed import AlarmFeed
from services.api.outlets.metrics import OutletMetrics
from services.api.outlets.queue import OutletQueue
from services.api.outlets.settings import MailSettings, WebhookSettings
from services.api.outlets.standing import OutletStanding

if TYPE_CHECKING:
    from services.api.deps import Deps
    from services.api.outlets.opcua.server import OpcuaOutlet
    from services.api.settings import ApiSettings

LOOK_S: Final = 0.5

log = logger("api")


class Outlets:
    """The couriers of all targets, and who wakes them.

    An outlet that fails does not make the service unready: it serves all others.
    """

    def __init__(
        self, couriers: Sequence[Courier], queue: OutletQueue | None, feed: AlarmFeed, opcua: OpcuaOutlet | None = None
    ) -> None:
        self._couriers, self._queue, self._feed, self._opcua = couriers, queue, feed, opcua
        self._all: list[Courier | OpcuaOutlet] = [*couriers, *([] if opcua is None else [opcua])]
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
        opcua: OpcuaOutlet | None = None,
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
            return cls([], None, feed, opcua)
        # Who has no outlets needs no clients for them.
        from services.api.outlets.mail import Mail  # noqa: PLC0415
        from services.api.outlets.webhook import Webhook  # noqa: PLC0415

        counters = OutletMetrics(metrics)
        queue = OutletQueue(queue_file)
        try:
            couriers: list[Courier] = [Webhook.of(each, queue, feed, clock, counters) for each in webhooks]
            if mail is not None:
                couriers += [Mail.of(mail, each, queue, feed, clock, counters) for each in mail.recipients]
        except BaseException:
            queue.close()
            raise
        return cls(couriers, queue, feed, opcua)

    def faults(self) -> dict[str, str]:
        """Return what is wrong with each target, as in ``{"outlet.cmms": "..."}``; '' where nothing is."""
        return {f"outlet.{each.name}": each.fault for each in self._all}

    def standing(self) -> list[OutletStanding]:
        """Return how each target stands."""
        return [each.standing() for each in self._all]

    def wake(self) -> None:
        """Have all targets look for news now."""
        for each in self._all:
            each.wake()

    async def run(self) -> None:
        """Work until cancelled."""
        if not self._all:
            return
        async with asyncio.TaskGroup() as group:
            for each in self._all:
                group.create_task(each.run(), name=f"api-outlet-{each.name}")
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


def outlets_of(settings: ApiSettings, deps: Deps) -> Outlets:
    """Return the outlets that a service's settings ask for. Blocks. Raises as `Outlets.make`."""
    from services.api.alarms.feed import DeskOrders, RegistryFeed  # noqa: PLC0415 - it knows us

    feed = RegistryFeed(deps.registry, deps.desk)
    opcua = None
    if settings.api.opcua.enabled:
        from services.api.outlets.opcua.conditions import Conditions  # noqa: PLC0415 - the library is large
        from services.api.outlets.opcua.plant import ServicePlant  # noqa: PLC0415
        from services.api.outlets.opcua.server import OpcuaOutlet  # noqa: PLC0415

        opcua = OpcuaOutlet(
            settings.api.opcua,
            settings.data_dir / "opcua-server",
            ServicePlant(settings.site, deps),
            Conditions(),
            feed,
            DeskOrders(deps),
            deps.clock,
        )
    return Outlets.make(
        settings.api.webhooks,
        settings.api.mail,
        queue_file=settings.data_dir / "outlets.sqlite",
        feed=feed,
        clock=deps.clock,
        metrics=deps.metrics.registry,
        opcua=opcua,
    )

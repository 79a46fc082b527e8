"""The ingest service: from the broker to the time-series store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import numpy as np

from dyncal.adapters.ledger import SqliteLedger
from dyncal.adapters.mqtt import open_bus
from dyncal.adapters.stores import open_store
from dyncal.ports.clock import Clock
from dyncal.ports.history import HistoryStore
from dyncal.ports.ledger import Ledger
from dyncal.ports.message_bus import MessageBus
from dyncal.ports.registry import Registry
from dyncal.runtime import metrics as metrics_server
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.collecting import collect_seldom
from dyncal.runtime.following import Follower, follower
from dyncal.runtime.logging import Logger, logger
from dyncal.runtime.quarantine import Quarantine
from dyncal.runtime.service import Health, Service
from services.ingest.metrics import IngestMetrics
from services.ingest.persisting import Persister
from services.ingest.pipeline import IngestPipeline, Limits
from services.ingest.retention.keeper import LOCK_FILE, Keeper, Reducing
from services.ingest.settings import IngestSection, IngestSettings
from services.ingest.shell import Shell, Standing
from services.ingest.worker import Worker

LEDGER_FILE = "ingest-ledger.sqlite"

BusFactory = Callable[[], AbstractAsyncContextManager[MessageBus]]


def build(settings: IngestSettings, clock: Clock | None = None) -> Service:
    """Return the service on the broker and the store of `settings`."""
    section, data_dir = settings.ingest, settings.data_dir
    client_id = section.client_id or f"dyncal-ingest-{settings.site}"
    return IngestService(
        section,
        open_bus=lambda: open_bus(settings.broker, client_id),
        open_store=lambda: open_store(settings.store, data_dir),
        open_ledger=lambda: SqliteLedger(data_dir / LEDGER_FILE),
        reducing=Reducing(lambda: _registry(settings), data_dir / LOCK_FILE)
        if section.retention.policy.stages
        else None,
        quarantine_dir=data_dir / "quarantine" / "ingest",
        clock=SystemClock() if clock is None else clock,
        rng=np.random.default_rng(),
        follower=follower(settings.trace, "ingest", logger("ingest")),
    )


class IngestService:
    """See `dyncal.runtime.service.Service`.

    Parameters
    ----------
    open_bus : callable
        Returns the bus, to be entered.
    open_store, open_ledger : callable
        Called in the worker thread; may raise `StoreUnavailable`, then they are called again later.
    reducing : Reducing, optional
        What is needed where samples are kept for a time only.
    rng : numpy Generator
        Spreads repetitions in time.
    """

    name = "ingest"

    def __init__(
        self,
        section: IngestSection,
        *,
        open_bus: BusFactory,
        open_store: Callable[[], HistoryStore],
        open_ledger: Callable[[], Ledger],
        quarantine_dir: Path,
        clock: Clock,
        rng: np.random.Generator,
        reducing: Reducing | None = None,
        follower: Follower | None = None,
    ) -> None:
        self._follower = follower
        self._section = section
        self._open_bus = open_bus
        self._open_store = open_store
        self._open_ledger = open_ledger
        self._reducing = reducing
        self._quarantine_dir = quarantine_dir
        self._clock = clock
        self._rng = rng
        self._standing = Standing()
        self._shell: Shell | None = None
        self.metrics = IngestMetrics()
        metrics_server.tell_of_program(self.metrics.registry, self.name, self.health)

    def health(self) -> Health:
        """Tell how broker and store stand."""
        broker = "" if self._standing.connected() else "not connected"
        parts = {"broker": broker, "store": self._standing.store_trouble}
        return Health(not any(parts.values()), parts)

    def follow(self, settings: IngestSettings) -> Callable[[], None]:
        """See `dyncal.runtime.reload.Following`."""

        def take_up() -> None:
            self._section = settings.ingest
            if self._shell is not None:
                self._shell.follow(_limits(settings.ingest), settings.ingest.ledger_interval_s)

        return take_up

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; then finish what is there, as far as the store lets in 3 s. What is not stays unacked."""
        collect_seldom()
        section = self._section
        if section.metrics_port:
            metrics_server.serve(self.metrics.registry, section.metrics_port, section.metrics_host, self.health)
        log = logger(self.name)
        persister = Persister(self._open_store, self._open_ledger, self._quarantine, log)
        worker = Worker("ingest-store")
        keeper = self._keeper(worker, persister, log)
        try:
            async with self._open_bus() as bus:
                pipeline = IngestPipeline(_limits(section), self._rng)
                shell = self._shell = Shell(
                    bus, worker, persister, pipeline, self.metrics, self._standing, self._clock, log,
                    report_s=section.ledger_interval_s, beside=None if keeper is None else keeper.run,
                    follower=self._follower,
                )  # fmt: skip
                await shell.run(stop)
        finally:
            await worker.finish(lambda: _close(persister, keeper))
            if self._follower is not None:
                await asyncio.to_thread(self._follower.close)

    def _keeper(self, worker: Worker, persister: Persister[HistoryStore], log: Logger) -> Keeper | None:
        section = self._section.retention
        if self._reducing is None:
            return None
        return Keeper(
            worker, persister.opened_store, self._reducing, section.policy, self.metrics, self._clock, log,
            again_s=section.again_s, share=section.share,
        )  # fmt: skip

    def _quarantine(self) -> Quarantine:
        section = self._section
        return Quarantine(self._quarantine_dir, max_files=section.quarantine_files, max_bytes=section.quarantine_bytes)


def _close(persister: Persister[HistoryStore], keeper: Keeper | None) -> None:
    if keeper is not None:
        keeper.close()
    persister.close()


def _registry(settings: IngestSettings) -> Registry:
    from dyncal.adapters.registry import open_registry  # noqa: PLC0415  # SQLAlchemy, for those who reduce only

    return open_registry(settings.registry, settings.data_dir)


def _limits(section: IngestSection) -> Limits:
    return Limits(**{name: getattr(section, name) for name in Limits.__dataclass_fields__})

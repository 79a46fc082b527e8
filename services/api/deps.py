"""What the application is made of, and how a request gets at it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Self, cast

from fastapi import Depends, Request

from dyncal.alarms.flood import FloodSettings
from dyncal.ports.clock import Clock
from dyncal.ports.history import HistoryStore
from dyncal.ports.registry import Registry
from dyncal.runtime.health import Health
from dyncal.runtime.metrics import tell_of_program
from services.api.access.entrance import Entrance
from services.api.access.needs import Admin, Engineer, Operator, Viewer, needs
from services.api.access.principal import Principal
from services.api.alarms.clerk import AlarmClerk
from services.api.alarms.desk import AlarmDesk
from services.api.catalogue import CatalogueCache
from services.api.commissioning import CommissioningDesk
from services.api.documents import EdgeDocuments
from services.api.edges import EdgeDirectory, LedgerBook
from services.api.health import HealthBook
from services.api.hub import LiveHub
from services.api.jobs.desk import JobDesk
from services.api.metrics import ApiMetrics
from services.api.outlets.standing import OutletBoard
from services.api.residuals import ResidualFigures
from services.api.settings import ApiSection
from services.api.speaking import EdgeVoice, KeyLists
from services.api.trail import TrailCheck
from services.api.trends import TrendBook
from services.api.watch import Watcher

__all__ = ["Admin", "Deps", "DepsOf", "Engineer", "Operator", "Parts", "Principal", "Viewer", "needs"]

CONSOLE_DIST = Path(__file__).parent / "console" / "dist"


@dataclass(slots=True)
class Parts:
    """What the service depends on, and what is wrong with each ('' when nothing is); written by the service."""

    faults: dict[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """True while nothing is wrong."""
        return not any(self.faults.values())


@dataclass(frozen=True, slots=True)
class Deps:
    """Everything that a request may need. Nothing in here is opened or started by the application."""

    registry: Registry
    store: HistoryStore
    hub: LiveHub
    edges: EdgeDirectory
    ledgers: LedgerBook
    health: HealthBook
    watcher: Watcher
    catalogue: CatalogueCache
    documents: EdgeDocuments
    commissioning: CommissioningDesk
    jobs: JobDesk
    clock: Clock
    metrics: ApiMetrics
    settings: ApiSection
    parts: Parts
    console: Path
    entrance: Entrance
    desk: AlarmDesk
    clerk: AlarmClerk
    outlets: OutletBoard = field(default_factory=OutletBoard)
    trends: TrendBook = field(default_factory=TrendBook)
    residuals: ResidualFigures = field(default_factory=ResidualFigures)
    voice: EdgeVoice = field(default_factory=EdgeVoice)
    keys: KeyLists = field(default_factory=KeyLists)
    trail: TrailCheck = field(default_factory=TrailCheck)
    changing: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever changes pairings, from looking until it is written: no other process changes them."""

    @classmethod
    def make(
        cls,
        registry: Registry,
        store: HistoryStore,
        clock: Clock,
        settings: ApiSection | None = None,
        *,
        console: Path = CONSOLE_DIST,
    ) -> Self:
        """Return what an application over `registry` and `store` needs."""
        settings = settings or ApiSection()
        metrics, parts = ApiMetrics(), Parts()
        tell_of_program(metrics.registry, "api", lambda: Health(parts.ready, dict(parts.faults)))
        catalogue = CatalogueCache(registry)
        hub = LiveHub(clock, settings, metrics)
        floods = settings.alarms
        desk = AlarmDesk(
            registry,
            FloodSettings(floods.n_operators, floods.flood_begin, floods.flood_end, floods.flood_keeps),
        )
        edges = EdgeDirectory()
        return cls(
            registry,
            store,
            hub,
            edges,
            LedgerBook(),
            HealthBook(),
            Watcher(registry),
            catalogue,
            EdgeDocuments(registry),
            CommissioningDesk(registry, edges, clock),
            JobDesk(registry, store, clock, metrics),
            clock,
            metrics,
            settings,
            parts,
            console,
            Entrance(registry, clock, settings.access, tls=settings.tls is not None),
            desk,
            AlarmClerk(desk, hub, clock, metrics),
        )


def get_deps(request: Request) -> Deps:
    """Return what the application was made of."""
    return cast(Deps, request.app.state.deps)


DepsOf = Annotated[Deps, Depends(get_deps)]

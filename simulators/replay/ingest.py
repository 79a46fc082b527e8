"""Ingest of a replay: its pipeline and its persister, called at instants of the simulated clock."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from dyncal.domain.time import NS_PER_S, InstantNs
from dyncal.ports.clock import Clock
from dyncal.ports.ledger import Ledger
from dyncal.ports.sample_store import SampleStore
from dyncal.runtime.logging import logger
from dyncal.runtime.quarantine import Quarantine
from services.ingest.persisting import Persister
from services.ingest.pipeline import (
    Ack,
    Announce,
    Arrived,
    Effect,
    IngestPipeline,
    Limits,
    LookedUp,
    LookUp,
    Persist,
    Persisted,
    Stopping,
    Tick,
)
from simulators.replay.wires import Handed, Wire

_MARGIN_NS: Final = 1_000  # seconds as floats tell instants of today to a quarter of that


class IngestDriver:
    """Ingest, whose store answers at once."""

    def __init__(
        self, store: SampleStore, ledger: Ledger, quarantine_dir: Path, clock: Clock, limits: Limits, seed: int
    ) -> None:
        self._clock = clock
        self._persister = Persister(
            lambda: store,
            lambda: ledger,
            lambda: Quarantine(quarantine_dir, max_files=1000, max_bytes=64 << 20),
            logger("ingest"),
        )
        self._pipeline = IngestPipeline(limits, np.random.default_rng(seed))
        self.n_quarantined = 0

    def take(self, messages: Sequence[Wire]) -> list[Wire]:
        """Take messages that arrive together; return what is published."""
        deliveries = [Handed(topic, payload) for topic, payload in messages]
        return self._perform(self._pipeline.handle(Arrived(deliveries, self._clock.monotonic_s())))

    def tick(self) -> list[Wire]:
        """Let time pass."""
        return self._perform(self._pipeline.handle(Tick(self._clock.monotonic_s(), self._clock.now())))

    def stop(self) -> list[Wire]:
        """Store what waits."""
        return self._perform(self._pipeline.handle(Stopping())) + self.tick() + self.tick()

    def next_ns(self) -> int | None:
        """Return the instant at which `tick` has something to do."""
        due_s = self._pipeline.next_s()
        if due_s is None:
            return None
        return self._clock.now() if due_s == -math.inf else math.ceil(due_s * NS_PER_S) + _MARGIN_NS

    def _perform(self, effects: list[Effect]) -> list[Wire]:
        said: list[Wire] = []
        waiting = list(reversed(effects))
        while waiting:
            effect = waiting.pop()
            match effect:
                case Persist(batch):
                    outcome = self._persister.persist(batch, InstantNs(self._clock.now()))
                    self.n_quarantined += len(outcome.quarantined)
                    event = Persisted(outcome.watermarks, self._clock.monotonic_s())
                    waiting.extend(reversed(self._pipeline.handle(event)))
                case LookUp(birth):
                    upto = self._persister.look_up(birth)
                    event_ = LookedUp(birth, upto, self._clock.monotonic_s())
                    waiting.extend(reversed(self._pipeline.handle(event_)))
                case Announce(address, payload):
                    said.append(Wire(address.committed, payload))
                case Ack():
                    pass
        return said

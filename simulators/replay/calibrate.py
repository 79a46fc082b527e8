"""Calibration of a replay: its worker, called at instants of the simulated clock; and who enters births."""

from __future__ import annotations

from collections.abc import Sequence

from dyncal.contracts import topics
from dyncal.domain.sensors import SensorId, SiteId
from dyncal.domain.time import InstantNs
from dyncal.ports.clock import Clock
from dyncal.ports.records import Act, SetRecord
from dyncal.ports.registry import Registry
from dyncal.ports.sample_store import SampleStore
from dyncal.ports.signing import Signer
from dyncal.runtime.logging import logger
from services.api.births import decode_status, read_birth
from services.calibrate import intake
from services.calibrate.metrics import CalibrateMetrics
from services.calibrate.settings import CalibrateSection
from services.calibrate.worker import Arrived, Worker
from simulators.replay.wires import Wire

_MOST_SETS = 1_000_000


class CalibrateDriver:
    """Calibration: what it does at an instant is done at once."""

    def __init__(
        self,
        rules: CalibrateSection,
        registry: Registry,
        store: SampleStore,
        signer: Signer,
        clock: Clock,
        site: SiteId,
    ) -> None:
        self._registry, self._clock = registry, clock
        log = logger("calibrate")
        self._worker = Worker(rules, registry, store, signer, clock, CalibrateMetrics(), log, site)

    def enter(self, birth: Wire) -> None:
        """Enter an edge's sensors and pairings into the registry, as the API does."""
        address = topics.parse(birth.topic).address
        found = read_birth(decode_status(birth.payload), address.site, address.edge, {}, {})
        act = Act(f"edge:{address.edge}", InstantNs(self._clock.now()), "birth")
        self._registry.put_sensors(found.sensors, found.pairings, act)

    def take(self, messages: Sequence[Wire]) -> list[Wire]:
        """Take messages that arrive together, samples last; return what is published."""
        jobs = [Arrived(*message) for message in messages]
        first = [job for job in jobs if not intake.is_samples(job.topic)]
        rest = [job for job in jobs if intake.is_samples(job.topic)]
        return self._said(self._worker.process([*first, *rest]))

    def look(self) -> list[Wire]:
        """Look whether the registry has changed."""
        return self._said(self._worker.process([None]))

    def connect(self) -> list[Wire]:
        """Say all that the broker may not have."""
        return self._said(self._worker.process([self._worker.connected()]))

    def tick(self) -> list[Wire]:
        """Let time pass."""
        return self._said(self._worker.process([self._worker.tick()]))

    def sets(self) -> list[SetRecord]:
        """Return all sets that were made, and where they stand."""
        return self._registry.sets(limit=_MOST_SETS)

    def sensors(self) -> list[SensorId]:
        """Return the sensors that are calibrated."""
        return sorted(self._worker.engine.trackers)

    @staticmethod
    def _said(messages: Sequence[tuple[str, bytes]]) -> list[Wire]:
        """Return messages, coefficient sets before all else, as the service sends them."""
        said = [Wire(topic, payload) for topic, payload in messages]
        return [w for w in said if w.topic.endswith("/desired")] + [w for w in said if not w.topic.endswith("/desired")]

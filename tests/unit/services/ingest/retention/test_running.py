"""Ingest with a retention policy: what it stores, and is old, becomes aggregates beside its work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dyncal.adapters.ledger import SqliteLedger
from dyncal.adapters.registry import open_registry
from dyncal.contracts import samples
from dyncal.domain.aggregates import SAMPLES
from dyncal.domain.errors import StoreUnavailable
from dyncal.ports.registry import Registry
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.settings import RegistrySettings
from dyncal.testing.bus import FakeBroker
from dyncal.testing.records import TC, block, uniform
from dyncal.testing.registry import act, make_sensor
from dyncal.testing.store import MemorySampleStore
from services.ingest.retention.keeper import Reducing
from services.ingest.service import IngestService
from services.ingest.settings import IngestSection, RetentionSection
from tests.unit.services.ingest.test_service import ALL, EDGE, running, until


class Settled(MemorySampleStore):
    """Says that it was settled before anything was written, and how often it is tried."""

    n_settled = 0

    def settle(self) -> None:
        self.n_settled += 1
        if self.n_settled == 1:
            raise StoreUnavailable("not yet")


def service_of(directory: Path, broker: FakeBroker, store: MemorySampleStore) -> IngestService:
    section = IngestSection(
        linger_s=0.01, retry_first_s=0.02, committed_interval_s=0.02,
        retention=RetentionSection(raw_days=1, again_s=1, share=1.0),
    )  # fmt: skip

    def registry() -> Registry:
        return open_registry(RegistrySettings(), directory)

    return IngestService(
        section,
        open_bus=lambda: broker.bus("ingest"),
        open_store=lambda: store,
        open_ledger=lambda: SqliteLedger(directory / "ledger.sqlite"),
        quarantine_dir=directory / "quarantine",
        clock=SystemClock(),
        rng=np.random.default_rng(1),
        reducing=Reducing(registry, directory / "retention.lock"),
    )


async def test_what_is_stored_and_old_becomes_aggregates(tmp_path: Path) -> None:
    with_sensor = open_registry(RegistrySettings(), tmp_path)
    with_sensor.put_sensors([make_sensor(TC)], [], act())
    broker, store = FakeBroker(), Settled()
    async with running(service_of(tmp_path, broker, store)):
        for k in range(10):
            record = block(np.arange(100.0), sensor=TC, sequence=k, axis=uniform(100, 100 * k))
            broker.publish(EDGE.samples(TC), samples.encode(record))
        await until(lambda: with_sensor.audit()[-1].action == "samples.reduce", "reduced", 8)
        assert store.first(TC, SAMPLES) is None
        assert store.n_settled == 2  # the first time failed, and was tried again before anything was written
        assert store.aggregates(TC, *ALL).n_rows.sum() == 1000
        assert store.sensors() == []
    with_sensor.close()


def test_settings_without_a_policy_keep_everything() -> None:
    assert IngestSection().retention.policy.stages == ()
    with pytest.raises(ValueError, match="kept for longer"):
        RetentionSection(raw_days=400)

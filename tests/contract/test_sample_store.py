"""The contract of the sample store, on the reference and on the embedded store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dyncal.adapters.sqlite import SqliteSampleStore
from dyncal.ports.sample_store import SampleStore
from dyncal.testing.store import MemorySampleStore, SampleStoreContract


class TestMemorySampleStore(SampleStoreContract):
    @pytest.fixture
    def store(self) -> SampleStore:
        return MemorySampleStore()


class TestSqliteSampleStore(SampleStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SampleStore]:
        store = SqliteSampleStore(tmp_path / "samples.sqlite")
        yield store
        store.close()

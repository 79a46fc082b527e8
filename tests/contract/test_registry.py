"""The registry's contract, on SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dyncal.adapters.registry import open_registry
from dyncal.ports.registry import Registry
from dyncal.runtime.settings import RegistrySettings
from dyncal.testing.access import AccessRegistryContract
from dyncal.testing.alarms import AlarmRegistryContract
from dyncal.testing.lifecycle import LifecycleRegistryContract
from dyncal.testing.registry import OpenRegistry, RegistryContract


class TestSqliteRegistry(RegistryContract, LifecycleRegistryContract, AlarmRegistryContract, AccessRegistryContract):
    @pytest.fixture
    def open_it(self, tmp_path: Path) -> Iterator[OpenRegistry]:
        opened: list[Registry] = []

        def open_one() -> Registry:
            opened.append(open_registry(RegistrySettings(), tmp_path))
            return opened[-1]

        yield open_one
        for registry in opened:
            registry.close()

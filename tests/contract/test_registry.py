"""The registry's contract, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dyncal.adapters.registry import open_registry
from dyncal.ports.registry import Registry
from dyncal.runtime.settings import RegistrySettings
from dyncal.testing.access import AccessRegistryContract
from dyncal.testing.alarms import AlarmRegistryContract
from dyncal.testing.consistency import ConsistencyContract
from dyncal.testing.holds import HoldRegistryContract
from dyncal.testing.jobs import JobRegistryContract
from dyncal.testing.laboratory import LaboratoryRegistryContract
from dyncal.testing.lifecycle import LifecycleRegistryContract
from dyncal.testing.registry import OpenRegistry
from dyncal.testing.registry_contract import RegistryContract
from dyncal.testing.retention import RetentionContract
from dyncal.testing.rollouts import RolloutRegistryContract
from tests.contract.auditing import watched
from tests.servers_postgresql import Postgres


class _Contract(
    RegistryContract,
    LaboratoryRegistryContract,
    JobRegistryContract,
    HoldRegistryContract,
    LifecycleRegistryContract,
    AlarmRegistryContract,
    RetentionContract,
    AccessRegistryContract,
    RolloutRegistryContract,
    ConsistencyContract,
):
    """All of it."""

    @pytest.fixture
    def settings(self) -> RegistrySettings:
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def every_change_is_audited(self) -> Iterator[None]:
        """Fail where a transaction changes something and writes no line of the audit trail."""
        with watched() as silent:
            yield
        assert silent == []

    @pytest.fixture
    def open_it(self, settings: RegistrySettings, tmp_path: Path) -> Iterator[OpenRegistry]:
        opened: list[Registry] = []

        def open_one() -> Registry:
            opened.append(open_registry(settings, tmp_path))
            return opened[-1]

        yield open_one
        for registry in opened:
            registry.close()


class TestSqliteRegistry(_Contract):
    @pytest.fixture
    def settings(self) -> RegistrySettings:
        return RegistrySettings()


@pytest.mark.postgresql
class TestPostgresRegistry(_Contract):
    @pytest.fixture
    def settings(self, postgres: Postgres) -> RegistrySettings:
        return RegistrySettings(url=postgres.url(postgres.make_database()))

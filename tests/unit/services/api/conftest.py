"""An application over an empty registry and store, and a client to it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from dyncal.adapters.registry import open_registry
from dyncal.domain.sensors import SensorId
from dyncal.ports.registry import Registry
from dyncal.runtime.clocks import SimulatedClock
from dyncal.runtime.settings import RegistrySettings
from dyncal.testing.registry import S1, S2, act, make_pairing, make_sensor
from dyncal.testing.store import MemorySampleStore
from services.api.access.settings import AccessSection
from services.api.app import create_app
from services.api.deps import Deps
from services.api.settings import ApiSection

OPEN = ApiSection(access=AccessSection(mode="open"))
"""Settings of an application that everybody may use; who may do what is tried in `access`."""


@dataclass(slots=True)
class Api:
    """The application and what is behind it."""

    app: FastAPI
    deps: Deps
    registry: Registry
    store: MemorySampleStore
    clock: SimulatedClock
    http: httpx.AsyncClient


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of an empty registry: to make its tables takes longer than most tests here."""
    directory = tmp_path_factory.mktemp("empty")
    open_registry(RegistrySettings(), directory).close()
    return directory


@pytest.fixture
def registry(tmp_path: Path, empty: Path) -> Iterator[Registry]:
    """Yield an empty registry."""
    shutil.copytree(empty, tmp_path, dirs_exist_ok=True)
    opened = open_registry(RegistrySettings(), tmp_path)
    yield opened
    opened.close()


@pytest.fixture
async def api(registry: Registry, tmp_path: Path) -> AsyncIterator[Api]:
    """Yield an application with two sensors, the second being the reference of the first."""
    registry.put_sensors([make_sensor(S1), make_sensor(S2), make_sensor(SensorId("zz-9"))], [make_pairing()], act())
    store, clock = MemorySampleStore(), SimulatedClock()
    deps = Deps.make(
        registry, store, clock, OPEN.model_copy(update={"max_body_bytes": 2048}), console=tmp_path / "none"
    )
    app = create_app(deps)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        yield Api(app, deps, registry, store, clock, http)

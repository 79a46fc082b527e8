"""An application that lets nobody in unasked, and keys and users to get in with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from dyncal.domain.access import Role
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import InstantNs, duration
from dyncal.ports.access import KeyRecord, UserRecord
from dyncal.ports.registry import Registry
from dyncal.runtime.clocks import SimulatedClock
from dyncal.testing.registry import S1, S2, act, make_pairing, make_sensor
from dyncal.testing.store import MemorySampleStore
from services.api.access import secrets
from services.api.access.settings import AccessSection
from services.api.app import create_app
from services.api.deps import Deps
from services.api.settings import ApiSection

PASSWORD = "battery staple horse"
PASSWORD_HASH = secrets.hash_password(PASSWORD)


@dataclass(slots=True)
class House:
    """An application, what is behind it, and ways to get in."""

    app: FastAPI
    deps: Deps
    registry: Registry
    clock: SimulatedClock
    address: str = "192.0.2.1"
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def client(self, token: str = "", **headers: str) -> httpx.AsyncClient:
        """Return a client: with a key or token, or somebody unknown."""
        given = {"authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(self.address, 4711))
        made = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers={**given, **headers})
        return await self.stack.enter_async_context(made)

    def key(self, role: Role = Role.VIEWER, **more: Any) -> str:
        """Return a new key."""
        made = secrets.new_key()
        if role is Role.EDGE:
            more.setdefault("edge", EdgeId("edge-1"))
        self.registry.add_key(
            KeyRecord(made.id, "test", role, made.hash, InstantNs(self.clock.now()), "tester", **more), act()
        )
        return made.text

    def user(self, name: str = "anna", role: Role = Role.OPERATOR) -> None:
        """Add a user with the password of these tests."""
        now_ns = InstantNs(self.clock.now())
        self.registry.add_user(UserRecord(name, role, PASSWORD_HASH, now_ns, now_ns), act())

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(duration(seconds))

    async def signed_in(self, name: str = "anna", role: Role = Role.OPERATOR) -> httpx.AsyncClient:
        """Return the browser of a user who has signed in."""
        if name not in {user.name for user in self.registry.users()}:
            self.user(name, role)
        browser = await self.client(**{"sec-fetch-site": "same-origin"})
        answer = await browser.post("/v1/session", json={"name": name, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return browser


@pytest.fixture
def access() -> AccessSection:
    """Return the settings; tests override this."""
    return AccessSection(mode="closed")


@pytest.fixture
async def house(registry: Registry, tmp_path: Path, access: AccessSection) -> AsyncIterator[House]:
    """Yield an application with two sensors of edge-1 and one of edge-2."""
    other = make_sensor(SensorId("zz-9"))
    registry.put_sensors(
        [make_sensor(S1), make_sensor(S2), type(other)(other.id, other.site, EdgeId("edge-2"), "Cel", other.dt_ns, "")],
        [make_pairing()],
        act(),
    )
    clock = SimulatedClock()
    deps = Deps.make(registry, MemorySampleStore(), clock, ApiSection(access=access), console=tmp_path / "none")
    async with AsyncExitStack() as stack:
        yield House(create_app(deps), deps, registry, clock, stack=stack)

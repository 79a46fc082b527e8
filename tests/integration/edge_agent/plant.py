"""An OPC UA server and an edge agent for tests."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from asyncua import Server, ua

from dyncal.contracts import samples as wire
from dyncal.domain.samples import Record
from dyncal.domain.time import InstantNs
from dyncal.ports.message_bus import Will
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.settings import BrokerSettings
from dyncal.testing.bus import FakeBroker, FakeMessageBus
from edge_agent.service import EdgeService
from edge_agent.settings import EdgeSettings

WAIT_S = 15.0


async def until(condition: Callable[[], Any], timeout_s: float = WAIT_S) -> None:
    """Return when the condition holds; fail if it does not in time."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.02)


class Plant:
    """A server with variables that a test writes."""

    def __init__(self, port: int, user_manager: Any = None) -> None:
        self.url = f"opc.tcp://127.0.0.1:{port}/"
        self._server = Server(user_manager=user_manager)
        self._variables: dict[str, Any] = {}
        self._own: set[int] = set()
        self._secured = False

    async def secure(self, certificate: bytes, key: bytes, uri: str, policies: Sequence[Any]) -> None:
        """Have the server offer these security policies, by a certificate of its own. To be called before `start`."""
        await self._server.init()
        self._secured = True
        await self._server.load_certificate(certificate, "pem")
        await self._server.load_private_key(key, format="pem")
        await self._server.set_application_uri(uri)
        self._server.set_security_policy(list(policies))

    def validate_clients(self, validator: Any) -> None:
        self._server.set_certificate_validator(validator)

    async def start(self, **variables: Any) -> None:
        if not self._secured:
            await self._server.init()
            self._server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        self._server.set_endpoint(self.url)
        for name, value in variables.items():
            await self.add(name, value)
        await self._server.start()

    async def add(self, name: str, value: Any, namespace: int = 2) -> None:
        node_id = ua.NodeId(name, namespace)
        variable = await self._server.nodes.objects.add_variable(node_id, f"{namespace}:{name}", value)
        self._variables[name] = variable

    async def name_spaces(self, *uris: str) -> None:
        """Give namespaces their indices, from 2 on."""
        for uri in uris:
            await self._server.register_namespace(uri)

    async def write(self, name: str, value: Any, t_ns: int, status: int = 0, variant: Any = None) -> None:
        moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(microseconds=t_ns // 1000)
        data = ua.DataValue(
            ua.Variant(value, ua.VariantType.Double if variant is None else variant),
            ua.StatusCode(status),
            SourceTimestamp=moment,
            ServerTimestamp=moment,
        )
        await self._server.write_attribute_value(self._variables[name].nodeid, data)

    async def historize(self, name: str) -> None:
        await self._server.historize_node_data_change(self._variables[name], period=None, count=100_000)
        self._own = set(self._server.iserver.subscription_service.subscriptions)

    @property
    def n_subscriptions(self) -> int:
        """Subscriptions of clients that the server keeps."""
        return len(set(self._server.iserver.subscription_service.subscriptions) - self._own)

    async def forget_subscriptions(self) -> None:
        """Let the server do as if the lifetime of every client's subscription were over."""
        service = self._server.iserver.subscription_service
        await service.delete_subscriptions([number for number in service.subscriptions if number not in self._own])

    async def stop(self) -> None:
        await self._server.stop()
        for task in asyncio.all_tasks():  # asyncua's server leaves those of sessions that were open
            if "InternalS" in getattr(task.get_coro(), "__qualname__", ""):
                task.cancel()


def connect_to(broker: FakeBroker) -> Any:
    """What the service opens buses with."""

    def connect(settings: BrokerSettings, client_id: str, *, will: Will | None, clean: bool = False) -> FakeMessageBus:
        settings.resolved_password()  # raises what the real one does
        return broker.bus(client_id, will=will, clean=clean)

    return connect


@contextlib.asynccontextmanager
async def running(settings: EdgeSettings, broker: FakeBroker | None = None) -> AsyncIterator[EdgeService]:
    """Run the edge; at the end it must drain in time."""
    service = (
        EdgeService(settings, SystemClock())
        if broker is None
        else EdgeService(settings, SystemClock(), connect_to(broker))
    )
    stop = asyncio.Event()
    task = asyncio.create_task(service.run(stop))
    try:
        yield service
    finally:
        stop.set()
        async with asyncio.timeout(5):
            await task


def sent(broker: FakeBroker, sensor: str = "+") -> list[Record]:
    """Records that the broker has taken."""
    return [wire.decode(payload) for payload in broker.published(f"dyncal/v1/plant/edge1/samples/{sensor}")]


def settings_of(tmp_path: Path, edge: dict[str, Any]) -> EdgeSettings:
    return EdgeSettings(data_dir=tmp_path / "var", edge={"name": "edge1", **edge})


def now_ns() -> InstantNs:
    return SystemClock().now()

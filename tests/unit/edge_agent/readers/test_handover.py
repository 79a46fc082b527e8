"""What an agent leaves to its next life, and when that goes on with it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from asyncua import ua

from dyncal.adapters.opcua.pki import Pki
from dyncal.domain.sensors import SensorId
from dyncal.runtime.clocks import SystemClock
from edge_agent.readers.handover import Handover
from edge_agent.readers.opcua import OpcuaReader
from edge_agent.source_settings import OpcuaSettings, SensorSettings
from tests.unit.edge_agent.readers.test_mqtt import Holding

STARTED = "2026-11-22 08:00:00"


def settings(*names: str, **more: Any) -> OpcuaSettings:
    nodes = [{"sensor": name, "node": f"ns=2;s={name}", "unit": "Cel", "dt_s": 0.1} for name in names]
    return OpcuaSettings.model_validate({"url": "opc.tcp://plc", "nodes": nodes, **more})


def test_the_same_settings_find_what_was_kept_and_others_do_not(tmp_path: Path) -> None:
    Handover(tmp_path, settings("A", "B")).keep(STARTED, 7, 15.0, {100: SensorId("A"), 101: SensorId("B")})
    kept = Handover(tmp_path, settings("A", "B", timeout_s=9.0, password="secret")).load()
    assert kept is not None
    assert (kept.subscription, kept.server_started) == (7, STARTED)
    assert kept.sensors() == {100: "A", 101: "B"}
    assert Handover(tmp_path, settings("A", "B", "C")).load() is None
    assert Handover(tmp_path, settings("A", "B", publishing_s=1.0)).load() is None
    (file,) = tmp_path.iterdir()
    assert b"secret" not in file.read_bytes()


def test_a_sensor_that_a_pattern_finds_counts_as_a_node(tmp_path: Path) -> None:
    by_pattern = OpcuaSettings.model_validate({"url": "opc.tcp://plc", "browse": [{"path": "/Objects/*"}]})
    fast, slow = (SensorSettings(sensor="A", unit="Cel", dt_s=dt_s) for dt_s in (0.1, 1.0))
    Handover(tmp_path, by_pattern, [fast]).keep(STARTED, 7, 15.0, {100: SensorId("A")})
    assert Handover(tmp_path, by_pattern, [fast]).load() is not None
    assert Handover(tmp_path, by_pattern, [slow]).load() is None


@pytest.mark.parametrize("content", [b"", b"{}", b'{"settings": 1', b"\xff", b"[]"])
def test_what_cannot_be_read_is_as_if_it_were_not_there(tmp_path: Path, content: bytes) -> None:
    handover = Handover(tmp_path, settings("A"))
    handover.keep(STARTED, 7, 15.0, {100: SensorId("A")})
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    assert handover.load() is None
    handover.forget()
    handover.forget()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_written_harms_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    handover = Handover(tmp_path / "file" / "below", settings("A"))
    handover.keep(STARTED, 7, 15.0, {})
    assert handover.load() is None


class Server:
    """Hands any subscription over to whoever asks."""

    def __init__(self, started: str) -> None:
        self.started = started
        self.handed_over: list[int] = []
        self.services, self.client = self, None

    async def server_started(self) -> str:
        await asyncio.sleep(0)
        return self.started

    async def transfer_subscriptions(self, parameters: Any) -> list[Any]:
        await asyncio.sleep(0)
        self.handed_over += parameters.SubscriptionIds
        return [SimpleNamespace(StatusCode=ua.StatusCode(0), AvailableSequenceNumbers=[5, 6])]


@pytest.mark.parametrize(("started", "numbers"), [(STARTED, [7]), ("2026-11-22 09:00:00", []), ("", [])])
async def test_a_number_of_before_a_restart_is_somebody_elses_subscription(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: str, numbers: list[int]
) -> None:
    handover = Handover(tmp_path, settings("A"))
    handover.keep(STARTED, 7, 15.0, {100: SensorId("A")})
    pki = Pki(tmp_path / "pki", "urn:x", SystemClock())
    reader = OpcuaReader(settings("A"), [], Holding(), SystemClock(), pki, handover)
    server = Server(started)
    reader._session = server  # type: ignore[assignment]  # stands for one
    inherited = reader._inherited()
    assert inherited is not None
    adopted: list[Any] = []

    async def adopt(sensors: Any) -> None:
        await asyncio.sleep(0)
        adopted.append(sensors)

    monkeypatch.setattr(reader._items, "adopt", adopt)
    assert await reader._transferred(inherited) == bool(numbers)
    assert server.handed_over == numbers
    assert adopted == [{100: "A"} for _ in numbers]

"""What systemd and the log are told of a program that runs."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
import structlog

from dyncal.runtime import pulse
from dyncal.runtime.health import Health
from dyncal.runtime.service import supervise


class Waiting:
    """A service whose broker comes late."""

    name = "waiting"

    def __init__(self) -> None:
        self.fault = "not connected"

    async def run(self, stop: asyncio.Event) -> None:
        await stop.wait()

    def health(self) -> Health:
        return Health(ready=not self.fault, parts={"broker": self.fault, "store": ""})


@pytest.mark.parametrize("abstract", [False, True])
async def test_systemd_hears_of_start_standing_life_and_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool
) -> None:
    name = f"@dyncal-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    monkeypatch.setattr(pulse, "BEAT_S", 0.01)
    service, stop = Waiting(), asyncio.Event()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, structlog.testing.capture_logs() as logged:
        manager.bind("\0" + name[1:] if abstract else name)
        manager.setblocking(False)
        said: list[str] = []
        asyncio.get_running_loop().add_reader(manager, lambda: said.append(manager.recv(1000).decode()))
        running = asyncio.create_task(supervise(service, stop))
        await asyncio.sleep(0.1)
        service.fault = ""
        await asyncio.sleep(0.1)
        service.fault = "lost"
        await asyncio.sleep(0.1)
        stop.set()
        assert await running == 0
        await asyncio.sleep(0.01)
        asyncio.get_running_loop().remove_reader(manager)
    assert said[0] == "READY=1"  # it is at work; that its broker is not there is its status
    assert said.count("READY=1") == 1
    assert [text for text in said if text.startswith("STATUS")] == [
        "STATUS=not ready (broker: not connected)",
        "STATUS=ready",
        "STATUS=not ready (broker: lost)",
    ]
    assert said.count("WATCHDOG=1") >= 5
    assert "STOPPING=1\nSTATUS=draining" in said
    told = [(line["ready"], line["reasons"], line["log_level"]) for line in logged if line["event"] == "readiness"]
    assert told == [(True, {}, "info"), (False, {"broker": "lost"}, "warning")]


async def test_nobody_is_told_where_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    service, stop = Waiting(), asyncio.Event()
    stop.set()
    assert await supervise(service, stop) == 0

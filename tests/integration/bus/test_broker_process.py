"""The broker in a process of its own: serves, refuses a taken port, and never outlives who started it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dyncal.adapters.mqtt import BrokerProcess, open_bus
from dyncal.domain.errors import BusUnavailable
from dyncal.runtime.ports import free_port
from dyncal.runtime.settings import BrokerSettings

PARENT = """
import asyncio, sys
from dyncal.adapters.mqtt import BrokerProcess
async def main():
    async with BrokerProcess(port=int(sys.argv[1])) as broker:
        print(broker.pid, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_it_carries_messages_and_is_gone_afterwards() -> None:
    port = free_port()
    settings = BrokerSettings(port=port, protocol="3.1.1")
    async with BrokerProcess(port=port), open_bus(settings, "one", clean=True) as bus:
        await bus.wait_connected()
        await bus.subscribe(["a/+"])
        await bus.publish("a/b", b"here")
        async for delivery in bus.deliveries():
            assert delivery.payload == b"here"
            delivery.ack()
            break
    with pytest.raises(OSError, match="onnect"):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_taken_port_is_said() -> None:
    port = free_port()
    async with BrokerProcess(port=port):
        with pytest.raises(BusUnavailable, match=str(port)):
            async with BrokerProcess(port=port):
                pass


async def test_its_own_end_is_noticed() -> None:
    async with BrokerProcess(port=free_port()) as broker:
        os.kill(broker.pid, signal.SIGKILL)
        async with asyncio.timeout(5):
            await broker.ended()


def test_it_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(free_port())], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 5
    while _lives(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        return stat.rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

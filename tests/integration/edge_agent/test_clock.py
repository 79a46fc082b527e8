"""A real chronyd that follows another one on this machine, and loses it; neither touches the machine's clock."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dyncal.runtime.ports import free_ports
from edge_agent.clock.chrony import Chrony
from edge_agent.clock.command import run
from edge_agent.clock.reading import Reading

SBIN = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
CHRONYD = shutil.which("chronyd", path=SBIN)
CHRONYC = shutil.which("chronyc", path=SBIN)

pytestmark = pytest.mark.skipif(CHRONYD is None or CHRONYC is None, reason="there is no chrony")


@contextlib.asynccontextmanager
async def chronyd(directory: Path, name: str, *lines: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run chronyd in the foreground without control of the clock, until the end."""
    file = directory / f"{name}.conf"
    common = ("bindcmdaddress 127.0.0.1", f"pidfile {directory}/{name}.pid", f"user {os.environ.get('USER', 'root')}")
    file.write_text("\n".join([*lines, *common, ""]))
    process = await asyncio.create_subprocess_exec(
        str(CHRONYD), "-x", "-d", "-f", str(file), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def told(source: Chrony, *, synchronised: bool, within_ns: float = math.inf) -> Reading:
    """Return the first reading that is (un)synchronised, with an uncertainty of at most ``within_ns``."""
    async with asyncio.timeout(30):
        while True:
            reading = await source.read()
            if reading is not None and reading.synchronised is synchronised and reading.u_ns <= within_ns:
                return reading
            await asyncio.sleep(0.05)


async def test_a_real_chrony(tmp_path: Path) -> None:
    ntp, own, following = free_ports(3)
    source = Chrony(run, (str(CHRONYC), "-h", "127.0.0.1", "-p", str(following)))
    assert await source.read() is None  # nobody answers
    time = ("local stratum 2", f"port {ntp}", "bindaddress 127.0.0.1", "allow 127.0.0.1", f"cmdport {own}")
    follow = (f"server 127.0.0.1 port {ntp} iburst minpoll -4 maxpoll -4", "port 0", f"cmdport {following}")
    async with chronyd(tmp_path, "follows", *follow):
        await told(source, synchronised=False)
        async with chronyd(tmp_path, "serves", *time):
            # it serves time, and follows nobody
            await told(Chrony(run, (str(CHRONYC), "-h", "127.0.0.1", "-p", str(own))), synchronised=False)
            # its first answers after a start may be wide apart on a machine that stood still: its bound narrows then
            good = await told(source, synchronised=True, within_ns=1e7)
            assert good.reference == "127.0.0.1"
            assert abs(good.offset_ns) < 1e7  # of one clock with itself
            assert good.u_ns > 0
        first = await told(source, synchronised=True)
        await asyncio.sleep(0.5)
        later = await told(source, synchronised=True)
        assert later.u_ns > first.u_ns  # its server is gone, and chrony's own bound grows

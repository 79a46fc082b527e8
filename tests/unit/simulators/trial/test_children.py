from __future__ import annotations

import asyncio

import pytest

from simulators.trial.children import ChildDied, Children

WAIT = "import time\nprint('up', flush=True)\ntime.sleep(60)"
POLITE = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n" + WAIT


async def started(children: Children, name: str, program: str) -> int:
    process = await children.start(name, ["-c", program], pipe=True)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    return process.pid


async def test_children_are_stopped_in_order_with_their_status() -> None:
    async with asyncio.timeout(30), Children() as children:
        await started(children, "polite", POLITE)
        await started(children, "plain", WAIT)
        assert await children.stop("polite") == 0
        assert await children.stop("plain") == -15
        children.check()


async def test_a_child_that_ends_by_itself_is_named_with_its_status() -> None:
    async with asyncio.timeout(30), Children() as children:
        await children.start("brief", ["-c", "raise SystemExit(7)"])
        await children.died.wait()
        with pytest.raises(ChildDied, match="brief ended by itself with status 7"):
            children.check()


async def test_leaving_stops_all_and_a_deaf_child_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.trial.children.STOP_S", 0.3)
    deaf = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)"
    async with asyncio.timeout(30):
        async with Children() as children:
            await started(children, "deaf", deaf)
            process = children._processes["deaf"]
        assert process.returncode == -9


async def test_settings_of_another_plant_do_not_reach_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNCAL_BROKER__PORT", "1")
    show = "import os\nprint('DYNCAL_BROKER__PORT' in os.environ, os.environ['OMP_NUM_THREADS'], flush=True)"
    async with asyncio.timeout(30), Children() as children:
        process = await children.start("show", ["-c", show], pipe=True)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"False 1\n"

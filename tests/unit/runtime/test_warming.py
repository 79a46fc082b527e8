"""A program that is told to end while it compiles ends at once."""

from __future__ import annotations

import asyncio
import threading

import pytest

from dyncal import kernels
from dyncal.kernels import WarmUp
from dyncal.runtime.warming import kernels_ready


async def test_kernels_become_ready() -> None:
    found = await kernels_ready(asyncio.Event())
    assert found is not None
    assert found.n_kernels >= 0


async def test_nobody_waits_for_a_compiler_once_told_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def slow() -> WarmUp:
        go_on.wait(30)
        return WarmUp(1, 1, 30.0)

    monkeypatch.setattr(kernels, "warm_up", slow)
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, stop.set)
    try:
        assert await asyncio.wait_for(kernels_ready(stop), 5) is None
        (compiling,) = (thread for thread in threading.enumerate() if thread.name == "kernels")
        assert compiling.daemon
    finally:
        go_on.set()
    await asyncio.to_thread(compiling.join, 5)


async def test_what_the_compiler_says_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> WarmUp:
        raise OSError("no room for the cache")

    monkeypatch.setattr(kernels, "warm_up", broken)
    with pytest.raises(OSError, match="no room"):
        await kernels_ready(asyncio.Event())


async def test_a_stop_that_was_said_before_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def slow() -> WarmUp:
        go_on.wait(30)
        return WarmUp(0, 0, 0.0)

    monkeypatch.setattr(kernels, "warm_up", slow)
    stop = asyncio.Event()
    stop.set()
    assert await asyncio.wait_for(kernels_ready(stop), 5) is None
    go_on.set()

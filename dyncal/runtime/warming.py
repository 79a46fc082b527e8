"""Kernels made ready while a program runs."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

from dyncal import kernels
from dyncal.kernels import WarmUp
from dyncal.runtime.collecting import keep_what_stands


async def kernels_ready(stop: asyncio.Event) -> WarmUp | None:
    """Make all kernels ready, and keep what stands; return None if `stop` is set before they are.

    Compiling takes a minute where nothing is cached, and cannot be broken off. So it has a thread of its own, which the
    end of the process does not wait for: numba's cache is replaced file by file, and what was not finished is compiled
    again.
    """
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[WarmUp] = loop.create_future()

    def settle(found: WarmUp | BaseException) -> None:
        if ready.done():
            return
        if isinstance(found, WarmUp):
            ready.set_result(found)
        else:
            ready.set_exception(found)

    def work() -> None:
        found: WarmUp | BaseException
        try:
            found = kernels.warm_up()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the waiting program is told
            found = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, found)

    threading.Thread(target=work, name="kernels", daemon=True).start()
    told = asyncio.ensure_future(stop.wait())
    either: set[asyncio.Future[Any]] = {ready, told}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            return None
        keep_what_stands()
        return ready.result()
    finally:
        told.cancel()
        ready.cancel()

"""A connection that is up, turned by the event loop itself: no thread has to be woken for a packet (ADR 0065)."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Final, Protocol

from dyncal.adapters.mqtt.wire import Wire

_TICK_S: Final = 0.5


class Turned(Protocol):
    """What is turned: a link."""

    def turn(self, wire: Wire, *, readable: bool, tick: bool) -> bool:
        """Read and write what there is; False when the connection is over. Never raises."""

    def release(self) -> None:
        """Go back to the link's thread, which closes the connection."""


class Turning:
    """Reads and writes as the event loop finds the socket ready; made, begun and ended in the loop's thread."""

    def __init__(self, turned: Turned, wire: Wire) -> None:
        self._turned = turned
        self._wire = wire
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._socket = wire.fileno()
        self._soon = False
        self._writing = False
        self._over = False
        self._later: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Take over."""
        self._loop.add_reader(self._socket, self._readable)
        self._tick()

    def wake(self) -> None:
        """Have what was put sent, together with what else is put by then. For any thread."""
        if threading.get_ident() == self._thread:
            if not self._soon:
                self._soon = True
                self._loop.call_soon(self._push)
            return
        try:
            self._loop.call_soon_threadsafe(self._push)
        except RuntimeError:  # the loop is closed: nobody turns any more
            self._turned.release()

    def _readable(self) -> None:
        self._turn(readable=True, tick=False)

    def _push(self) -> None:
        self._soon = False
        self._turn(readable=False, tick=False)

    def _tick(self) -> None:
        self._later = self._loop.call_later(_TICK_S, self._tick)
        self._turn(readable=False, tick=True)

    def _turn(self, *, readable: bool, tick: bool) -> None:
        if self._over:
            return
        if not self._turned.turn(self._wire, readable=readable, tick=tick):
            self._end()
        elif self._wire.unsent != self._writing:
            self._writing = self._wire.unsent
            if self._writing:
                self._loop.add_writer(self._socket, self._push)
            else:
                self._loop.remove_writer(self._socket)

    def _end(self) -> None:
        self._over = True
        if self._later is not None:
            self._later.cancel()
        with contextlib.suppress(OSError, ValueError):  # the socket is closed already
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
        self._turned.release()

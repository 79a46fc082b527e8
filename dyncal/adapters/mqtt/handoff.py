"""From a thread into an event loop."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import threading
from collections.abc import Callable
from typing import Any


class Handoff:
    """Calls from a thread into an event loop, in order, waking the loop once for many of them.

    Made in the loop's thread; what is put there is called at once, unless something waits.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._calls: collections.deque[tuple[Callable[..., None], tuple[Any, ...]]] = collections.deque()
        self._scheduled = False

    def put(self, action: Callable[..., None], *arguments: Any) -> None:
        """Have `action(*arguments)` called in the loop; does nothing once the loop is closed."""
        if threading.get_ident() == self._thread and not self._calls:
            action(*arguments)
            return
        with self._lock:
            self._calls.append((action, arguments))
            if self._scheduled:
                return
            self._scheduled = True
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        with self._lock:
            calls, self._calls = self._calls, collections.deque()
            self._scheduled = False
        for action, arguments in calls:
            action(*arguments)

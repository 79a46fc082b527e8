"""Messages that could not be read, on their way to the quarantine: the disk is not waited for in the event loop."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dyncal.domain.time import InstantNs
from dyncal.runtime.quarantine import Quarantine

MAX_WAITING: Final = 100
MAX_BYTES: Final = 16 << 20
_REASON: Final = "malformed"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message that could not be read, and why."""

    topic: str
    payload: bytes
    why: str
    at_ns: InstantNs


class Aside:
    """Messages that wait for `write`, bounded; in a flood the oldest of them give way. Safe to use from two threads."""

    def __init__(self, open_quarantine: Callable[[], Quarantine]) -> None:
        self._open = open_quarantine
        self._quarantine: Quarantine | None = None
        self._waiting: deque[Unreadable] = deque()
        self._n_bytes = 0
        self._taking = threading.Lock()
        self._writing = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, message: Unreadable) -> None:
        """Take a message; never waits for the disk."""
        with self._taking:
            while self._waiting and (
                len(self._waiting) == MAX_WAITING or self._n_bytes + len(message.payload) > MAX_BYTES
            ):
                self._n_bytes -= len(self._waiting.popleft().payload)
            self._waiting.append(message)
            self._n_bytes += len(message.payload)

    def write(self) -> None:
        """Write what waits; blocks. Raises OSError if the disk does not take it, and drops that message."""
        with self._writing:
            while (message := self._next()) is not None:
                if self._quarantine is None:
                    self._quarantine = self._open()
                self._quarantine.add(message.topic, message.payload, _REASON, message.why, message.at_ns)

    def _next(self) -> Unreadable | None:
        with self._taking:
            if not self._waiting:
                return None
            message = self._waiting.popleft()
            self._n_bytes -= len(message.payload)
            return message

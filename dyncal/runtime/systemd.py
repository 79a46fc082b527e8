"""What systemd is told of a program, where it asks (sd_notify(3)): that it is at work, how it stands, that it lives."""

from __future__ import annotations

import os
import socket
from typing import Final

_MOST: Final = 200


class Supervisor:
    """The service manager, by the socket that `NOTIFY_SOCKET` names; nobody where there is none."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if self._address else None
        if self._socket is not None:
            self._socket.settimeout(0)

    @property
    def asks(self) -> bool:
        """Whether anybody wants to know."""
        return self._socket is not None

    def started(self) -> None:
        """Say that the program is at work; what it waits for is its status, not a start that failed."""
        self._say("READY=1")

    def alive(self) -> None:
        """Say that the event loop turns; what ``WatchdogSec=`` waits for."""
        self._say("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that the program drains."""
        self._say("STOPPING=1\nSTATUS=draining")

    def status(self, text: str) -> None:
        """Say how it stands in one line."""
        self._say(f"STATUS={' '.join(text.split())[:_MOST]}")

    def close(self) -> None:
        """Say no more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _say(self, text: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(text.encode(), self._address)
        except OSError:  # a manager that does not listen is no reason to stop
            return

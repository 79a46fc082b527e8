"""Free TCP ports for servers that start on this machine."""

from __future__ import annotations

import secrets
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from dyncal.domain.errors import Unavailable

_RANGE_FILE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST: Final = 15_000
_USUAL_EPHEMERAL: Final = 32_768
_TRIES: Final = 200


def free_ports(n: int, host: str = "127.0.0.1") -> tuple[int, ...]:
    """Return n different TCP ports that nobody uses now, all below those the system gives to connecting clients.

    A port from the clients' range may be taken before its server starts: by any client, and even by one that tries the
    server's own port, which then connects to itself (RFC 9293, simultaneous open).

    Raises
    ------
    Unavailable
        If there are not so many.
    """
    found: list[int] = []
    with ExitStack() as stack:
        for port in _candidates():
            probe = stack.enter_context(socket.socket())
            try:
                probe.bind((host, port))
            except OSError:
                continue
            found.append(int(probe.getsockname()[1]))
            if len(found) == n:
                return tuple(found)
    raise Unavailable(f"{host} has no {n} free ports")


def free_port(host: str = "127.0.0.1") -> int:
    """Return one port, as `free_ports` does."""
    return free_ports(1, host)[0]


def _candidates() -> list[int]:
    width = _first_ephemeral() - _LOWEST
    if width < _TRIES:  # somebody has given nearly all ports to clients
        return [0] * _TRIES
    return [_LOWEST + secrets.randbelow(width) for _ in range(_TRIES)]


def _first_ephemeral() -> int:
    try:
        return int(_RANGE_FILE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return _USUAL_EPHEMERAL

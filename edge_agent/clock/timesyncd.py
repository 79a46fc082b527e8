"""systemd-timesyncd: its last NTP message by D-Bus, as ``busctl --json=short`` prints it.

By org.freedesktop.timesync1(5) that is Leap, Version, Mode, Stratum, Precision, RootDelay, RootDispersion, Reference,
then the four instants of the exchange (originate, receive, transmit, destination), Ignored, PacketCount and Jitter; all
times are in microseconds.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

from edge_agent.clock.command import Run
from edge_agent.clock.reading import Reading, Unreadable, u_of_bound

_COMMAND: Final = (
    "busctl", "--system", "--json=short", "get-property", "org.freedesktop.timesync1", "/org/freedesktop/timesync1",
    "org.freedesktop.timesync1.Manager", "NTPMessage",
)  # fmt: skip
_SIGNATURE: Final = "(uuuuittayttttbtt)"
_NS_OF_US: Final = 1e3
_NOT_SET: Final = 3
_LAST_STRATUM: Final = 15


class Timesyncd:
    """Asks systemd-timesyncd over D-Bus."""

    name: Final = "timesyncd"

    def __init__(self, run: Run) -> None:
        self._run = run

    async def read(self) -> Reading | None:
        """Return what timesyncd says; None where it, or D-Bus, is not there. Raises `Unreadable`."""
        said = await self._run(_COMMAND)
        return None if said is None else parse(said)


def parse(text: str) -> Reading:
    """Return what the last message of its server says: offset and delay by RFC 5905, 8.

    The offset was slewed or stepped away since; what the exchange could not see is half its delay, the server's own
    distance from its reference, and the jitter.

    Raises
    ------
    Unreadable
        If it is no such property.
    """
    try:
        content: Any = json.loads(text)
        if content["type"] != _SIGNATURE:
            raise Unreadable(f"timesyncd: a property of type {content['type']!r}")
        leap, _, _, stratum, _, root_delay, root_dispersion, name, t1, t2, t3, t4, ignored, n, jitter = content["data"]
        if leap == _NOT_SET or stratum > _LAST_STRATUM or n == 0 or ignored:
            return Reading(Timesyncd.name, synchronised=False)
        delay = (t4 - t1) - (t3 - t2)
        bound_ns = (abs(delay) / 2 + root_delay / 2 + root_dispersion) * _NS_OF_US
        offset_ns = -((t2 - t1) + (t3 - t4)) / 2 * _NS_OF_US
        reference = ".".join(str(int(byte)) for byte in name)
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"timesyncd: {type(error).__name__}: {error}") from error
    return Reading(Timesyncd.name, offset_ns, math.hypot(u_of_bound(bound_ns), jitter * _NS_OF_US), reference)

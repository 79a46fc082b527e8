"""Trace ids of blocks: whoever has a block can say its id, so nobody needs to carry it.

A trace id (W3C Trace Context, 3.2.2.3) is 16 bytes: the block's first instant, big-endian [ns], then 8 bytes of
BLAKE2b of sensor and instant. It sorts by time, tells its instant, and whether it is of a given sensor. A sensor has
one sample at an instant, so it has one block that begins there; what is sent again is the same block.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs

_TRACE: Final = re.compile(r"[0-9a-f]{32}")


def trace_of(sensor: SensorId, first_ns: int) -> str:
    """Return the trace id of the block of a sensor that begins at `first_ns`, as 32 hexadecimal digits."""
    begin = first_ns.to_bytes(8, "big", signed=True)
    return (begin + hashlib.blake2b(begin + sensor.encode(), digest_size=8).digest()).hex()


def instant_of(trace: str) -> InstantNs:
    """Return the first instant of a trace's block. Raises `InvalidData` if it is no trace id of ours."""
    if not _TRACE.fullmatch(trace):
        raise InvalidData(f"{trace[:60]!r} is no trace id: it has 32 digits 0-9a-f")
    return InstantNs(int.from_bytes(bytes.fromhex(trace[:16]), "big", signed=True))


def is_of(trace: str, sensor: SensorId) -> bool:
    """Tell whether a trace is of a block of `sensor`. Raises `InvalidData` as `instant_of`."""
    return trace_of(sensor, instant_of(trace)) == trace


def span_id(trace: str, name: str) -> str:
    """Return the id of the span `name` of a trace, as 16 hexadecimal digits: its parent is known without being told."""
    return hashlib.blake2b(f"{trace}/{name}".encode(), digest_size=8).hexdigest()


def traceparent(trace: str, name: str) -> str:
    """Return the ``traceparent`` of a span of a trace that is recorded (W3C Trace Context, 3.2)."""
    return f"00-{trace}-{span_id(trace, name)}-01"

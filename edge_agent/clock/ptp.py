"""PTP by linuxptp: what ``pmc`` prints of ptp4l's data sets (pmc(8), IEEE 1588-2019, 8.2)."""

from __future__ import annotations

import re
from typing import Final

from edge_agent.clock.command import Run
from edge_agent.clock.reading import Reading, Unreadable, u_of_bound

_COMMAND: Final = ("pmc", "-u", "-b", "0", "GET PORT_DATA_SET", "GET CURRENT_DATA_SET", "GET PARENT_DATA_SET")
_LINE: Final = re.compile(r"^\s+([\w.]+)\s+(\S+)\s*$", re.MULTILINE)

# clockAccuracy (IEEE 1588-2019, table 5): the time is accurate to within so much [ns].
_ACCURACY_NS: Final = {
    0x17: 1e-3, 0x18: 2.5e-3, 0x19: 1e-2, 0x1A: 2.5e-2, 0x1B: 0.1, 0x1C: 0.25, 0x1D: 1.0, 0x1E: 2.5, 0x1F: 10.0,
    0x20: 25.0, 0x21: 100.0, 0x22: 250.0, 0x23: 1e3, 0x24: 2.5e3, 0x25: 1e4, 0x26: 2.5e4, 0x27: 1e5, 0x28: 2.5e5,
    0x29: 1e6, 0x2A: 2.5e6, 0x2B: 1e7, 0x2C: 2.5e7, 0x2D: 1e8, 0x2E: 2.5e8, 0x2F: 1e9, 0x30: 1e10,
}  # fmt: skip
_FOLLOWS: Final = "SLAVE"


class Ptp:
    """Asks ptp4l by its own client."""

    name: Final = "ptp"

    def __init__(self, run: Run) -> None:
        self._run = run

    async def read(self) -> Reading | None:
        """Return what ptp4l says; None where it, or its client, is not there. Raises `Unreadable`."""
        said = await self._run(_COMMAND)
        return None if said is None or "RESPONSE" not in said else parse(said)


def parse(text: str) -> Reading:
    """Return what the data sets of ptp4l say.

    The clock follows where a port is SLAVE. Its error is the offset from the master, the accuracy that the grandmaster
    claims, and at most half of the path's delay, should all of that be asymmetry. A grandmaster that does not say how
    accurate it is gives time without a scale: that is not synchronised.

    Raises
    ------
    Unreadable
        If they are not there.
    """
    found: dict[str, list[str]] = {}
    for key, value in _LINE.findall(text):
        found.setdefault(key, []).append(value)
    if "portState" not in found:
        raise Unreadable(f"pmc: no data set of a port: {text[:100]!r}")
    reference = found.get("grandmasterIdentity", [""])[0]
    if _FOLLOWS not in found["portState"]:
        return Reading(Ptp.name, synchronised=False, reference=reference)
    try:
        offset_ns = float(found["offsetFromMaster"][0])
        delay_ns = float(found["meanPathDelay"][0])
        accuracy_ns = _ACCURACY_NS.get(int(found["gm.ClockAccuracy"][0], 16))
    except (KeyError, ValueError) as error:
        raise Unreadable(f"pmc: {type(error).__name__}: {error}") from error
    if accuracy_ns is None:
        return Reading(Ptp.name, synchronised=False, reference=reference)
    return Reading(Ptp.name, offset_ns, u_of_bound(accuracy_ns + abs(delay_ns) / 2, offset_ns), reference)

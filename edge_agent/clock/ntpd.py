"""ntpd and NTPsec: what ``ntpq -c "rv 0 …"`` prints (ntpq(1)); times in milliseconds, frequency in 1e-6."""

from __future__ import annotations

import math
import re
from typing import Final

from edge_agent.clock.command import Run
from edge_agent.clock.reading import Reading, Unreadable, u_of_bound

_WANTED: Final = "leap,stratum,refid,rootdelay,rootdisp,offset,sys_jitter,clk_wander"
_PAIR: Final = re.compile(r"(\w+)=(\"[^\"]*\"|[^,\s]*)")
_NS_OF_MS: Final = 1e6
_UNSYNCHRONISED: Final = frozenset({"11", "3", "alarm", "leap_alarm"})
_LAST_STRATUM: Final = 15


class Ntpd:
    """Asks ntpd by its own client."""

    name: Final = "ntpd"

    def __init__(self, run: Run) -> None:
        self._run = run

    async def read(self) -> Reading | None:
        """Return what ntpd says; None where it, or its client, is not there. Raises `Unreadable`."""
        said = await self._run(("ntpq", "-n", "-c", f"rv 0 {_WANTED}"))
        return None if said is None else parse(said)


def parse(text: str) -> Reading:
    """Return what ntpd's system variables say.

    Its offset is that of the reference: positive where the clock is behind. The root distance, ``rootdisp +
    rootdelay/2`` (RFC 5905, 11.2), bounds the error; the system jitter comes on top.

    Raises
    ------
    Unreadable
        If they are no system variables.
    """
    found = {key: value.strip('"') for key, value in _PAIR.findall(text)}
    if "leap" not in found or "stratum" not in found:
        raise Unreadable(f"ntpq: no system variables: {text[:100]!r}")
    try:
        stratum = int(found["stratum"])
        if found["leap"] in _UNSYNCHRONISED or stratum > _LAST_STRATUM:
            return Reading(Ntpd.name, synchronised=False, reference=found.get("refid", ""))
        offset_ns = -float(found["offset"]) * _NS_OF_MS
        bound_ns = (float(found["rootdisp"]) + float(found["rootdelay"]) / 2) * _NS_OF_MS
        jitter_ns = float(found.get("sys_jitter", 0)) * _NS_OF_MS
        rate = float(found.get("clk_wander", 0)) * 1e-6
    except (KeyError, ValueError) as error:
        raise Unreadable(f"ntpq: {type(error).__name__}: {error}") from error
    u_ns = math.hypot(u_of_bound(bound_ns, offset_ns), jitter_ns)
    return Reading(Ntpd.name, offset_ns, u_ns, found.get("refid", ""), rate)

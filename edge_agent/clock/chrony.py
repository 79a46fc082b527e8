"""chrony: what ``chronyc -c tracking`` prints, comma-separated (chronyc(1), 4.x)."""

from __future__ import annotations

from typing import Final

from edge_agent.clock.command import Run
from edge_agent.clock.reading import Reading, Unreadable, u_of_bound

_FIELDS: Final = 14
_NORMAL: Final = frozenset({"Normal", "Insert second", "Delete second"})
_ITSELF: Final = "7F7F0101"  # 127.127.1.1: chronyd serves its own clock and follows nobody
_NS: Final = 1e9


class Chrony:
    """Asks chronyd by its own client."""

    name: Final = "chrony"

    def __init__(self, run: Run, command: tuple[str, ...] = ("chronyc",)) -> None:
        self._run, self._command = run, (*command, "-c", "-n", "tracking")

    async def read(self) -> Reading | None:
        """Return what chronyd says; None where it, or its client, is not there. Raises `Unreadable`."""
        said = await self._run(self._command)
        return None if said is None else parse(said)


def parse(text: str) -> Reading:
    """Return what a line of ``chronyc -c tracking`` says.

    chronyc(1): the clock's error is at most ``|system time| + root dispersion + root delay / 2``. Its system time is
    positive where the clock is behind. `rate` is the skew, the bound that chrony gives its frequency, and what is left
    of the frequency's own error.

    Raises
    ------
    Unreadable
        If it is no such line.
    """
    fields = text.strip().split(",")
    if len(fields) != _FIELDS:
        raise Unreadable(f"chronyc: {len(fields)} fields instead of {_FIELDS}: {text[:100]!r}")
    try:
        behind_s, residual_ppm, skew_ppm, delay_s, dispersion_s = (float(fields[k]) for k in (4, 8, 9, 10, 11))
    except ValueError as error:
        raise Unreadable(f"chronyc: {error}") from error
    reference = fields[1] or fields[0]
    if fields[13] not in _NORMAL or fields[0] == _ITSELF:
        return Reading(Chrony.name, synchronised=False, reference=reference)
    offset_ns = -behind_s * _NS
    bound_ns = (abs(dispersion_s) + abs(delay_s) / 2) * _NS
    rate = (abs(skew_ppm) + abs(residual_ppm)) * 1e-6
    return Reading(Chrony.name, offset_ns, u_of_bound(bound_ns, offset_ns), reference, rate)

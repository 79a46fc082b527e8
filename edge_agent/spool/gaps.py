"""The gaps that the spool made itself, one for numbers in a row and a cause, and the file that each is in.

A gap that grows is written anew and takes the place of the smaller one, which stays in its file and is not sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from dyncal.domain.sensors import SensorId
from edge_agent.spool.spans import Span

Told = tuple[Span, int]
"""A gap, and the number of the file that it is in."""


class Gaps:
    """What was given up and told, and is not known to be with the store."""

    def __init__(self) -> None:
        self._told: dict[SensorId, list[Told]] = {}

    def __iter__(self) -> Iterator[tuple[SensorId, Span]]:
        return ((sensor, span) for sensor, told in self._told.items() for span, _ in told)

    def of(self, sensor: SensorId) -> list[Told]:
        """Return the gaps of a sensor."""
        return self._told.get(sensor, [])

    def add(self, sensor: SensorId, span: Span, number: int) -> None:
        """Take note of a gap in a file; those that it covers are told by it."""
        told = [(other, at) for other, at in self.of(sensor) if not span.covers(other)]
        self._told[sensor] = [*told, (span, number)]

    def replace(self, sensor: SensorId, told: Iterable[Told]) -> None:
        """Take over what an earlier life knew of a sensor."""
        self._told[sensor] = list(told)

    def widened(self, sensor: SensorId, span: Span) -> Span:
        """Return the run of numbers that a new gap makes with those that it touches."""
        for other, _ in sorted(self.of(sensor), key=lambda told: told[0].first):
            if span.goes_on(other) or other.goes_on(span):
                span = span.joined(other)
        return span

    def current(self, sensor: SensorId, first: int, last: int) -> bool:
        """Tell whether a gap with these numbers is no part of a larger one."""
        return any(span.first == first and span.last == last for span, _ in self.of(sensor))

    def within(self, number: int) -> list[tuple[SensorId, Span]]:
        """Return the gaps in a file."""
        return [(sensor, span) for sensor, told in self._told.items() for span, at in told if at == number]

    def forget(self, watermark: Callable[[SensorId], int]) -> None:
        """Forget what the store has."""
        for sensor in list(self._told):
            kept = [(span, at) for span, at in self._told[sensor] if span.last > watermark(sensor)]
            if kept:
                self._told[sensor] = kept
            else:
                del self._told[sensor]

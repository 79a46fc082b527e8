"""Which edges a sensor's records come from: two at once write over each other's samples, and somebody must say so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dyncal.domain.sensors import EdgeId, SensorId

MAX_SENSORS: Final = 100_000
"""Most sensors that are watched; of more, those heard of first are forgotten."""


class Origins:
    """Finds sensors of two edges. One that has moved for good is of the new edge only, and is none of them."""

    def __init__(self) -> None:
        self._edges: dict[SensorId, list[EdgeId]] = {}  # in the order in which they took turns, the last at the end
        self._told: set[tuple[SensorId, frozenset[EdgeId]]] = set()

    def contested(self, records: Iterable[tuple[SensorId, EdgeId]]) -> list[tuple[SensorId, EdgeId, EdgeId]]:
        """Return sensors whose edges take turns, each with two of them; each such pair once."""
        found = []
        for sensor, edge in records:
            known = self._edges.get(sensor)
            if known is None:
                self._add(sensor, edge)
            elif known[-1] != edge:
                pair = sensor, frozenset((known[-1], edge))
                if edge in known and pair not in self._told:
                    self._told.add(pair)
                    found.append((sensor, edge, known[-1]))
                self._edges[sensor] = [known[-1], edge]
        return found

    def _add(self, sensor: SensorId, edge: EdgeId) -> None:
        self._edges[sensor] = [edge]
        if len(self._edges) > MAX_SENSORS:
            forgotten = next(iter(self._edges))
            del self._edges[forgotten]
            self._told = {told for told in self._told if told[0] != forgotten}

"""What edges are told of their records: the watermarks of an epoch, when they moved, and not too often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dyncal.contracts import codec
from dyncal.contracts.edges import VERSION, CommittedMessage
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs

MAX_EDGES: Final = 10_000


@dataclass(slots=True)
class _Edge:
    epoch: int
    upto: dict[SensorId, int] = field(default_factory=dict)
    due_s: float | None = None
    said_s: float = float("-inf")
    born: bool = False


class Announcer:
    """Pure; `interval_s` is the least time between two announcements to one edge.

    It knows `max_edges`; of more, those that were quiet for longest are forgotten. The next commit of a forgotten edge
    brings its watermarks again.
    """

    def __init__(self, interval_s: float, max_edges: int = MAX_EDGES) -> None:
        self._interval_s = interval_s
        self._max_edges = max_edges
        self._since: InstantNs | None = None
        self._edges: dict[EdgeAddress, _Edge] = {}  # the one that was quiet for longest first

    def follow(self, interval_s: float) -> None:
        """Go on with another interval."""
        self._interval_s = interval_s

    def began(self, at_s: float) -> None:
        """Take note that messages may have been missed, and are taken from now on: every edge is told."""
        self._since = None
        for edge in self._edges.values():
            edge.due_s = edge.due_s or max(at_s, edge.said_s + self._interval_s)

    def moved(self, address: EdgeAddress, epoch: int, upto: Mapping[SensorId, int], at_s: float) -> None:
        """Take note of watermarks after a commit; after a birth, of its epoch only.

        Before any birth the higher epoch is the newer one.
        """
        edge = self._edges.get(address)
        if edge is not None and (epoch != edge.epoch if edge.born else epoch < edge.epoch):
            return
        if edge is None or epoch > edge.epoch:
            edge = _Edge(epoch)
        self._keep(address, edge)
        changed = {sensor: n for sensor, n in upto.items() if n >= 0 and edge.upto.get(sensor) != n}
        if changed:
            edge.upto.update(changed)
            edge.due_s = edge.due_s or max(at_s, edge.said_s + self._interval_s)

    def born(self, address: EdgeAddress, epoch: int, upto: Mapping[SensorId, int], at_s: float) -> None:
        """Take note of an edge that starts in `epoch`; it is told at once, even that there is nothing."""
        before = self._edges.get(address)
        known = dict(before.upto) if before is not None and before.epoch == epoch else {}
        known.update({sensor: n for sensor, n in upto.items() if n > known.get(sensor, -1)})
        self._keep(address, _Edge(epoch, known, at_s, born=True))

    def _keep(self, address: EdgeAddress, edge: _Edge) -> None:
        self._edges.pop(address, None)
        self._edges[address] = edge
        if len(self._edges) > self._max_edges:
            del self._edges[next(iter(self._edges))]

    def failed(self, address: EdgeAddress, at_s: float) -> None:
        """Take note that the last announcement did not get through."""
        edge = self._edges.get(address)
        if edge is not None:
            edge.due_s = at_s + max(self._interval_s, 0.2)

    def next_s(self) -> float | None:
        """Return when the next announcement is due."""
        return min((edge.due_s for edge in self._edges.values() if edge.due_s is not None), default=None)

    def due(self, at_s: float, now: InstantNs, *, hurry: bool = False) -> list[tuple[EdgeAddress, bytes]]:
        """Return the announcements that are due, or with `hurry` all that are waiting."""
        said = []
        since = self._since = now if self._since is None else self._since
        for address, edge in self._edges.items():
            if edge.due_s is not None and (hurry or edge.due_s <= at_s):
                edge.due_s, edge.said_s = None, at_s
                upto = {str(sensor): n for sensor, n in sorted(edge.upto.items())}
                message = CommittedMessage(VERSION, edge.epoch, now, upto, since)
                said.append((address, codec.to_json(message)))
        return said

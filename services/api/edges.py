"""Which edges are there: what they said last of themselves, and what ingest said of their records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from dyncal.contracts.edges import ClockMessage
from dyncal.domain.accounts import Account
from dyncal.domain.sensors import EdgeId, Sensor, SensorId, SiteId
from dyncal.domain.time import NS_PER_S, InstantNs

_SAID: Final = {"unknown": "not synchronised", "holdover": "not synchronised any more", "degraded": "poor"}


class Doubt(NamedTuple):
    """Why a sensor's time stamps are not to be relied on, and since when."""

    why: str
    since_ns: InstantNs


@dataclass(frozen=True, slots=True)
class EdgeStatus:
    """What is known of one edge. `since_ns` is the instant of its last change between online and offline."""

    edge: EdgeId
    site: SiteId
    online: bool
    since_ns: InstantNs
    version: str = ""
    u_clock_ns: int | None = None
    n_sensors: int = 0
    clock: ClockMessage | None = None
    stamped: frozenset[str] = frozenset()
    """Sensors whose time stamps are those of its clock."""

    @property
    def stamps_doubtfully(self) -> Doubt | None:
        """Why the time stamps that it makes are not to be relied on; None where they are, or it makes none."""
        clock = self.clock
        if clock is None or clock.good or not self.stamped:
            return None
        why = f"the clock of edge {self.edge} is {_SAID.get(clock.state, clock.state[:40])}"
        return Doubt(f"{why}: u of its time stamps is {clock.u_ns / NS_PER_S:.3g} s", InstantNs(clock.since_ns))

    def doubt(self, sensor: SensorId) -> Doubt | None:
        """Return why time stamps of a sensor are not to be relied on, and since when; None where they are."""
        return self.stamps_doubtfully if sensor in self.stamped else None


class EdgeDirectory:
    """The edges, bounded in number: an invented edge cannot push a real one out."""

    def __init__(self, limit: int = 5000) -> None:
        self._limit = limit
        self._edges: dict[EdgeId, EdgeStatus] = {}

    def put(self, status: EdgeStatus) -> bool:
        """Take a status; return False where the directory is full and the edge is new to it."""
        known = self._edges.get(status.edge)
        if known is None and len(self._edges) >= self._limit:
            return False
        self._edges[status.edge] = status
        return True

    def get(self, edge: EdgeId) -> EdgeStatus | None:
        """Return what is known of `edge`."""
        return self._edges.get(edge)

    def online(self, edge: EdgeId) -> bool | None:
        """Tell whether `edge` is online; None where it has not said anything."""
        status = self._edges.get(edge)
        return None if status is None else status.online

    def doubt(self, sensor: Sensor) -> Doubt | None:
        """Return why time stamps of a sensor are not to be relied on; None where they are, or nothing says."""
        status = self._edges.get(sensor.edge)
        return None if status is None else status.doubt(sensor.id)

    def all(self) -> list[EdgeStatus]:
        """Return all edges in order of name."""
        return [self._edges[edge] for edge in sorted(self._edges)]


@dataclass(frozen=True, slots=True)
class EdgeAccount:
    """What became of the records of one sensor that one edge has sent, as ingest said at an instant."""

    edge: EdgeId
    at_ns: InstantNs
    account: Account


class LedgerBook:
    """What ingest said last of each edge's records, bounded in the number of edges; read from other threads too."""

    def __init__(self, limit: int = 5000) -> None:
        self._limit = limit
        self._edges: dict[EdgeId, tuple[InstantNs, Mapping[SensorId, Account]]] = {}
        self._senders: dict[SensorId, frozenset[EdgeId]] = {}

    def put(self, edge: EdgeId, at_ns: InstantNs, accounts: Mapping[SensorId, Account]) -> bool:
        """Take the accounts of an edge; return False where the book is full and the edge is new to it."""
        known = self._edges.get(edge)
        if known is None and len(self._edges) >= self._limit:
            return False
        before: Mapping[SensorId, Account] = {} if known is None else known[1]
        self._edges[edge] = at_ns, accounts
        for sensor in accounts.keys() - before.keys():
            self._senders[sensor] = self._senders.get(sensor, frozenset()) | {edge}
        for sensor in before.keys() - accounts.keys():
            left = self._senders[sensor] - {edge}
            if left:
                self._senders[sensor] = left
            else:
                del self._senders[sensor]
        return True

    def of(self, sensor: SensorId) -> list[EdgeAccount]:
        """Return the accounts of a sensor in order of edge; none where ingest has not said anything of it."""
        found = []
        for edge in sorted(self._senders.get(sensor, ())):
            at_ns, accounts = self._edges[edge]
            if sensor in accounts:
                found.append(EdgeAccount(edge, at_ns, accounts[sensor]))
        return found

    def has(self, edge: str, sensor: SensorId) -> bool:
        """Tell whether an edge has sent records of a sensor."""
        return edge in self._senders.get(sensor, ())

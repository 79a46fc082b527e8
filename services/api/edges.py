"""Which edges are there: what they said last of themselves, and what ingest said of their records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dyncal.domain.accounts import Account
from dyncal.domain.sensors import EdgeId, SensorId, SiteId
from dyncal.domain.time import InstantNs


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

    def all(self) -> list[EdgeStatus]:
        """Return all edges in order of name."""
        return [self._edges[edge] for edge in sorted(self._edges)]


class LedgerBook:
    """What ingest said last of each edge's records, bounded in the number of edges."""

    def __init__(self, limit: int = 5000) -> None:
        self._limit = limit
        self._edges: dict[EdgeId, tuple[InstantNs, Mapping[SensorId, Account]]] = {}

    def put(self, edge: EdgeId, at_ns: InstantNs, accounts: Mapping[SensorId, Account]) -> bool:
        """Take the accounts of an edge; return False where the book is full and the edge is new to it."""
        if edge not in self._edges and len(self._edges) >= self._limit:
            return False
        self._edges[edge] = at_ns, accounts
        return True

    def of(self, edge: EdgeId, sensor: SensorId) -> tuple[InstantNs, Account] | None:
        """Return the account of a sensor and when it was so; None where ingest has not said anything of it."""
        at_ns, accounts = self._edges.get(edge, (InstantNs(0), {}))
        account = accounts.get(sensor)
        return None if account is None else (at_ns, account)

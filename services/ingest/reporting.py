"""What ingest says of its ledger: the accounts of an edge's sensors, retained, when they have changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dyncal.contracts import ledgers
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.accounts import Account
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import InstantNs

MAX_EDGES: Final = 10_000


class LedgerReporter:
    """Pure. Knows where edges are that were heard of, and what was said of each."""

    def __init__(self) -> None:
        self._addresses: dict[EdgeId, EdgeAddress] = {}
        self._said: dict[EdgeId, Mapping[SensorId, Account]] = {}

    def heard_of(self, address: EdgeAddress) -> None:
        """Take note of an edge; beyond `MAX_EDGES` the one heard of first is forgotten."""
        self._addresses.setdefault(address.edge, address)
        if len(self._addresses) > MAX_EDGES:
            oldest = next(iter(self._addresses))
            del self._addresses[oldest]
            self._said.pop(oldest, None)

    def due(
        self, accounts: Mapping[tuple[EdgeId, SensorId], Account], now: InstantNs
    ) -> list[tuple[EdgeAddress, bytes]]:
        """Return what is to be published now, and take it for published; see `failed`."""
        by_edge: dict[EdgeId, dict[SensorId, Account]] = {}
        for (edge, sensor), account in accounts.items():
            if edge in self._addresses:
                by_edge.setdefault(edge, {})[sensor] = account
        changed = {edge: sensors for edge, sensors in by_edge.items() if self._said.get(edge) != sensors}
        self._said.update(changed)
        return [(self._addresses[edge], ledgers.encode(now, sensors)) for edge, sensors in sorted(changed.items())]

    def failed(self, address: EdgeAddress) -> None:
        """Take note that a message did not get through."""
        self._said.pop(address.edge, None)

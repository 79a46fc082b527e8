"""Which edges are there, as far as they have said so."""

from __future__ import annotations

from dyncal.domain.sensors import EdgeId
from dyncal.domain.time import InstantNs


class Edges:
    """Edges by their own word and the broker's; one that nothing was heard of counts as offline."""

    def __init__(self) -> None:
        self._seen: dict[EdgeId, tuple[bool, InstantNs]] = {}

    def see(self, edge: EdgeId, now_ns: InstantNs, *, online: bool) -> None:
        """Take in that an edge is there, or not."""
        before = self._seen.get(edge)
        if before is None or before[0] is not online:
            self._seen[edge] = (online, now_ns)

    def online(self, edge: EdgeId) -> bool:
        """Tell whether an edge is there."""
        return self._seen.get(edge, (False, 0))[0]

    def since_ns(self, edge: EdgeId, now_ns: InstantNs) -> InstantNs:
        """Return since when an edge is there, or not; of one that is asked for the first time, since now."""
        return self._seen.setdefault(edge, (False, now_ns))[1]

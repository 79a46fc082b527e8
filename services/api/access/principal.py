"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from dyncal.domain.access import Role
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.access import Reach
from dyncal.ports.clock import Clock
from dyncal.ports.records import Act


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a person, a program or an edge.

    Attributes
    ----------
    name : str
        As in the audit trail, such as ``user:anna``, ``key:k7f3a9`` or ``edge:kiln``.
    role : Role
        What it may do.
    edge : EdgeId or None
        The edge that it is bound to; every principal of the role `edge` is bound to one.
    edges, sensors : frozenset or None
        Where not None, it is confined to these edges and their sensors, and to these sensors.
    key_id, user, session : str
        The key or user that it stands or falls with, and the digest of its session; '' without.
    ends_ns : InstantNs or None
        The first instant at which it counts no more, as far as is known beforehand.
    revision : int or None
        Of the user whose password was just seen to be right.
    """

    name: str
    role: Role
    edge: EdgeId | None = None
    edges: frozenset[EdgeId] | None = None
    sensors: frozenset[SensorId] | None = None
    key_id: str = ""
    user: str = ""
    session: str = field(default="", repr=False)
    ends_ns: InstantNs | None = None
    revision: int | None = field(default=None, compare=False)

    @property
    def confined(self) -> bool:
        """True if it may not see every sensor."""
        return self.edge is not None or self.edges is not None or self.sensors is not None

    @property
    def reach(self) -> Reach | None:
        """The sensors that it may see; None for all."""
        if not self.confined:
            return None
        edges = self.edges or frozenset()
        return Reach(edges if self.edge is None else frozenset({self.edge}), self.sensors or frozenset())

    def may(self, role: Role) -> bool:
        """Tell whether it may do what `role` may."""
        return self.role.covers(role)

    def reaches_edge(self, edge: EdgeId) -> bool:
        """Tell whether what concerns `edge` as a whole is its business."""
        if self.edge is not None:
            return edge == self.edge
        return not self.confined or edge in (self.edges or ())

    def reaches(self, sensor: SensorId, edge: EdgeId) -> bool:
        """Tell whether a sensor, which `edge` reads, is its business."""
        return self.reaches_edge(edge) or (self.edge is None and sensor in (self.sensors or ()))

    def act(self, clock: Clock, reason: str = "") -> Act:
        """Return the signature of a change by this principal, now."""
        return Act(self.name, InstantNs(clock.now()), reason)


SCOPE_KEY: Final = "dyncal.principal"
"""Where in the ASGI scope the gate leaves the principal; absent if nobody has said who they are."""

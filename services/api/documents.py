"""The coefficient document of an edge: the signed envelopes that its sensors should run, with a strong tag.

A set that is published wakes every edge that waits. What each should run is therefore asked for once, by name; only the
documents of edges for which a name has changed are made anew.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from dyncal.domain.errors import NotFound
from dyncal.domain.sensors import EdgeId
from dyncal.ports.registry import Registry
from services.api.etags import strong
from services.api.watch import Revision

MAX_DOCUMENTS: Final = 5000


class Document(NamedTuple):
    """The exact bytes, and their tag."""

    body: bytes
    tag: str


class Plan(NamedTuple):
    """What each edge should run: ids of sets in order of sensor, as the registry stood at `revision` or later."""

    revision: Revision
    sets: Mapping[EdgeId, tuple[str, ...]]


class EdgeDocuments:
    """Documents by edge, each kept until a set in it is another. For the event loop; reads in threads."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._kept: OrderedDict[EdgeId, tuple[tuple[str, ...], Document]] = OrderedDict()
        self._plan: Plan | None = None
        self._planning = asyncio.Lock()

    def kept(self, edge: EdgeId, revision: Revision) -> Document | None:
        """Return the document of `edge` if it is known to be as it should at `revision`."""
        plan, entry = self._plan, self._kept.get(edge)
        if plan is None or entry is None or plan.revision != revision or plan.sets.get(edge) != entry[0]:
            return None
        return entry[1]

    async def document(self, edge: EdgeId, revision: Revision) -> Document:
        """Return the document of `edge` at `revision` or later.

        Raises
        ------
        NotFound
            For an edge without sensors.
        StoreUnavailable
            If the registry is not there.
        """
        plan = await self._planned(revision)
        sets = plan.sets.get(edge)
        if sets is None:
            raise NotFound(f"there is no edge {edge!r}, or it has no sensors")
        entry = self._kept.get(edge)
        if entry is None or entry[0] != sets:
            entry = sets, await asyncio.to_thread(self._make, edge, sets)
            self._kept[edge] = entry
        self._kept.move_to_end(edge)
        if len(self._kept) > MAX_DOCUMENTS:
            self._kept.popitem(last=False)
        return entry[1]

    async def _planned(self, revision: Revision) -> Plan:
        """Return the plan of `revision`, read once for all who ask."""
        if self._plan is None or self._plan.revision != revision:
            async with self._planning:
                if self._plan is None or self._plan.revision != revision:
                    self._plan = Plan(revision, await asyncio.to_thread(self._read))
        return self._plan

    def _read(self) -> dict[EdgeId, tuple[str, ...]]:
        desired = self._registry.desired_ids()
        of_edge: dict[EdgeId, list[str]] = {}
        for sensor in self._registry.sensors():
            sets = of_edge.setdefault(sensor.edge, [])
            if sensor.id in desired:
                sets.append(desired[sensor.id])
        return {edge: tuple(sets) for edge, sets in of_edge.items()}

    def _make(self, edge: EdgeId, sets: tuple[str, ...]) -> Document:
        envelopes = self._registry.envelopes(sets)
        # The envelopes go in byte for byte: what is signed is not touched.
        parts = b",".join(envelopes[set_id].strip() for set_id in sets)
        body = b'{"v":1,"edge":%s,"sets":[' % msgspec.json.encode(edge) + parts + b"]}"
        return Document(body, strong(body))

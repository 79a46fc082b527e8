"""The coefficient document of an edge: the signed envelopes that its sensors should run, with a strong tag."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

import msgspec

from dyncal.domain.errors import NotFound
from dyncal.domain.sensors import EdgeId
from dyncal.ports.registry import Registry
from services.api.catalogue import CatalogueCache
from services.api.etags import strong
from services.api.watch import Revision

MAX_DOCUMENTS: Final = 5000


class Document(NamedTuple):
    """The exact bytes, and their tag."""

    body: bytes
    tag: str


class EdgeDocuments:
    """Documents by edge, kept while the registry stands still. For the event loop, but for `build`."""

    def __init__(self, registry: Registry, catalogue: CatalogueCache) -> None:
        self._registry, self._catalogue = registry, catalogue
        self._kept: OrderedDict[EdgeId, tuple[Revision, Document]] = OrderedDict()

    def kept(self, edge: EdgeId, revision: Revision) -> Document | None:
        """Return the document of `edge` if it was made at `revision`."""
        entry = self._kept.get(edge)
        return entry[1] if entry is not None and entry[0] == revision else None

    def keep(self, edge: EdgeId, revision: Revision, document: Document) -> None:
        """Keep a document; forget the one unused for longest where there are too many."""
        self._kept[edge] = (revision, document)
        self._kept.move_to_end(edge)
        if len(self._kept) > MAX_DOCUMENTS:
            self._kept.popitem(last=False)

    def build(self, edge: EdgeId) -> Document:
        """Return the document of `edge` from the registry; blocks. Raises `NotFound` for an edge without sensors."""
        sensors = self._catalogue.get().of_edge(edge)
        if not sensors:
            raise NotFound(f"there is no edge {edge!r}, or it has no sensors")
        sets = [_item(record.envelope) for s in sensors if (record := self._registry.desired_set(s.id)) is not None]
        # The envelopes go in byte for byte: what is signed is not touched.
        body = b'{"v":1,"edge":%s,"sets":[' % msgspec.json.encode(edge) + b",".join(sets) + b"]}"
        return Document(body, strong(body))


def _item(envelope: bytes) -> bytes:
    return bytes(envelope).strip()

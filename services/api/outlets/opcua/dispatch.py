"""Events to those who have subscribed, and the refresh of conditions (OPC 10000-9, 5.5.7)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from asyncua import ua

from dyncal.domain.time import to_datetime
from dyncal.ports.clock import Clock
from services.api.outlets.news import News
from services.api.outlets.opcua import conditions, filters
from services.api.outlets.opcua.building import SUBTYPE, standard
from services.api.outlets.opcua.model import Model

_V = ua.VariantType
START: Final = standard(ua.ObjectIds.RefreshStartEventType)
END: Final = standard(ua.ObjectIds.RefreshEndEventType)
_SERVER: Final = standard(ua.ObjectIds.Server)


class Dispatcher:
    """Hands events to the subscriptions of a server."""

    def __init__(self, iserver: Any, model: Model, clock: Clock) -> None:
        self._iserver, self._model, self._clock = iserver, model, clock
        self._subtypes: dict[tuple[Any, Any], bool] = {}

    async def tell(self, news: News) -> None:
        """Send the event of a change to all who want it."""
        fields = self._fields(news)
        for subscription in list(self._iserver.subscription_service.subscriptions.values()):
            await self._offer(subscription, self._model.notifiers(news), fields)

    async def refresh(self, subscription: Any, alarms: Iterable[News], item: int | None = None) -> None:
        """Send the present state of `alarms` to one subscription, or to one item of it, between two brackets."""
        await self._bracket(subscription, START, item)
        for news in alarms:
            await self._offer(subscription, self._model.notifiers(news), self._fields(news), item)
        await self._bracket(subscription, END, item)

    def _fields(self, news: News) -> conditions.Fields:
        condition = ua.Variant(self._model.id(f"alarm/{news.id}"), _V.NodeId)
        return {**self._model.fields(news), "NodeId": condition}

    async def _offer(
        self, subscription: Any, nodes: Sequence[Any], fields: conditions.Fields, item: int | None = None
    ) -> None:
        for mid, data in _items(subscription, nodes):
            if item in (None, mid) and filters.passes(data.filter.WhereClause, fields, self._is_subtype):
                await _put(subscription, mid, data, fields)

    async def _bracket(self, subscription: Any, kind: Any, item: int | None) -> None:
        """Send the event that begins or ends a refresh, which no filter holds back."""
        at = to_datetime(self._clock.now())
        fields = {
            "EventId": ua.Variant(secrets.token_bytes(16), _V.ByteString),
            "EventType": ua.Variant(kind, _V.NodeId),
            "SourceNode": ua.Variant(_SERVER, _V.NodeId),
            "SourceName": ua.Variant("Server", _V.String),
            "Time": ua.Variant(at, _V.DateTime),
            "ReceiveTime": ua.Variant(at, _V.DateTime),
            "Message": ua.Variant(ua.LocalizedText("Refresh"), _V.LocalizedText),
            "Severity": ua.Variant(1, _V.UInt16),
        }
        for mid, data in _items(subscription, None):
            if item in (None, mid):
                await _put(subscription, mid, data, fields)

    def _is_subtype(self, kind: Any, wanted: Any) -> bool:
        key = (kind, wanted)
        known = self._subtypes.get(key)
        if known is None:
            if len(self._subtypes) > 1000:  # clients may ask for types that are not there
                self._subtypes.clear()
            known = self._subtypes[key] = any(parent == wanted for parent in self._parents(kind))
        return known

    def _parents(self, kind: Any) -> Iterator[Any]:
        while kind is not None:
            yield kind
            node = self._iserver.aspace.get(kind)
            up = (
                []
                if node is None
                else [r.NodeId for r in node.references if not r.IsForward and r.ReferenceTypeId == SUBTYPE]
            )
            kind = up[0] if up else None


def _items(subscription: Any, nodes: Sequence[Any] | None) -> list[tuple[int, Any]]:
    """Return the items of a subscription that want the events of `nodes` (None: of any), each once."""
    service = subscription.monitored_item_srv
    events = service._monitored_events  # noqa: SLF001 - asyncua offers no other way to them
    wanted = events if nodes is None else [node for node in nodes if node in events]
    mids = dict.fromkeys(mid for node in wanted for mid in events[node])
    items = service._monitored_items  # noqa: SLF001
    return [(mid, items[mid]) for mid in mids if mid in items and items[mid].mode == ua.MonitoringMode.Reporting]


async def _put(subscription: Any, mid: int, data: Any, fields: conditions.Fields) -> None:
    chosen = ua.EventFieldList(
        ClientHandle=data.client_handle, EventFields=filters.selected(data.filter.SelectClauses, fields)
    )
    await subscription.enqueue_event(mid, chosen, data.queue_size)

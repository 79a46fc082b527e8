"""Conditions that the API service finds itself, in what it hears: edges, sources and stores that fall silent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from dyncal.alarms.events import Reported
from dyncal.domain.alarms import AlarmKind, Condition, alarm_id
from dyncal.domain.samples import GapCause, GapRecord
from dyncal.domain.sensors import EdgeId, Sensor, SensorId, SiteId
from dyncal.domain.time import InstantNs, iso
from services.api.alarms.desk import AlarmDesk
from services.api.edges import EdgeStatus
from services.api.hub import LiveHub
from services.api.state import stale_after_ns

REPORTER: Final = "api"
STORE: Final = "store"


class OwnConditions:
    """Says a condition where it is another than the desk knows; for the event loop, but for `silent`."""

    def __init__(self, desk: AlarmDesk) -> None:
        self._desk = desk

    def edge(self, status: EdgeStatus, now: InstantNs) -> Iterator[Reported]:
        """Look at what an edge said of itself."""
        yield from self._say(
            status.site, status.edge, AlarmKind.EDGE_OFFLINE, status.since_ns, now, status.edge, holds=not status.online
        )
        if status.online:  # of one that is away nobody knows how its clock stands: that stays as it was
            yield from self._clock(status, now)

    def _clock(self, status: EdgeStatus, now: InstantNs) -> Iterator[Reported]:
        """Look at the clock of an edge; it says so again when the state is another, or u twice what it was."""
        doubt = status.stamps_doubtfully
        known = self._desk.known(alarm_id(status.edge, AlarmKind.CLOCK_DOUBTFUL))
        cause = f"{doubt.why}; it stamps {len(status.stamped)} sensors" if doubt else ""
        told = known is not None and known.holds == bool(doubt) and known.found.cause == cause
        if told or (known is None and not doubt):
            return
        # Since when, by its own clock, is what is in doubt.
        since = known.found.at_ns if known is not None and known.holds and doubt else now
        found = Condition(
            status.site,
            status.edge,
            AlarmKind.CLOCK_DOUBTFUL,
            holds=doubt is not None,
            at_ns=since,
            edge=status.edge,
            cause=cause,
        )
        yield Reported(found, REPORTER, now)

    def gone(self, site: SiteId, edge: EdgeId, now: InstantNs) -> Iterator[Reported]:
        """Take note that an edge was taken away for good: nothing holds of it any longer."""
        for kind in (AlarmKind.EDGE_OFFLINE, AlarmKind.CLOCK_DOUBTFUL, AlarmKind.SPOOL_FILLING):
            yield from self._say(site, edge, kind, now, now, edge, holds=False)

    def store(self, site: SiteId, fault: str, now: InstantNs) -> Iterator[Reported]:
        """Look at what is wrong with the time-series store ('': nothing)."""
        yield from self._say(site, STORE, AlarmKind.STORE_FAILING, now, now, cause=fault[:500], holds=bool(fault))

    def gap(self, site: SiteId, edge: EdgeId, record: GapRecord, now: InstantNs) -> Iterator[Reported]:
        """Look at a gap: what a source did not say is not lost."""
        gap = record.gap
        if gap.cause is GapCause.SOURCE_SILENT:
            return
        cause = f"{gap.cause.value}: nothing between {iso(gap.after_ns)} and {iso(gap.before_ns)}"
        yield from self._say(site, record.sensor, AlarmKind.RECORDS_LOST, now, now, edge, cause, holds=True)

    def block(self, site: SiteId, edge: EdgeId, sensor: SensorId, now: InstantNs) -> Iterator[Reported]:
        """Look at a block: the hole before it is at its end."""
        yield from self._say(site, sensor, AlarmKind.RECORDS_LOST, now, now, edge, holds=False)

    def silent(self, sensors: Iterable[Sensor], hub: LiveHub, now: InstantNs) -> Iterator[Reported]:
        """Look for sensors whose values have stopped; of one that never had a value nothing is said."""
        for sensor in sensors:
            latest = hub.latest(sensor.id)
            if latest is None or latest.raw_t_ns < 0:
                continue
            holds = now - latest.raw_t_ns > stale_after_ns(sensor)
            since = InstantNs(latest.raw_t_ns + stale_after_ns(sensor)) if holds else now
            yield from self._say(sensor.site, sensor.id, AlarmKind.SOURCE_SILENT, since, now, sensor.edge, holds=holds)

    def _say(
        self,
        site: SiteId,
        source: str,
        kind: AlarmKind,
        since: InstantNs,
        now: InstantNs,
        edge: str = "",
        cause: str = "",
        *,
        holds: bool,
    ) -> Iterator[Reported]:
        known = self._desk.known(alarm_id(source, kind))
        if holds != (known is not None and known.holds):
            yield Reported(Condition(site, source, kind, holds, since, edge, cause=cause), REPORTER, now)

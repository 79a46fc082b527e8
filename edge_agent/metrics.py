"""Prometheus metrics of the edge: read off the parts when somebody asks, so that counting costs nothing before.

Values by sensor are told of `MOST_SENSORS`, the first by name; those of all others are added up under ``~others``,
which no sensor can be called, or are the worst of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from dyncal.domain.sensors import SensorId
from dyncal.domain.time import NS_PER_S
from dyncal.runtime.families import Family, Labelled, described
from edge_agent.agent import AgentEngine
from edge_agent.outbox import Outbox
from edge_agent.publisher import Publisher
from edge_agent.readers.mqtt import MqttReader
from edge_agent.sources import Sources
from edge_agent.spool import Spool
from edge_agent.station import Station
from edge_agent.stream import Stream

MOST_SENSORS: Final = 500
OTHERS: Final = "~others"

_S: Final = ("sensor",)
_UP: Final = Family("gauge", "dyncal_edge_source_up", "1 while a source is fully there", ("source",))
_MESSAGES: Final = Family(
    "counter", "dyncal_edge_source_messages", "Notifications and messages that sources sent", ("source",)
)
_QUARANTINED: Final = Family(
    "counter", "dyncal_edge_quarantined", "Messages of sources that could not be read", ("source",)
)
_READ: Final = Family("counter", "dyncal_edge_samples_read", "Samples that came", _S)
_DUPLICATE: Final = Family("counter", "dyncal_edge_samples_duplicate", "Samples that had come before", _S)
_LATE: Final = Family("counter", "dyncal_edge_samples_late", "Samples that came after newer ones", _S)
_REFUSED: Final = Family("counter", "dyncal_edge_samples_refused", "Samples with impossible times", _S)
_GAPS: Final = Family("counter", "dyncal_edge_gaps", "Gaps that were recorded", _S)
_LAG: Final = Family("gauge", "dyncal_edge_source_lag_seconds", "From the newest sample's own time to its arrival", _S)

_HANDLING: Final = Family(
    "summary", "dyncal_edge_handling_seconds", "Sorting, correcting and cutting what came, by batches of events"
)
_CORRECTED: Final = Family("counter", "dyncal_edge_samples_corrected", "Corrected values that were made", _S)
_BLOCKS: Final = Family("counter", "dyncal_edge_blocks", "Blocks that were cut", _S)
_SENSORS: Final = Family(
    "gauge", "dyncal_edge_sensors", "Sensors that are read, by whether a coefficient set runs", ("corrected",)
)
_SETS: Final = Family("counter", "dyncal_edge_sets", "What became of coefficient sets that were offered", ("outcome",))

_SPOOL_WRITE: Final = Family("summary", "dyncal_edge_spool_write_seconds", "Writing to the spool, by batches")
_SPOOL_BYTES: Final = Family("gauge", "dyncal_edge_spool_bytes", "Bytes of the spool on disk")
_SPOOL_FILL: Final = Family(
    "gauge", "dyncal_edge_spool_fill_ratio", "How full the spool is: at 1 something is given up"
)
_SPOOL_RECORDS: Final = Family("gauge", "dyncal_edge_spool_records", "Records that the store does not have")
_SPOOL_FAILING: Final = Family("gauge", "dyncal_edge_spool_failing", "1 while the disk does not take the spool")
_DROPPED: Final = Family("counter", "dyncal_edge_spool_dropped_samples", "Samples given up for the spool's cap")
_READ_ERRORS: Final = Family(
    "counter", "dyncal_edge_spool_read_errors", "Files of the spool that could not be read when they were to be sent"
)

_THROUGH: Final = Family(
    "histogram",
    "dyncal_edge_publish_delay_seconds",
    "From the arrival of a block's last message to its publication, of live blocks",
)
_PUBLISHED: Final = Family("counter", "dyncal_edge_published", "Messages that the broker took")
_FAILURES: Final = Family("counter", "dyncal_edge_publish_failures", "Publishes that failed or were refused")
_REPLAYED: Final = Family("counter", "dyncal_edge_replayed", "Records sent from the backlog")
_RESENDS: Final = Family("counter", "dyncal_edge_resends", "Times that records were sent again for want of word")
_BACKLOG: Final = Family("gauge", "dyncal_edge_backlog", "1 while a backlog is being sent")
_LIVE: Final = Family("gauge", "dyncal_edge_live_records", "New records that wait to be published")
_IN_FLIGHT: Final = Family(
    "gauge", "dyncal_edge_in_flight_messages", "Messages that the broker has not acknowledged yet"
)

_NOTICES: Final = Family("counter", "dyncal_edge_notices", "Things that happened, by their kind", ("kind",))

FAMILIES: Final = (
    _UP, _MESSAGES, _QUARANTINED, _READ, _DUPLICATE, _LATE, _REFUSED, _GAPS, _LAG,
    _HANDLING, _CORRECTED, _BLOCKS, _SENSORS, _SETS,
    _SPOOL_WRITE, _SPOOL_BYTES, _SPOOL_FILL, _SPOOL_RECORDS, _SPOOL_FAILING, _DROPPED, _READ_ERRORS,
    _THROUGH, _PUBLISHED, _FAILURES, _REPLAYED, _RESENDS, _BACKLOG, _LIVE, _IN_FLIGHT,
    _NOTICES,
)  # fmt: skip

_COUNTS: Final = (
    (_READ, "n_read"), (_DUPLICATE, "n_duplicate"), (_LATE, "n_late"), (_REFUSED, "n_refused"), (_GAPS, "n_gaps"),
    (_CORRECTED, "n_corrected"), (_BLOCKS, "n_blocks"),
)  # fmt: skip


class EdgeCollector(Collector):
    """Collects from the running parts; called from the thread that serves the metrics, and only reads numbers."""

    def __init__(
        self,
        engine: AgentEngine,
        station: Station,
        spool: Spool,
        outbox: Outbox,
        publisher: Publisher,
        sources: Sources,
    ) -> None:
        self._engine = engine
        self._station = station
        self._spool = spool
        self._outbox = outbox
        self._publisher = publisher
        self._readable = sources

    def describe(self) -> Iterator[Metric]:
        """Yield what there is, without values."""
        return described(FAMILIES)

    def collect(self) -> Iterator[Metric]:
        """Yield everything."""
        station = self._station
        yield from self._sources()
        yield from self._streams(dict(self._engine.streams))  # sensors may come and go meanwhile
        yield _HANDLING.took(station.n_handled, station.handled_s)
        yield _SETS.each([((outcome.value,), count) for outcome, count in list(station.n_outcomes.items())])
        yield from self._kept()
        yield from self._delivery()
        yield _NOTICES.each([((kind.value,), count) for kind, count in list(station.n_notices.items())])

    def _streams(self, streams: Mapping[SensorId, Stream]) -> Iterator[Metric]:
        for family, name in _COUNTS:
            yield family.each(by_sensor({s: getattr(each.counts, name) for s, each in streams.items()}, sum))
        lags = {s: each.lag_ns / NS_PER_S for s, each in streams.items() if each.lag_ns is not None}
        yield _LAG.each(by_sensor(lags, max))
        n_corrected = sum(each.adjustment.set_id is not None for each in streams.values())
        yield _SENSORS.each([(("true",), n_corrected), (("false",), len(streams) - n_corrected)])

    def _kept(self) -> Iterator[Metric]:
        spool, station = self._spool, self._station
        yield _SPOOL_WRITE.took(station.n_flushed, station.flushed_s)
        yield _SPOOL_BYTES.of(spool.n_bytes)
        yield _SPOOL_FILL.of(spool.fill)
        yield _SPOOL_RECORDS.of(spool.n_uncommitted)
        yield _SPOOL_FAILING.of(bool(station.spool_trouble))
        yield _DROPPED.of(spool.n_dropped)
        yield _READ_ERRORS.of(self._outbox.n_read_errors)

    def _delivery(self) -> Iterator[Metric]:
        publisher, outbox = self._publisher, self._outbox
        yield _THROUGH.spread(publisher.through)
        yield _PUBLISHED.of(publisher.n_published)
        yield _FAILURES.of(publisher.n_failed)
        yield _REPLAYED.of(publisher.n_replayed)
        yield _RESENDS.of(outbox.n_resends)
        yield _BACKLOG.of(outbox.backlogged)
        yield _LIVE.of(outbox.n_live)
        yield _IN_FLIGHT.of(publisher.n_under_way)

    def _sources(self) -> Iterator[Metric]:
        readers = list(self._readable.readers)
        yield _UP.each([((reader.name,), not reader.trouble) for reader in readers])
        yield _MESSAGES.each([((reader.name,), reader.n_messages) for reader in readers])
        yield _QUARANTINED.each([((r.name,), r.n_quarantined) for r in readers if isinstance(r, MqttReader)])


def by_sensor(values: Mapping[SensorId, float], together: Callable[[Iterable[float]], float]) -> Labelled:
    """Return values by label: of `MOST_SENSORS` sensors their own, of all others what `together` makes of theirs."""
    names = sorted(values)
    told: list[tuple[tuple[str], float]] = [((name,), values[name]) for name in names[:MOST_SENSORS]]
    if len(names) > MOST_SENSORS:
        told.append(((OTHERS,), together(values[name] for name in names[MOST_SENSORS:])))
    return told

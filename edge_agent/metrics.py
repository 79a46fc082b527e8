"""Prometheus metrics of the edge: read off the parts when somebody asks, so that counting costs nothing before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edge_agent.agent import AgentEngine
from edge_agent.counts import StreamCounts
from edge_agent.outbox import Outbox
from edge_agent.publisher import Publisher
from edge_agent.readers.mqtt import MqttReader
from edge_agent.readers.opcua import OpcuaReader
from edge_agent.sources import Sources
from edge_agent.spool import Spool
from edge_agent.station import Station


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

    def collect(self) -> Iterator[Metric]:
        """Yield everything."""
        yield from self._streams()
        yield from self._delivery()
        yield from self._sources()
        notices = CounterMetricFamily("dyncal_edge_notices", "Things that happened.", labels=["kind"])
        for kind, count in list(self._station.n_notices.items()):
            notices.add_metric([kind.value], count)
        yield notices
        outcomes = CounterMetricFamily("dyncal_edge_sets", "What became of coefficient sets.", labels=["outcome"])
        for outcome, count in list(self._station.n_outcomes.items()):
            outcomes.add_metric([outcome.value], count)
        yield outcomes

    def _streams(self) -> Iterator[Metric]:
        for item in fields(StreamCounts):
            name = item.name.removeprefix("n_")
            family = CounterMetricFamily(
                f"dyncal_edge_samples_{name}", f"Samples by sensor: {name}.", labels=["sensor"]
            )
            for sensor, stream in list(self._engine.streams.items()):  # sensors may come and go meanwhile
                family.add_metric([sensor], getattr(stream.counts, item.name))
            yield family

    def _delivery(self) -> Iterator[Metric]:
        publisher, outbox = self._publisher, self._outbox
        yield GaugeMetricFamily("dyncal_edge_spool_bytes", "Bytes of the spool on disk.", value=self._spool.n_bytes)
        yield GaugeMetricFamily(
            "dyncal_edge_spool_records", "Records that the store does not have.", value=self._spool.n_uncommitted
        )
        yield CounterMetricFamily(
            "dyncal_edge_spool_dropped_samples", "Samples given up for the cap.", value=self._spool.n_dropped
        )
        yield GaugeMetricFamily("dyncal_edge_backlog", "Whether a backlog is being sent.", value=outbox.backlogged)
        yield CounterMetricFamily(
            "dyncal_edge_published", "Messages that the broker took.", value=publisher.n_published
        )
        yield CounterMetricFamily("dyncal_edge_replayed", "Records sent from the backlog.", value=publisher.n_replayed)
        yield CounterMetricFamily("dyncal_edge_publish_failures", "Publishes that failed.", value=publisher.n_failed)
        yield CounterMetricFamily("dyncal_edge_resends", "Times without word from the store.", value=outbox.n_resends)

    def _sources(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("dyncal_edge_source_up", "Whether a source is fully there.", labels=["source"])
        n_in = CounterMetricFamily("dyncal_edge_source_messages", "Notifications and messages.", labels=["source"])
        bad = CounterMetricFamily("dyncal_edge_quarantined", "Messages that could not be read.", labels=["source"])
        for reader in self._readable.readers:
            up.add_metric([reader.name], not reader.trouble)
            if isinstance(reader, OpcuaReader):
                n_in.add_metric([reader.name], reader.n_notifications)
            if isinstance(reader, MqttReader):
                n_in.add_metric([reader.name], reader.n_messages)
                bad.add_metric([reader.name], reader.n_quarantined)
        yield from (up, n_in, bad)

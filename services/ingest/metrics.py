"""Prometheus metrics of ingest."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary

from dyncal.domain.accounts import Account
from dyncal.domain.errors import StoreUnauthorized, StoreUnavailable
from dyncal.ports.sample_store import WriteReport

LEDGER_COUNTS: Final = (
    "numbers", "blocks", "samples", "gap_numbers", "quarantined", "unknown", "repeated_records", "repeated_samples",
)  # fmt: skip


class IngestMetrics:
    """Counters and gauges in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._received = Counter("dyncal_ingest_messages", "Messages received from the broker", registry=self.registry)
        self._rows = Counter("dyncal_ingest_rows", "Rows made durable in the store", ["kind"], registry=self.registry)
        self._quarantined = Counter(
            "dyncal_ingest_quarantined", "Messages put into quarantine", ["reason"], registry=self.registry
        )
        self._not_kept = Counter(
            "dyncal_ingest_quarantine_failures", "Messages that quarantine could not keep", registry=self.registry
        )
        self._contested = Counter(
            "dyncal_ingest_contested_sensors",
            "Sensors that two edges write: of samples at one instant the last is kept",
            registry=self.registry,
        )
        self._errors = Counter("dyncal_ingest_store_errors", "Failed writes", ["kind"], registry=self.registry)
        self._write_s = Histogram(
            "dyncal_ingest_write_seconds",
            "Time from giving a batch to the store until it is in the ledger",
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
            registry=self.registry,
        )
        self._batch = Histogram(
            "dyncal_ingest_batch_messages",
            "Messages in a batch",
            buckets=(1, 3, 10, 30, 100, 300, 1000, 3000),
            registry=self.registry,
        )
        self._lag = Gauge(
            "dyncal_ingest_lag_seconds", "From the edge's arrival to the ledger, newest record", registry=self.registry
        )
        self._pending = Gauge("dyncal_ingest_pending_messages", "Messages held unacknowledged", registry=self.registry)
        self._ledger = Gauge(
            "dyncal_ingest_ledger", "What became of records and samples, since the ledger began", ["what"],
            registry=self.registry,
        )  # fmt: skip
        self._lost = Gauge(
            "dyncal_ingest_lost_samples", "Samples that gaps stand for, since the ledger began", ["cause"],
            registry=self.registry,
        )  # fmt: skip
        self._reduced = Counter(
            "dyncal_ingest_retention_rows", "Samples, and aggregates, that were replaced by coarser ones, or forgotten",
            ["what"], registry=self.registry,
        )  # fmt: skip
        self._not_reduced = Counter(
            "dyncal_ingest_retention_failures", "Searches for what is too old that failed", registry=self.registry
        )
        self._searched = Gauge(
            "dyncal_ingest_retention_done_timestamp_seconds",
            "When nothing was left that is too old, but what must stay [s since the epoch]",
            registry=self.registry,
        )
        self._connected = Gauge("dyncal_ingest_broker_connected", "1 while the broker answers", registry=self.registry)
        self._decode_s = Summary(
            "dyncal_ingest_decode_seconds", "Reading and checking what came, by parts of a delivery",
            registry=self.registry,
        )  # fmt: skip
        self._ledger_s = Summary(
            "dyncal_ingest_ledger_seconds", "Entering a batch that the store has into the ledger",
            registry=self.registry,
        )  # fmt: skip
        self._full = Counter(
            "dyncal_ingest_full", "Times that no more was taken from the broker until the store had caught up",
            registry=self.registry,
        )  # fmt: skip
        self._announced = Counter(
            "dyncal_ingest_announcements", "Words to edges of what is stored, by what came of them", ["outcome"],
            registry=self.registry,
        )  # fmt: skip

    def received(self, n_messages: int) -> None:
        """Count messages."""
        self._received.inc(n_messages)

    def taken_in(self, seconds: float) -> None:
        """Count the time in which messages were read."""
        self._decode_s.observe(seconds)

    def full(self) -> None:
        """Count that there is no room for more."""
        self._full.inc()

    def announced(self, *, taken: bool) -> None:
        """Count a word to an edge, which the broker took or not."""
        self._announced.labels("sent" if taken else "failed").inc()

    def stored(
        self, report: WriteReport, *, n_messages: int, seconds: float, ledger_s: float, lag_s: float | None
    ) -> None:
        """Count a batch that is durable, and in the ledger."""
        self._ledger_s.observe(ledger_s)
        for kind, n in (("raw", report.n_raw), ("corrected", report.n_corrected), ("gap", report.n_gaps)):
            self._rows.labels(kind).inc(n)
        self._write_s.observe(seconds)
        self._batch.observe(n_messages)
        if lag_s is not None:
            self._lag.set(lag_s)

    def quarantined(self, reason: str) -> None:
        """Count a message that was set aside."""
        self._quarantined.labels(reason).inc()

    def not_kept(self, n: int) -> None:
        """Count messages that were set aside and could not even be kept there."""
        self._not_kept.inc(n)

    def contested(self, n: int) -> None:
        """Count sensors that are found to come from two edges."""
        self._contested.inc(n)

    def ledger(self, total: Account) -> None:
        """Set the account of all sensors together."""
        for what in LEDGER_COUNTS:
            self._ledger.labels(what).set(getattr(total, what))
        for cause, lost in total.gaps.items():
            self._lost.labels(cause.value).set(lost.samples)

    def reduced(self, n_rows: int, *, samples: bool) -> None:
        """Count samples, or aggregates, that have been replaced."""
        self._reduced.labels("samples" if samples else "aggregates").inc(n_rows)

    def all_reduced(self, at_s: float) -> None:
        """Take note that nothing is left that is too old."""
        self._searched.set(at_s)

    def not_reduced(self) -> None:
        """Count a search that failed."""
        self._not_reduced.inc()

    def failed(self, error: BaseException) -> None:
        """Count a failed write by its kind."""
        match error:
            case StoreUnavailable():
                kind = "unavailable"
            case StoreUnauthorized():
                kind = "unauthorized"
            case _:
                kind = "refused"
        self._errors.labels(kind).inc()

    def standing(self, *, n_pending: int, connected: bool) -> None:
        """Set the gauges."""
        self._pending.set(n_pending)
        self._connected.set(float(connected))

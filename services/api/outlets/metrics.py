"""Prometheus metrics of the outlets."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class OutletMetrics:
    """Counters of all outlets, by the name of the target."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        into = CollectorRegistry() if registry is None else registry
        by = ["target"]
        self.attempts = Counter(
            "dyncal_outlet_attempts", "Attempts to deliver, by what came of them", [*by, "outcome"], registry=into
        )
        self.given_up = Counter(
            "dyncal_outlet_given_up", "Changes that could not be delivered in their time", by, registry=into
        )
        self.waiting = Gauge("dyncal_outlet_waiting", "Changes taken over that wait", by, registry=into)
        self.oldest_s = Gauge("dyncal_outlet_oldest_seconds", "Age of the oldest of them [s]", by, registry=into)
        self.disabled = Gauge("dyncal_outlet_disabled", "1 where a receiver wants no more", by, registry=into)

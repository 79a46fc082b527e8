"""Prometheus metrics of the calibration service."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.calibrate.stages import Stage

_STAGE_BUCKETS: Final = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)


class CalibrateMetrics:
    """The metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.deliveries = Counter(
            "dyncal_calibrate_deliveries_total", "Messages that were dealt with", registry=self.registry
        )
        self.waiting = Gauge("dyncal_calibrate_waiting", "Messages that wait for the worker", registry=self.registry)
        self.passed_over = Counter(
            "dyncal_calibrate_samples_passed_over_total",
            "Samples that were left out since more came than could be dealt with",
            registry=self.registry,
        )
        self.lag_s = Gauge(
            "dyncal_calibrate_lag_seconds", "From a block's arrival at the edge to calibration", registry=self.registry
        )
        self.handled = Histogram(
            "dyncal_calibrate_batch_seconds", "Time to deal with a batch of messages", registry=self.registry
        )
        self.pairings = Gauge("dyncal_calibrate_pairings", "Pairings that are followed", registry=self.registry)
        self._stages = Histogram(
            "dyncal_calibrate_stage_seconds",
            "Time of one step of a part of the work",
            ["stage"],
            buckets=_STAGE_BUCKETS,
            registry=self.registry,
        )
        self._by_stage = {stage: self._stages.labels(stage.value) for stage in Stage}
        self.sets = Counter(
            "dyncal_calibrate_sets_total", "Coefficient sets made, by first state", ["state"], registry=self.registry
        )
        self.conditions = Counter(
            "dyncal_calibrate_conditions_total",
            "Conditions that began or ended",
            ["kind", "holds"],
            registry=self.registry,
        )
        self.unsent = Gauge(
            "dyncal_calibrate_unsent", "Messages that wait for the broker to take them", registry=self.registry
        )
        self.published = Counter(
            "dyncal_calibrate_published_total", "Messages that the broker took", registry=self.registry
        )
        self.publish_failures = Counter(
            "dyncal_calibrate_publish_failures_total", "Publishes that failed", registry=self.registry
        )
        self.notes = Counter(
            "dyncal_calibrate_notes_total",
            "Things worth counting, errors among them, by kind",
            ["kind"],
            registry=self.registry,
        )

    def stage(self, which: Stage, seconds: float) -> None:
        """Count a stage of the work."""
        self._by_stage[which].observe(seconds)

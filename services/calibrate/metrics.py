"""Prometheus metrics of the calibration service."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class CalibrateMetrics:
    """The metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.deliveries = Counter(
            "dyncal_calibrate_deliveries_total", "Messages that were dealt with", registry=self.registry
        )
        self.notes = Counter(
            "dyncal_calibrate_notes_total", "Things worth counting, by kind", ["kind"], registry=self.registry
        )
        self.sets = Counter(
            "dyncal_calibrate_sets_total", "Coefficient sets made, by first state", ["state"], registry=self.registry
        )
        self.conditions = Counter(
            "dyncal_calibrate_conditions_total",
            "Conditions that began or ended",
            ["kind", "holds"],
            registry=self.registry,
        )
        self.handled = Histogram(
            "dyncal_calibrate_batch_seconds", "Time to deal with a batch of messages", registry=self.registry
        )
        self.waiting = Gauge("dyncal_calibrate_waiting", "Messages that wait for the worker", registry=self.registry)
        self.pairings = Gauge("dyncal_calibrate_pairings", "Pairings that are followed", registry=self.registry)

"""Prometheus metrics of the API service."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class ApiMetrics:
    """Counters of one service, in a registry of their own so that several services fit in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "dyncal_api_requests", "HTTP requests", ["method", "route", "status"], registry=self.registry
        )
        self.latency = Histogram(
            "dyncal_api_request_seconds",
            "Time to the first byte of the answer",
            ["route"],
            buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
            registry=self.registry,
        )
        self.messages = Counter("dyncal_api_messages", "Messages from the bus", ["kind"], registry=self.registry)
        self.rejected = Counter(
            "dyncal_api_rejected", "Messages from the bus that could not be used", ["kind"], registry=self.registry
        )
        self.lag_s = Gauge(
            "dyncal_api_lag_seconds", "From a block's arrival at the edge to the live streams", registry=self.registry
        )
        self.clients = Gauge("dyncal_api_stream_clients", "Open live streams", registry=self.registry)
        self.frames = Counter(
            "dyncal_api_stream_frames", "Events of the live stream", ["event"], registry=self.registry
        )
        self.dropped = Counter(
            "dyncal_api_stream_frames_dropped", "Trend frames dropped for slow clients", registry=self.registry
        )
        self.cut = Counter("dyncal_api_stream_clients_cut", "Clients cut off as too slow", registry=self.registry)
        self.alarms = Counter(
            "dyncal_api_alarm_changes",
            "Changes of alarms, and how operators were told of them",
            ["kind", "event", "annunciated"],
            registry=self.registry,
        )
        self.alarms_waiting = Gauge(
            "dyncal_api_alarm_events_waiting", "Conditions that wait for the alarm desk", registry=self.registry
        )
        self.jobs = Counter(
            "dyncal_api_jobs", "Calibrations on demand that ended, by how", ["state"], registry=self.registry
        )
        self.job_s = Histogram(
            "dyncal_api_job_seconds",
            "Time of a calibration on demand, from its beginning to its end",
            buckets=(0.3, 1, 3, 10, 30, 100, 300),
            registry=self.registry,
        )
        self.jobs_waiting = Gauge("dyncal_api_jobs_waiting", "Calibrations on demand that wait", registry=self.registry)

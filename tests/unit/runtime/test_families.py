"""Metrics that are filled when somebody asks, against the library's own."""

from __future__ import annotations

import numpy as np
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import Metric

from dyncal.runtime.families import Durations, Family

BOUNDS_S = (1e-3, 0.01, 0.5, 1.0)


class Of:
    """A collector of one metric."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> list[Metric]:
        return [self._metric]


def test_durations_are_told_as_the_library_tells_its_own() -> None:
    own, theirs, durations = CollectorRegistry(), CollectorRegistry(), Durations(BOUNDS_S)
    histogram = Histogram("took_seconds", "How long it took", buckets=BOUNDS_S, registry=theirs)
    for seconds in [0.0, *BOUNDS_S, 1e9, *np.random.default_rng(1).exponential(0.3, 100).tolist()]:
        durations.add(seconds)
        histogram.observe(seconds)
    own.register(Of(Family("histogram", "took_seconds", "How long it took").spread(durations)))
    told = [line for line in generate_latest(theirs).decode().splitlines() if "_created" not in line]
    assert generate_latest(own).decode().splitlines() == told


def test_nothing_is_told_as_a_histogram_of_nothing() -> None:
    assert [n for _, n in Durations(BOUNDS_S).buckets] == [0.0] * 5

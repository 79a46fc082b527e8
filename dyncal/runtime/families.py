"""Metrics whose values are read off a program's parts when somebody asks: declared once, filled then."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.utils import floatToGoString

Labelled = Iterable[tuple[Sequence[str], float]]


class Durations:
    """How often something took how long, counted in one thread and read by another.

    The library's own histogram takes a lock and goes through its buckets one by one: several times as long, where
    each block of samples is counted.

    Parameters
    ----------
    bounds_s : sequence of float
        Upper bounds of the buckets, each its own bucket's [s]; increasing. What is longer than the last is counted as
        well.
    """

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self._bounds_s = tuple(bounds_s)
        self._counts = [0] * (len(self._bounds_s) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self._counts[bisect_left(self._bounds_s, seconds)] += 1
        self.sum_s += seconds

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """How many took up to each bound, as Prometheus has it: the last is all of them."""
        names = [*map(floatToGoString, self._bounds_s), "+Inf"]
        return list(zip(names, accumulate(self._counts), strict=True))


@dataclass(frozen=True, slots=True)
class Family:
    """A metric by its name (a counter's without ``_total``), what it says, and its labels.

    A summary is how often something was done, and the seconds that took in all; a histogram also how often it took
    how long.
    """

    kind: Literal["counter", "gauge", "summary", "histogram"]
    name: str
    says: str
    labels: tuple[str, ...] = ()

    def of(self, value: float) -> Metric:
        """Return the metric with its one value."""
        return self.each([((), value)])

    def each(self, values: Labelled) -> Metric:
        """Return the metric with values by their labels."""
        made: CounterMetricFamily | GaugeMetricFamily = (
            CounterMetricFamily(self.name, self.says, labels=self.labels)
            if self.kind == "counter"
            else GaugeMetricFamily(self.name, self.says, labels=self.labels)
        )
        for labels, value in values:
            made.add_metric(labels, value)
        return made

    def took(self, n: int, seconds: float) -> Metric:
        """Return a summary: `n` times, `seconds` in all."""
        return SummaryMetricFamily(self.name, self.says, count_value=n, sum_value=seconds)

    def spread(self, durations: Durations) -> Metric:
        """Return a histogram."""
        return HistogramMetricFamily(self.name, self.says, buckets=durations.buckets, sum_value=durations.sum_s)

    def empty(self) -> Metric:
        """Return the metric without a value, for who asks what there is."""
        return Metric(self.name, self.says, self.kind)


def described(families: Iterable[Family]) -> Iterator[Metric]:
    """Return what a registry wants to know of a collector before it collects."""
    return (family.empty() for family in families)

"""Metrics whose values are read off a program's parts when somebody asks: declared once, filled then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily

Labelled = Iterable[tuple[Sequence[str], float]]


@dataclass(frozen=True, slots=True)
class Family:
    """A metric by its name (a counter's without ``_total``), what it says, and its labels.

    A summary is how often something was done, and the seconds that took in all.
    """

    kind: Literal["counter", "gauge", "summary"]
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

    def empty(self) -> Metric:
        """Return the metric without a value, for who asks what there is."""
        return Metric(self.name, self.says, self.kind)


def described(families: Iterable[Family]) -> Iterator[Metric]:
    """Return what a registry wants to know of a collector before it collects."""
    return (family.empty() for family in families)

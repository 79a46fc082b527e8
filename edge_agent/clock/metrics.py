"""Prometheus metrics of this machine's clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from dyncal.domain.time import NS_PER_S
from dyncal.runtime.families import Family, described
from edge_agent.clock.service import ClockService
from edge_agent.clock.watch import ClockState

_U: Final = Family(
    "gauge", "dyncal_edge_clock_uncertainty_seconds", "Standard uncertainty of this machine's clock, as blocks bear it"
)
_OFFSET: Final = Family(
    "gauge", "dyncal_edge_clock_offset_seconds", "By how much the clock was ahead of its reference when last asked"
)
_AGE: Final = Family("gauge", "dyncal_edge_clock_reading_age_seconds", "Time since a source last said that it is right")
_STATE: Final = Family("gauge", "dyncal_edge_clock_state", "1 for the state that the clock is in", ("state",))
_SOURCE: Final = Family("gauge", "dyncal_edge_clock_source", "1 for the source that was last believed", ("source",))
_READINGS: Final = Family(
    "counter", "dyncal_edge_clock_readings", "Questions to sources, by what came of them", ("source", "outcome")
)
_STEPS: Final = Family("counter", "dyncal_edge_clock_steps", "Times that the clock was set, not slewed")

FAMILIES: Final = (_U, _OFFSET, _AGE, _STATE, _SOURCE, _READINGS, _STEPS)


class ClockCollector(Collector):
    """Collects from the running service."""

    def __init__(self, service: ClockService) -> None:
        self._service = service

    def describe(self) -> Iterator[Metric]:
        """Yield what there is, without values."""
        return described(FAMILIES)

    def collect(self) -> Iterator[Metric]:
        """Yield everything."""
        found = self._service.standing
        yield _U.of(found.u_ns / NS_PER_S)
        if found.offset_ns is not None:
            yield _OFFSET.of(found.offset_ns / NS_PER_S)
        if found.age_s is not None:
            yield _AGE.of(found.age_s)
        yield _STATE.each([((state.value,), state is found.state) for state in ClockState])
        if found.source:
            yield _SOURCE.each([((found.source,), 1)])
        yield _READINGS.each(list(dict(self._service.n_read).items()))
        yield _STEPS.of(self._service.n_steps)

"""A scenario as a source: what its channels publish, when it is due."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from dyncal.domain.quality import GOOD
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import DurationNs, InstantNs
from edge_agent import declared
from edge_agent.events import StreamConfig
from edge_agent.settings import EdgeSection, EdgeSettings
from simulators.plant import Channel, Plant, Publication
from simulators.replay.sources import Block
from simulators.scenarios.scenario import Scenario
from simulators.surfaces.pacing import Schedule
from simulators.trial.configuration import SITE, Ports, configuration

T0: Final = InstantNs(1_767_225_600_000_000_000)
"""Instant of the first sample where none is given: 2026-01-01T00:00:00Z."""


class SimulatedSource:
    """The channels of a scenario for a span of time.

    Parameters
    ----------
    scenario : Scenario
    span_ns : int
        What is due within this span of `t0_ns` is replayed [ns].
    t0_ns : int
        Instant of the first sample of every channel, a whole number of microseconds.
    """

    def __init__(self, scenario: Scenario, span_ns: DurationNs, t0_ns: InstantNs = T0) -> None:
        self.scenario, self.t0_ns, self._span_ns = scenario, t0_ns, span_ns
        self._settings = edge_settings(scenario)

    @property
    def name(self) -> str:
        """Name of the scenario."""
        return self.scenario.name

    @property
    def settings(self) -> EdgeSettings:
        """The edge's settings, as in the demo."""
        return self._settings

    @property
    def streams(self) -> Sequence[StreamConfig]:
        """Sensors and references, as the demo's edge declares them."""
        return declared.stream_configs(self._settings)

    def end_ns(self) -> InstantNs:
        """Return the instant after which nothing is due."""
        return InstantNs(self.t0_ns + self._span_ns)

    def plant(self) -> Plant:
        """Return the plant, fresh, with the truth behind the samples."""
        return Plant(self.scenario, self.t0_ns)

    def blocks(self) -> Iterator[Block]:
        """Iterate over the publications in the order in which they are due."""
        schedule = Schedule(self.plant().channels())
        end = self.end_ns()
        while (item := schedule.pop_due(end)) is not None:
            yield from _blocks(*item)


def _blocks(channel: Channel, publication: Publication) -> Iterator[Block]:
    codes = np.full(publication.value.size, GOOD, np.uint32)
    for _ in range(publication.copies):
        yield Block(
            SensorId(channel.id), publication.t_ns, publication.value, codes, InstantNs(int(publication.due_ns))
        )


def edge_settings(scenario: Scenario) -> EdgeSettings:
    """Return the settings of the demo's edge for a scenario; neither files nor the environment are read."""
    content = configuration(scenario, Ports(1, 2, 3), Path(), "error")
    return EdgeSettings.model_construct(site=SITE, data_dir=Path(), edge=EdgeSection.model_validate(content["edge"]))

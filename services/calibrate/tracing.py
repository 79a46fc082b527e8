"""Which block it was at which something was found."""

from __future__ import annotations

import dataclasses

from dyncal.domain.alarms import Condition
from dyncal.domain.samples import SampleBlock
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.domain.traces import trace_of
from dyncal.runtime.following import TAKEN, Follower


class Tracing:
    """Remembers the newest block of each sensor, and by it the trace of each condition from its beginning on."""

    def __init__(self, follower: Follower | None) -> None:
        self._follower = follower
        self._newest: dict[str, int] = {}
        self._traces: dict[str, str] = {}

    def saw(self, block: SampleBlock, begun_ns: InstantNs, now_ns: InstantNs) -> None:
        """Take note of a block that calibration takes in."""
        first_ns = self._newest[block.sensor] = block.axis.first_ns
        if self._follower is not None and self._follower.follows(block.sequence):
            self._follower.step(TAKEN, block.sensor, block.sequence, first_ns, len(block), begun_ns, now_ns)

    def traced(self, condition: Condition) -> Condition:
        """Return a condition with its trace: the newest block of its sensor when it began; '' where none had come."""
        trace = condition.trace or self._traces.get(condition.id, "")
        if not condition.holds:
            self._traces.pop(condition.id, None)
        elif not trace and condition.source in self._newest:
            trace = trace_of(SensorId(condition.source), self._newest[condition.source])
        if condition.holds and trace:
            self._traces[condition.id] = trace
        return condition if trace == condition.trace else dataclasses.replace(condition, trace=trace)

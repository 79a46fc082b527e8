"""The job that replaces old samples by aggregates: one small step a call, and nothing that is not read back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from dyncal.domain import aggregates
from dyncal.domain.aggregates import NONE, SAMPLES
from dyncal.domain.errors import Conflict
from dyncal.domain.retention import Policy, Stage, next_range
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import NS_PER_S, InstantNs, duration
from dyncal.ports.history import HistoryStore
from services.ingest.retention.protection import Guard

FIRST_NS: Final = duration(60.0)
LONGEST_NS: Final = duration(7 * 86_400.0)
MANY_ROWS: Final = 40_000
"""A step of more is made shorter the next time, one of a quarter of it longer."""

MOST_ROWS: Final = 400_000
"""A step of more is not made at all, but a shorter one."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did: `n_rows` samples or aggregates of `width_ns` became `n_made` aggregates of `by_ns`."""

    sensor: SensorId
    width_ns: int
    by_ns: int | None
    start_ns: InstantNs
    end_ns: InstantNs
    n_rows: int
    n_made: int


@dataclass(slots=True)
class Pass:
    """A way through all sensors and stages; ends when there is nothing left that is too old."""

    at_ns: InstantNs
    waiting: list[tuple[SensorId, Stage]]
    beyond: InstantNs | None = None
    length_ns: dict[tuple[SensorId, int], int] = field(default_factory=dict)
    rows: dict[int, int] = field(default_factory=dict)
    sensors: set[SensorId] = field(default_factory=set)


class Reducer:
    """Carries a policy out on one store; for one thread, the one that writes.

    Parameters
    ----------
    dry : bool
        Find and count, and change nothing.
    """

    def __init__(self, store: HistoryStore, guard: Guard, policy: Policy, *, dry: bool = False) -> None:
        self._store = store
        self._guard = guard
        self._policy = policy
        self._dry = dry

    def begin(self, now: InstantNs) -> Pass:
        """Return a pass over what is too old now. Raises as the port."""
        sensors = self._store.held()
        return Pass(now, [(sensor, stage) for stage in reversed(self._policy.stages) for sensor in reversed(sensors)])

    def steps(self, under_way: Pass) -> Iterator[Step]:
        """Yield steps until the pass has ended. Raises as `step`."""
        while (done := self.step(under_way, under_way.at_ns)) is not None:
            yield done

    def step(self, under_way: Pass, now: InstantNs) -> Step | None:
        """Do the next step, which touches a bounded number of rows; None when the pass has ended.

        Raises
        ------
        StoreUnavailable, StoreUnauthorized, StoreRefused
            Of the store, or of the registry that says what must stay; the same step may be tried again.
        """
        while under_way.waiting:
            sensor, stage = under_way.waiting[-1]
            found = self._range(under_way, sensor, stage, now)
            if found is None:
                under_way.waiting.pop()
                under_way.beyond = None
                continue
            done = self._replaced(under_way, sensor, stage, *found)
            if done is not None:
                return done
        return None

    def _range(
        self, under_way: Pass, sensor: SensorId, stage: Stage, now: InstantNs
    ) -> tuple[InstantNs, InstantNs] | None:
        kept = self._guard.protection(now).of(sensor)
        first = under_way.beyond if under_way.beyond is not None else self._store.first(sensor, stage.width_ns)
        if first is None:
            return None
        length = under_way.length_ns.get((sensor, stage.width_ns), FIRST_NS)
        return next_range(stage, first, under_way.at_ns, length, kept)

    def _replaced(
        self, under_way: Pass, sensor: SensorId, stage: Stage, start: InstantNs, end: InstantNs
    ) -> Step | None:
        """Replace a range, or find it empty or too full and say by `under_way` where to go on."""
        if stage.width_ns == SAMPLES:
            rows = self._store.read(sensor, start, end)
            n = len(rows)
            by = NONE if stage.by_ns is None else aggregates.of_samples(rows, stage.by_ns)
        else:
            found = self._store.aggregates(sensor, start, end)
            parts = found.at(found.width_ns == stage.width_ns)
            n = len(parts)
            by = NONE if stage.by_ns is None else aggregates.coarser(parts, stage.by_ns)
        shorter = self._learn(under_way, sensor, stage, end - start, n)
        if shorter and n > MOST_ROWS:
            return None
        under_way.beyond = end
        if not n:
            return None
        if not self._dry:
            try:
                self._store.replace(sensor, stage.width_ns, start, end, by, n)
            except Conflict:  # somebody wrote meanwhile: the next pass sees it
                return None
        under_way.rows[stage.width_ns] = under_way.rows.get(stage.width_ns, 0) + n
        under_way.sensors.add(sensor)
        return Step(sensor, stage.width_ns, stage.by_ns, start, end, n, len(by))

    @staticmethod
    def _learn(under_way: Pass, sensor: SensorId, stage: Stage, length_ns: int, n: int) -> bool:
        """Note how long the next range is to be; return whether it can be shorter than this one."""
        least = max(stage.align_ns, NS_PER_S)
        wanted = length_ns // 2 if n > MANY_ROWS else length_ns * 2 if n < MANY_ROWS // 4 else length_ns
        under_way.length_ns[sensor, stage.width_ns] = min(max(wanted, least), LONGEST_NS)
        return length_ns > least

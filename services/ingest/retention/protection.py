"""What must stay as it is, from the registry: holds, what is being investigated, what sets in force rest on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from dyncal.domain.alarms import AlarmKind
from dyncal.domain.coefficients import Provenance
from dyncal.domain.retention import EVER, Span
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import LATEST, InstantNs, duration
from dyncal.ports.registry import Registry

MARGIN_NS: Final = duration(3600.0)
"""Kept around what a fit was made of: filters run in, and people look at what came before."""

BEFORE_ALARM_NS: Final = duration(86_400.0)
"""Kept before an alarm: what it was like while it was right."""

FRESH_NS: Final = duration(10.0)
"""For how long what was read holds: so long may a new hold take to be seen."""

INVESTIGATED: Final = (AlarmKind.DRIFT, AlarmKind.OUT_OF_TOLERANCE)


@dataclass(frozen=True, slots=True)
class Kept:
    """Why a span of a sensor (None: of all) stays."""

    sensor: SensorId | None
    span: Span
    why: str


@dataclass(frozen=True, slots=True)
class Protection:
    """What stays, and the sensors that the registry knows: of others nothing is removed."""

    known: frozenset[SensorId]
    kept: tuple[Kept, ...]

    def of(self, sensor: SensorId) -> list[Span]:
        """Return the spans of a sensor that stay."""
        if sensor not in self.known:
            return [EVER]
        return [one.span for one in self.kept if one.sensor in (None, sensor)]


class Guard:
    """Reads from the registry what stays; for one thread.

    Parameters
    ----------
    open_registry : callable
        Called at first use, and again after a failure.
    """

    def __init__(self, open_registry: Callable[[], Registry]) -> None:
        self._open_registry = open_registry
        self._registry: Registry | None = None
        self._of_set: dict[str, tuple[SensorId, Provenance]] = {}  # sets do not change
        self._found: tuple[InstantNs, Protection] | None = None

    @property
    def registry(self) -> Registry:
        """The registry. Raises `StoreUnavailable`, `StoreRefused`."""
        if self._registry is None:
            self._registry = self._open_registry()
        return self._registry

    def protection(self, now: InstantNs) -> Protection:
        """Return what stays, as it was a few seconds ago at most. Raises `StoreUnavailable`, `StoreRefused`."""
        if self._found is None or not 0 <= now - self._found[0] < FRESH_NS:
            registry = self.registry
            known = frozenset(sensor.id for sensor in registry.sensors())
            kept = (*_holds(registry), *_jobs(registry), *_alarms(registry), *self._sets(registry))
            self._found = now, Protection(known, kept)
        return self._found[1]

    def close(self) -> None:
        """Let go of the registry; idempotent."""
        if self._registry is not None:
            self._registry.close()
            self._registry = None

    def _sets(self, registry: Registry) -> Iterable[Kept]:
        """What the sets that edges run, or should, were fitted to."""
        desired = set(registry.desired_ids().values())
        for set_id in desired - self._of_set.keys():
            made = registry.coefficient_set(set_id).coefficients
            self._of_set[set_id] = made.sensor, made.provenance
        self._of_set = {set_id: found for set_id, found in self._of_set.items() if set_id in desired}
        for set_id, (sensor, origin) in self._of_set.items():
            span = Span(origin.window_from_ns - MARGIN_NS, origin.window_to_ns + MARGIN_NS)
            for each in (sensor, origin.reference):
                yield Kept(each, span, f"coefficient set {set_id} rests on it")


def _holds(registry: Registry) -> Iterable[Kept]:
    for hold in registry.holds():
        yield Kept(hold.sensor, Span(hold.from_ns, hold.to_ns), f"hold {hold.id}: {hold.reason}")


def _jobs(registry: Registry) -> Iterable[Kept]:
    for job in registry.jobs():
        if not job.state.final:
            for sensor in (job.sensor.id, job.pairing.reference):
                span = Span(job.from_ns - MARGIN_NS, job.to_ns + MARGIN_NS)
                yield Kept(sensor, span, f"job {job.id} is to be fitted to it")


def _alarms(registry: Registry) -> Iterable[Kept]:
    references = {pairing.sensor: pairing.reference for pairing in registry.pairings()}
    for alarm in registry.alarms():
        open_still = alarm.active or not alarm.acknowledged
        if alarm.found.kind in INVESTIGATED and open_still and alarm.raised_ns is not None:
            span = Span(alarm.raised_ns - BEFORE_ALARM_NS, LATEST)
            sensor = SensorId(alarm.found.source)
            for each in {sensor, references.get(sensor, sensor)}:
                yield Kept(each, span, f"alarm {sensor}:{alarm.found.kind} stands")

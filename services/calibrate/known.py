"""What the registry knows, as the engine begins with it: read at once for many sensors where that can be."""

from __future__ import annotations

from collections.abc import Collection

from dyncal.domain.alarms import Condition
from dyncal.domain.coefficients import CoefficientSet, SetState
from dyncal.domain.lifecycle import ReleaseMode
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.records import SetRecord
from dyncal.ports.registry import Registry
from services.calibrate import snapshots
from services.calibrate.events import ACTOR, Governed, Known

_FEW = 8
_ALL = 1_000_000


def of(
    registry: Registry, sensors: Collection[SensorId], standing: dict[SensorId, tuple[Condition, ...]]
) -> dict[SensorId, Known]:
    """Return what the registry knows of sensors; `standing` are the conditions that hold of them."""
    ids = registry.desired_ids() if sensors else {}
    desired = registry.coefficient_sets([ids[sensor] for sensor in sensors if sensor in ids])
    waiting = _waiting(registry, sensors)
    return {
        sensor: _known(
            registry, sensor, desired.get(ids.get(sensor, "")), waiting.get(sensor), standing.get(sensor, ())
        )
        for sensor in sensors
    }


def _waiting(registry: Registry, sensors: Collection[SensorId]) -> dict[SensorId, SetRecord]:
    """Return the newest verified set of each: all at once, or one by one where few are asked for."""
    if len(sensors) <= _FEW:
        found = [each for s in sensors for each in registry.sets(s, state=SetState.VERIFIED, limit=1)]
    else:
        found = registry.sets(state=SetState.VERIFIED, limit=_ALL)
    return {record.coefficients.sensor: record for record in reversed(found)}  # the newest of each comes last so


def _known(
    registry: Registry,
    sensor: SensorId,
    desired: SetRecord | None,
    waiting: SetRecord | None,
    conditions: tuple[Condition, ...],
) -> Known:
    return Known(
        last_sequence=registry.last_sequence(sensor),
        desired=None if desired is None else desired.coefficients,
        waiting=None if waiting is None else waiting.coefficients,
        waiting_since_ns=InstantNs(0) if waiting is None else waiting.changed_ns,
        waiting_why="" if waiting is None else waiting.coefficients.note,
        conditions=conditions,
        snapshot=registry.load_snapshot(snapshots.key_of(sensor)),
    )


def governed(registry: Registry) -> dict[SensorId, Governed]:
    """Return who releases the sets of sensors that have a policy, and what a person released last where that counts.

    That is what was in force when somebody put the bounds, or what a person has released since.
    """
    found = registry.policies()
    bounded = [sensor for sensor, kept in found.items() if kept.policy.mode is ReleaseMode.WITHIN_BOUNDS]
    anchors = registry.anchors(bounded, not_by=ACTOR)
    records = registry.coefficient_sets(anchors.values())

    def anchor(sensor: SensorId) -> CoefficientSet | None:
        record = records.get(anchors.get(sensor, ""))
        return None if record is None else record.coefficients

    return {sensor: Governed(kept.policy, anchor(sensor)) for sensor, kept in found.items()}

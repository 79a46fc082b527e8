"""Orders that people gave, as events for the engine: what they name is looked up here, the rest is its business."""

from __future__ import annotations

from collections.abc import Sequence

from dyncal.domain.coefficients import CoefficientSet, SetState
from dyncal.domain.errors import InvalidData, NotFound
from dyncal.domain.orders import Order, OrderKind
from dyncal.domain.sensors import SensorId, sensor_id
from dyncal.domain.time import InstantNs
from dyncal.ports.records import Act, SetRecord
from dyncal.ports.registry import CalibrationRegistry
from services.calibrate.events import Decline, Release, Restore

SETS = frozenset({OrderKind.SET_APPROVE, OrderKind.SET_REJECT, OrderKind.SET_ROLL_BACK})
"""The kinds that are about coefficient sets."""


def event_of(order: Order, registry: CalibrationRegistry, now_ns: InstantNs) -> Release | Decline | Restore | str:
    """Return what an order about sets tells the engine, or why it cannot be carried out."""
    act = Act(order.actor, now_ns, order.reason)
    if "\0" in f"{order.subject}{order.body.get('to')}":
        return "a NUL is in no name"  # and no database can be asked for one
    try:
        if order.kind is OrderKind.SET_ROLL_BACK:
            return _way_back(order, registry, act)
        record = registry.coefficient_set(order.subject)
    except (NotFound, InvalidData) as error:
        return str(error)
    if record.state is not SetState.VERIFIED:
        return f"{order.subject} is {record.state}: only a verified set can be approved or rejected"
    sensor = record.coefficients.sensor
    if order.kind is OrderKind.SET_APPROVE:
        return Release(sensor, order.subject, act, order.id)
    return Decline(sensor, order.subject, act, order.id)


def _way_back(order: Order, registry: CalibrationRegistry, act: Act) -> Restore | str:
    sensor = sensor_id(order.subject)
    wanted = order.body.get("to")
    if wanted is None:
        to = earlier_set(registry, sensor)
        return "there is no earlier set to go back to" if to is None else Restore(sensor, to, act, order.id)
    record = registry.coefficient_set(str(wanted))
    if record.coefficients.sensor != sensor:
        return f"{wanted} is a set of sensor {record.coefficients.sensor}"
    if record.state is not SetState.SUPERSEDED:
        return f"{wanted} is {record.state}: only a set that was superseded can be gone back to"
    return Restore(sensor, record.coefficients, act, order.id)


def earlier_set(registry: CalibrationRegistry, sensor: SensorId) -> CoefficientSet | None:
    """Return the set before the one in force, by its numbers: after going back once, the one before that."""
    desired = registry.desired_set(sensor)
    if desired is None:
        return None
    now = desired.coefficients
    below = now.sequence
    if now.restores is not None:
        try:
            below = registry.coefficient_set(now.restores).coefficients.sequence
        except NotFound:
            return None
    return _first(registry.sets(sensor, state=SetState.SUPERSEDED, limit=1000), below, now)


def _first(newest_first: Sequence[SetRecord], below: int, now: CoefficientSet) -> CoefficientSet | None:
    for record in newest_first:
        c = record.coefficients
        renewed = c.provenance.calibration_id == now.provenance.calibration_id  # the same numbers
        if c.sequence < below and c.restores is None and not renewed:
            return c
    return None

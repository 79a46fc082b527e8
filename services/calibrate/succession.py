"""What becomes of a tracker when its sensor, reference or pairing is changed: it goes on, hands over, or ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.sensors import Pairing, Sensor
from dyncal.domain.time import InstantNs
from services.calibrate.events import Effect, Known, PutHealth, SendDesired, SendShadow
from services.calibrate.tracker import Tracker


def same(tracker: Tracker, sensor: Sensor, reference: Sensor | None, pairing: Pairing) -> bool:
    """Tell whether a tracker can go on: all that its estimate rests on is as it was."""
    old = tracker.pairing
    wishes = dataclasses.replace(
        old, band_hz=pairing.band_hz, max_latency_s=pairing.max_latency_s, tolerance=pairing.tolerance
    )
    return (
        wishes == pairing
        and _essence([tracker.sensor]) == _essence([sensor])
        and _essence([tracker.reference]) == _essence([reference])
    )


def _essence(sensors: Iterable[Sensor | None]) -> list[tuple[object, ...] | None]:
    return [None if s is None else (s.id, s.site, s.edge, s.unit, s.dt_ns) for s in sensors]


def given_up(tracker: Tracker, now_ns: InstantNs) -> Iterator[Effect]:
    """Say of a sensor that is not followed any more that nothing is known of it."""
    yield from tracker.board.end_all(now_ns)
    yield PutHealth(tracker.sensor.site, tracker.sensor.id, None)


def moved(before: Tracker, now: Tracker) -> Iterator[Effect]:
    """Offer what is in force to the edge that a sensor belongs to now, and end a trial at the one that had it."""
    old = EdgeAddress(before.sensor.site, before.sensor.edge)
    new = EdgeAddress(now.sensor.site, now.sensor.edge)
    if old == new:
        return
    if now.releases.waiting is not None and now.releases.waiting.trial is not None:
        yield SendShadow(old, now.sensor.id, "")
        yield now.releases.shadow()
    if now.releases.in_force is not None:
        yield SendDesired(new, now.sensor.id)


def carried(present: Tracker | None) -> Known:
    """Return what a tracker hands over to one that begins anew for the same sensor."""
    if present is None:
        return Known()
    releases = present.releases
    now, waiting = releases.in_force, releases.waiting
    return Known(
        last_sequence=releases.last_sequence,
        desired=None if now is None else now.coefficients,
        waiting=None if waiting is None else waiting.made.coefficients,
        waiting_since_ns=InstantNs(0) if waiting is None else waiting.since_ns,
        waiting_why="" if waiting is None else waiting.why,
        policy=releases.policy,
        anchor=releases.anchor,
        conditions=present.board.known(),
    )

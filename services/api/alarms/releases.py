"""Conditions of what waits for people: sets to be released, and rollouts that pause or go back.

They follow from the registry alone, so that they are told of while the calibration service is away too, and end when
what they are about does. See docs/alarms.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from dyncal.alarms.events import Completed, Event, Reported
from dyncal.domain.alarms import AlarmKind, Condition
from dyncal.domain.coefficients import SetState
from dyncal.domain.rollouts import MAX_MEMBERS, MemberState, Rollout, RolloutState
from dyncal.domain.sensors import SensorId, SiteId
from dyncal.domain.time import InstantNs, duration, iso
from dyncal.ports.records import SetRecord
from dyncal.ports.registry import Registry
from dyncal.ports.rollouts import RolloutRecord
from services.api.alarms.desk import AlarmDesk
from services.api.alarms.sources import REPORTER
from services.api.catalogue import Catalogue

KINDS: Final = (
    AlarmKind.RELEASE_WAITS,
    AlarmKind.RELEASE_EXPIRES,
    AlarmKind.ROLLOUT_PAUSED,
    AlarmKind.ROLLOUT_ABORTED,
)

SOON_NS: Final = duration(24 * 3600.0)
SOON_SHARE: Final = 5
"""An offer is about to run out in its last day, or in the last fifth of its time where that is less."""

TOLD_NS: Final = duration(7 * 86_400.0)
"""An abort that was over before anybody looked is told of afterwards, for as long as this."""

NEWEST: Final = 50
_PATIENCE: Final = 3.0
_LEAST_S: Final = 60.0
_MOST_S: Final = 600.0  # as long as a trial waits for its edge to say something (services/calibrate/trial.py)


class ReleaseConditions:
    """Looks at the registry now and then. What it yields is for the desk, in that order. Blocks; one thread."""

    def __init__(self, registry: Registry, desk: AlarmDesk, site: SiteId) -> None:
        self._registry, self._desk, self._site = registry, desk, site
        self._seen: tuple[int, int] | None = None
        self._sets: list[SetRecord] = []
        self._open: list[RolloutRecord] = []
        self._taken: frozenset[str] = frozenset()
        self._holding: frozenset[str] | None = None

    def look(self, catalogue: Catalogue, now: InstantNs) -> list[Event]:
        """Return what has changed since the last look. Raises `StoreUnavailable`."""
        self._read()
        events: list[Event] = []
        found = [*self._of_sets(catalogue, now), *self._of_rollouts()]
        for condition in found:
            known = self._desk.alarm(condition.id)
            if known is None or not known.holds or replace(known.found, at_ns=condition.at_ns) != condition:
                events.append(Reported(condition, REPORTER, now))
        holding = frozenset(condition.id for condition in found)
        if holding != self._holding:
            events.append(Completed(REPORTER, KINDS, holding, now, now))
            self._holding = holding
        events += self._over_already(now)
        return events

    def _read(self) -> None:
        # The revisions first: a change in between shows in the next ones, and is read then.
        revisions = (self._registry.sets_revision(), self._registry.rollouts_revision())
        if revisions == self._seen:
            return
        self._sets = self._registry.sets(state=SetState.VERIFIED, limit=MAX_MEMBERS)
        states = (RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.ABORTING)
        self._open = [
            record for state in states for record in self._registry.rollouts(state=state, limit=NEWEST)
        ] + self._registry.rollouts(state=RolloutState.ABORTED, limit=NEWEST)
        self._taken = frozenset(
            member.set_id
            for record in self._open
            if self._sets and not record.rollout.over
            for member in self._registry.rollout_members(
                record.rollout.id, state=MemberState.WAITING, limit=MAX_MEMBERS
            )
        )
        self._seen = revisions

    # Sets ----------------------------------------------------------------------------------------------------------

    def _of_sets(self, catalogue: Catalogue, now: InstantNs) -> Iterator[Condition]:
        """Yield the conditions of sets that a person has to decide on: neither on trial nor for a rollout to take."""
        if not self._sets:
            return
        policies, seen = self._registry.policies(), set[SensorId]()
        for record in self._sets:  # of each sensor the newest first
            made = record.coefficients
            if made.sensor in seen or made.id in self._taken or made.sensor not in catalogue.pairings:
                continue
            seen.add(made.sensor)
            policy = policies.get(made.sensor)
            since = InstantNs(record.changed_ns + _trial_ns(0.0 if policy is None else policy.policy.shadow_s))
            if now >= since:
                yield from self._waits(record, catalogue, since, now)

    def _waits(self, record: SetRecord, catalogue: Catalogue, since: InstantNs, now: InstantNs) -> Iterator[Condition]:
        made = record.coefficients
        edge, what = catalogue.sensor(made.sensor).edge, f"set {made.sequence} ({made.id})"
        why = f"{what} waits for an engineer: {record.reason}"[:500]
        yield Condition(self._site, made.sensor, AlarmKind.RELEASE_WAITS, holds=True, at_ns=since, edge=edge, cause=why)
        until = made.apply_until_ns
        if until is None:
            return
        soon = until - min(SOON_NS, max(0, until - record.changed_ns) // SOON_SHARE)
        if now >= soon:
            why = f"{what} can be released until {iso(until)}, and waits since {iso(record.changed_ns)}"
            yield Condition(
                self._site,
                made.sensor,
                AlarmKind.RELEASE_EXPIRES,
                holds=True,
                at_ns=InstantNs(soon),
                edge=edge,
                cause=why,
            )

    # Rollouts ------------------------------------------------------------------------------------------------------

    def _of_rollouts(self) -> Iterator[Condition]:
        for record in self._open:
            rollout = record.rollout
            if rollout.state is RolloutState.PAUSED:
                yield self._of_rollout(rollout, AlarmKind.ROLLOUT_PAUSED, rollout.changed_ns)
            elif rollout.state is RolloutState.ABORTING or (rollout.over and self._not_back(record)):
                yield self._of_rollout(rollout, AlarmKind.ROLLOUT_ABORTED, rollout.stage_ns)

    def _of_rollout(self, rollout: Rollout, kind: AlarmKind, since: InstantNs) -> Condition:
        why = f"{rollout.title or rollout.id}: {rollout.reason}"[:500]
        return Condition(self._site, rollout.id, kind, holds=True, at_ns=since, cause=why)

    def _not_back(self, record: RolloutRecord) -> bool:
        """Tell whether sensors of an aborted rollout still run, or may run, what it gave them."""
        left = dict.fromkeys(MemberState, 0)
        for count in record.counts:
            left[count.state] += count.n
        if left[MemberState.REVERTING]:
            return True
        if not left[MemberState.STUCK]:
            return False
        stuck = self._registry.rollout_members(record.rollout.id, state=MemberState.STUCK, limit=MAX_MEMBERS)
        desired = self._registry.desired_ids()
        return any(desired.get(member.sensor) == member.set_id for member in stuck)

    def _over_already(self, now: InstantNs) -> Iterator[Event]:
        """Yield beginning and end of aborts that were over before this looked: all may be back within seconds."""
        for record in self._open:
            rollout, ended = record.rollout, record.rollout.ended_ns
            if rollout.state is not RolloutState.ABORTED or ended is None or now - ended > TOLD_NS:
                continue
            condition = self._of_rollout(rollout, AlarmKind.ROLLOUT_ABORTED, rollout.stage_ns)
            if self._desk.alarm(condition.id) is None and condition.id not in (self._holding or ()):
                yield Reported(condition, REPORTER, now)
                gone = Condition(self._site, rollout.id, condition.kind, holds=False, at_ns=now)
                yield Reported(gone, REPORTER, now)


def _trial_ns(shadow_s: float) -> int:
    """Return for how long after its verification a set is on trial, until its edge has had time to say all."""
    if shadow_s <= 0:
        return 0
    return duration(shadow_s + min(_PATIENCE * shadow_s + _LEAST_S, _MOST_S))

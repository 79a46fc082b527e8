"""The sets of one sensor after they were made: which is in force, which waits to be released, and who releases it."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterator
from typing import Final

from dyncal.contracts.topics import EdgeAddress
from dyncal.correction.safety import check
from dyncal.domain.coefficients import CoefficientSet, SetState
from dyncal.domain.errors import RejectedSet
from dyncal.domain.lifecycle import ReleasePolicy
from dyncal.domain.residuals import ResidualReport
from dyncal.domain.sensors import Sensor
from dyncal.domain.time import NS_PER_S, InstantNs, duration
from dyncal.ports.records import Act
from services.calibrate.candidate import LIMITS
from services.calibrate.events import ACTOR, AddSet, Effect, MoveSet, Note, Refused, SendShadow
from services.calibrate.release import InForce, Waiting, person_needed
from services.calibrate.settings import CalibrateSection
from services.calibrate.trial import Trial

_RENEWED_NS: Final = 60 * NS_PER_S

Earlier = tuple[SetState, Act]


class Releases:
    """Keeps count of one sensor's sets. What it yields is to be done in that order."""

    def __init__(self, sensor: Sensor, rules: CalibrateSection, last_sequence: int = 0) -> None:
        self.last_sequence = last_sequence
        self.in_force: InForce | None = None
        self.before: InForce | None = None
        self.waiting: Waiting | None = None
        self.policy = ReleasePolicy(rules.release)
        self.anchor: CoefficientSet | None = None
        self._declined = False  # the last one, by a person
        self._sensor, self._rules = sensor, rules
        self._address = EdgeAddress(sensor.site, sensor.edge)

    @property
    def newest(self) -> InForce | None:
        """What a new fit is compared to: the set that waits, or the one in force."""
        return self.in_force if self.waiting is None else self.waiting.made

    def start(
        self,
        desired: CoefficientSet | None,
        waiting: CoefficientSet | None,
        since_ns: InstantNs,
        why: str,
        now_ns: InstantNs,
    ) -> None:
        """Begin with what the registry knows: what is in force, and what waits since an instant (its trial anew)."""
        if desired is not None:
            self.in_force = InForce(desired, desired.parameters.cov, math.nan)
        if waiting is not None and (desired is None or waiting.sequence > desired.sequence):
            made = InForce(waiting, waiting.parameters.cov, math.nan)
            self.waiting = Waiting(made, since_ns, why, self._needs(waiting), self._trial(waiting, now_ns))

    def _needs(self, made: CoefficientSet) -> str:
        return person_needed(
            self.policy, made, None if self.in_force is None else self.in_force.coefficients, self.anchor
        )

    def _trial(self, made: CoefficientSet, now_ns: InstantNs) -> Trial | None:
        if self.policy.shadow_s <= 0:
            return None
        now = "" if self.in_force is None else self.in_force.coefficients.id
        return Trial(made.id, now, self.policy.shadow_s, made.residual_limit, now_ns)

    def govern(self, policy: ReleasePolicy, anchor: CoefficientSet | None, now_ns: InstantNs) -> Iterator[Effect]:
        """Take over a policy, and what a person released last; what waits is judged anew by it."""
        changed = policy != self.policy
        self.policy, self.anchor = policy, anchor
        if changed and self.waiting is not None:
            made = self.waiting.made.coefficients
            self.waiting.needs, self.waiting.trial = self._needs(made), self._trial(made, now_ns)
            yield self.shadow()
        yield from self.proceed(now_ns)  # also where the policy has changed while this service was away

    def rejected(self, made: CoefficientSet, act: Act, earlier: tuple[Earlier, ...]) -> Iterator[Effect]:
        """Keep a candidate that did not stand the test."""
        self.last_sequence = max(self.last_sequence, made.sequence)
        yield AddSet(self._address, made, SetState.REJECTED, act, earlier)

    def verified(
        self, found: InForce, why: str, shown: str, earlier: tuple[Earlier, ...], now_ns: InstantNs
    ) -> Iterator[Effect]:
        """Take a candidate that stood the test: publish it, or let it wait, as the policy says."""
        made = found.coefficients
        self.last_sequence, self._declined = max(self.last_sequence, made.sequence), False
        needs, act = self._needs(made), Act(ACTOR, now_ns, shown)
        trial = self._trial(made, now_ns)
        if not needs and trial is None:
            published = Act(ACTOR, now_ns, f"{why}; {shown}")
            yield AddSet(self._address, made, SetState.PUBLISHED, published, (*earlier, (SetState.VERIFIED, act)))
            yield from self._replaced(now_ns)
            self._enforce(found)
            return
        waits = needs or "on trial beside the set in force"
        yield AddSet(self._address, made, SetState.VERIFIED, Act(ACTOR, now_ns, f"{waits}; {shown}"), earlier)
        yield from self._replaced(now_ns)
        self.waiting = Waiting(found, now_ns, why, needs, trial)
        yield Note("waits", self._sensor.id, waits)
        if trial is not None:
            yield self.shadow()

    def shadow(self) -> SendShadow:
        """Return what is to run at the edge beside the set in force."""
        waiting = self.waiting
        runs = waiting is not None and waiting.trial is not None
        return SendShadow(self._address, self._sensor.id, waiting.id if waiting is not None and runs else "")

    def found(self, report: ResidualReport, now_ns: InstantNs) -> Iterator[Effect]:
        """Take in what the edge found of a set."""
        if self.waiting is not None and self.waiting.trial is not None:
            self.waiting.trial.add(report, now_ns)
            yield from self.proceed(now_ns)

    def proceed(self, now_ns: InstantNs) -> Iterator[Effect]:
        """Go on with what waits, if its trial is over or nothing stands against it any more."""
        waiting, shown = self.waiting, ""
        if waiting is None:
            return
        until_ns = waiting.made.coefficients.apply_until_ns
        if until_ns is not None and now_ns > until_ns:
            late = Act(ACTOR, now_ns, "nobody released it in time: its edge would not begin with it any more")
            yield from self._ended(waiting, SetState.REJECTED, late)
            return
        if waiting.trial is not None:
            trial, against = waiting.trial, waiting.trial.against(now_ns)
            if against:
                yield from self._ended(waiting, SetState.REJECTED, Act(ACTOR, now_ns, against))
                return
            if trial.silent(now_ns):
                waiting.needs = f"its edge tells too little of its trial: {trial.shown()}"
            elif not trial.passed(now_ns):
                return
            shown = f"; {trial.shown()}"
            waiting.trial = None
            yield Note("trial_over", self._sensor.id, waiting.needs or shown)
            yield self.shadow()
        if not waiting.needs:
            act = Act(ACTOR, now_ns, f"{waiting.why}; released by policy{shown}")
            yield from self._ended(waiting, SetState.PUBLISHED, act)

    def release(self, set_id: str, act: Act, order: str = "") -> Iterator[Effect]:
        """Publish the set that waits because a person says so."""
        waiting = self.waiting
        if waiting is None or waiting.id != set_id:
            yield self._refused(order, set_id, f"{set_id} does not wait to be released any more")
            return
        until_ns = waiting.made.coefficients.apply_until_ns
        if until_ns is not None and act.at_ns > until_ns:
            yield self._refused(order, set_id, f"{set_id} has waited too long: its edge would not begin with it")
            return
        if waiting.made.coefficients.correction.dt_ns != self._sensor.dt_ns:
            yield self._refused(order, set_id, f"{set_id} was made for another sampling interval")
            return
        if waiting.trial is not None:
            left_ns = waiting.trial.until_ns - act.at_ns
            more = (
                f"for {left_ns / NS_PER_S:.0f} s more"
                if left_ns > 0
                else f"until more is told: {waiting.trial.shown()}"
            )
            yield self._refused(order, set_id, f"{set_id} is on trial beside the set in force, {more}")
            return
        self.anchor = waiting.made.coefficients
        yield from self._ended(waiting, SetState.PUBLISHED, act, order)

    def decline(self, set_id: str, act: Act, order: str = "") -> Iterator[Effect]:
        """Reject the set that waits because a person, or newer data, say so."""
        waiting = self.waiting
        if waiting is None or waiting.id != set_id:
            yield self._refused(order, set_id, f"{set_id} does not wait to be released any more")
            return
        self._declined = act.actor != ACTOR
        yield from self._ended(waiting, SetState.REJECTED, act, order)

    def restore(self, to: CoefficientSet, act: Act, order: str = "", instead_of: str = "") -> Iterator[Effect]:
        """Publish a new set with the numbers of an earlier one: a deliberate way back.

        `instead_of`, where given, must be in force still, or nothing be.
        """
        now = None if self.in_force is None else self.in_force.coefficients
        refusal = self._not_restorable(to, now, instead_of)
        if refusal:
            yield self._refused(order, instead_of or to.id, refusal)
            return
        made = self._again(to, act.at_ns, f"goes back to {to.id}: {act.reason}", to.restores or to.id)
        on_trial = self.waiting is not None and self.waiting.trial is not None
        self._enforce(InForce(made, made.parameters.cov, math.nan))
        self.anchor = made
        if on_trial:
            yield self.shadow()
        yield AddSet(self._address, made, SetState.PUBLISHED, Act(act.actor, act.at_ns, made.note), (), order)

    def renewed(self, set_id: str, now_ns: InstantNs) -> Iterator[Effect]:
        """Publish the set in force again under a new number, because its edge was told of it too late to begin with it.

        Nothing where it was made a moment ago: then the edge's clock is wrong, and would refuse the next one too.
        """
        now = self.in_force
        if now is None or now.coefficients.id != set_id or now.coefficients.valid_from_ns > now_ns - _RENEWED_NS:
            return
        old = now.coefficients
        made = self._again(old, now_ns, f"renews {old.id}, of which its edge heard too late", old.restores)
        self.in_force = dataclasses.replace(now, coefficients=made)
        yield from self._replaced(now_ns, f"its number is below that of {made.id}: no edge would take it any more")
        yield AddSet(self._address, made, SetState.PUBLISHED, Act(ACTOR, now_ns, made.note))

    def _again(self, of: CoefficientSet, now_ns: InstantNs, note: str, restores: str | None) -> CoefficientSet:
        """Return a new set with the numbers of another one."""
        self.last_sequence += 1
        digest = hashlib.sha256(f"{of.id} {self.last_sequence}".encode()).hexdigest()[:8]
        again = dataclasses.replace(
            of,
            id=f"{self._sensor.id}.{self.last_sequence}-{digest}",
            sequence=self.last_sequence,
            parent=None if self.in_force is None else self.in_force.coefficients.id,
            valid_from_ns=now_ns,
            note=note,
            restores=restores,
        )
        return self.offered(again, now_ns)

    def offered(self, made: CoefficientSet, now_ns: InstantNs, trial_s: float = 0.0) -> CoefficientSet:
        """Return a set that says until when an edge may begin with it, a trial of `trial_s` [s] before that apart."""
        return dataclasses.replace(made, apply_until_ns=InstantNs(now_ns + duration(self._rules.offer_s + trial_s)))

    def _not_restorable(self, to: CoefficientSet, now: CoefficientSet | None, instead_of: str) -> str:
        if instead_of and now is not None and now.id != instead_of:
            return f"{instead_of} is not in force any more"
        if to.sensor != self._sensor.id:
            return f"{to.id} is of another sensor"
        if now is not None and to.id in (now.id, now.restores):
            return f"{to.id} is in force already"
        try:
            check(to, LIMITS, dt_ns=self._sensor.dt_ns)
        except RejectedSet as error:
            return f"no edge would take {to.id} now: {error}"
        return ""

    def withdrawn(self, set_id: str, running: CoefficientSet | None) -> bool:
        """Go on with what the edge runs (None: nothing), where it left or refused the set in force; tell whether so.

        What was in force before is not known here after a restart, and an edge that lost its disk does not run it.
        """
        if self.in_force is None or self.in_force.coefficients.id != set_id:
            return False
        before, self.before = self.before, None
        if running is None:
            self.in_force = None
        elif before is not None and before.coefficients.id == running.id:
            self.in_force = before
        else:
            self.in_force = InForce(running, running.parameters.cov, math.nan)
        return True

    def least_interval_ns(self) -> int:
        """Return the least time between two candidates while one waits, or after a person declined one [ns]; else 0.

        Nobody can judge what is replaced every other second, or wants to see again at once what was declined.
        """
        if self.waiting is None and not self._declined:
            return 0
        return duration(max(self._rules.waiting_interval_s, 2 * self.policy.shadow_s))

    def _replaced(self, now_ns: InstantNs, why: str = "replaced by a set that was verified later") -> Iterator[Effect]:
        if self.waiting is not None:
            yield from self._ended(self.waiting, SetState.REJECTED, Act(ACTOR, now_ns, why))

    def _ended(self, waiting: Waiting, state: SetState, act: Act, order: str = "") -> Iterator[Effect]:
        """End the wait of a set, and its trial."""
        self.waiting = None
        if state is SetState.PUBLISHED:
            self._enforce(waiting.made)
        if waiting.trial is not None:
            yield self.shadow()
        yield MoveSet(self._sensor.id, waiting.id, state, act, self._address, order)

    def _enforce(self, found: InForce) -> None:
        self.before, self.in_force, self.waiting = self.in_force, found, None

    def _refused(self, order: str, set_id: str, why: str) -> Refused:
        return Refused(order, self._sensor.id, set_id, why)

"""The sets of one sensor after they were made: which is in force, which waits to be released, and who releases it."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterator

from dyncal.contracts.topics import EdgeAddress
from dyncal.correction.safety import check
from dyncal.domain.coefficients import CoefficientSet, SetState
from dyncal.domain.errors import RejectedSet
from dyncal.domain.lifecycle import ReleasePolicy
from dyncal.domain.sensors import Sensor
from dyncal.domain.time import InstantNs, duration
from dyncal.ports.registry import Act
from services.calibrate.candidate import LIMITS
from services.calibrate.events import ACTOR, AddSet, Effect, MoveSet, Note, Refused
from services.calibrate.release import InForce, Waiting, person_needed
from services.calibrate.settings import CalibrateSection

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
        self, desired: CoefficientSet | None, waiting: CoefficientSet | None, since_ns: InstantNs, why: str
    ) -> None:
        """Begin with what the registry knows: what is in force, and what waits since an instant."""
        if desired is not None:
            self.in_force = InForce(desired, desired.parameters.cov, math.nan)
        if waiting is not None and (desired is None or waiting.sequence > desired.sequence):
            made = InForce(waiting, waiting.parameters.cov, math.nan)
            self.waiting = Waiting(made, since_ns, why, self._needs(waiting))

    def _needs(self, made: CoefficientSet) -> str:
        return person_needed(
            self.policy, made, None if self.in_force is None else self.in_force.coefficients, self.anchor
        )

    def govern(self, policy: ReleasePolicy, anchor: CoefficientSet | None, now_ns: InstantNs) -> Iterator[Effect]:
        """Take over a policy, and what a person released last; what waits is judged anew by it."""
        changed = policy != self.policy
        self.policy, self.anchor = policy, anchor
        if changed and self.waiting is not None:
            self.waiting.needs = self._needs(self.waiting.made.coefficients)
            yield from self.proceed(now_ns)

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
        if not needs:
            published = Act(ACTOR, now_ns, f"{why}; {shown}")
            yield AddSet(self._address, made, SetState.PUBLISHED, published, (*earlier, (SetState.VERIFIED, act)))
            yield from self._replaced(now_ns)
            self._enforce(found)
            return
        yield AddSet(self._address, made, SetState.VERIFIED, act, earlier)
        yield from self._replaced(now_ns)
        self.waiting = Waiting(found, now_ns, why, needs)
        yield Note("waits", self._sensor.id, needs)

    def proceed(self, now_ns: InstantNs) -> Iterator[Effect]:
        """Publish what waits if nothing stands against it any more."""
        waiting = self.waiting
        if waiting is not None and not waiting.needs:
            yield self._move(waiting, SetState.PUBLISHED, Act(ACTOR, now_ns, f"{waiting.why}; released by policy"))

    def release(self, set_id: str, act: Act, order: str = "") -> Iterator[Effect]:
        """Publish the set that waits because a person says so."""
        waiting = self.waiting
        if waiting is None or waiting.id != set_id:
            yield self._refused(order, set_id, f"{set_id} does not wait to be released any more")
            return
        if waiting.made.coefficients.correction.dt_ns != self._sensor.dt_ns:
            yield self._refused(order, set_id, f"{set_id} was made for another sampling interval")
            return
        self.anchor = waiting.made.coefficients
        yield self._move(waiting, SetState.PUBLISHED, act, order)

    def decline(self, set_id: str, act: Act, order: str = "") -> Iterator[Effect]:
        """Reject the set that waits because a person, or newer data, say so."""
        waiting = self.waiting
        if waiting is None or waiting.id != set_id:
            yield self._refused(order, set_id, f"{set_id} does not wait to be released any more")
            return
        self._declined = act.actor != ACTOR
        yield self._move(waiting, SetState.REJECTED, act, order)

    def restore(self, to: CoefficientSet, act: Act, order: str = "", instead_of: str = "") -> Iterator[Effect]:
        """Publish a new set with the numbers of an earlier one: a deliberate way back.

        `instead_of`, where given, must be in force still.
        """
        now = None if self.in_force is None else self.in_force.coefficients
        refusal = self._not_restorable(to, now, instead_of)
        if refusal:
            yield self._refused(order, instead_of or to.id, refusal)
            return
        self.last_sequence += 1
        digest = hashlib.sha256(f"{to.id} {self.last_sequence}".encode()).hexdigest()[:8]
        made = dataclasses.replace(
            to,
            id=f"{self._sensor.id}.{self.last_sequence}-{digest}",
            sequence=self.last_sequence,
            parent=None if now is None else now.id,
            valid_from_ns=act.at_ns,
            note=f"goes back to {to.id}: {act.reason}",
            restores=to.restores or to.id,
        )
        self._enforce(InForce(made, made.parameters.cov, math.nan))
        self.anchor = made
        yield AddSet(self._address, made, SetState.PUBLISHED, Act(act.actor, act.at_ns, made.note), (), order)

    def _not_restorable(self, to: CoefficientSet, now: CoefficientSet | None, instead_of: str) -> str:
        if instead_of and (now is None or now.id != instead_of):
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

    def withdrawn(self, set_id: str) -> bool:
        """Go back to the set before, where the edge left or refused the one in force; return whether it did."""
        if self.in_force is None or self.in_force.coefficients.id != set_id:
            return False
        self.in_force, self.before = self.before, None
        return True

    def least_interval_ns(self) -> int:
        """Return the least time between two candidates while one waits, or after a person declined one [ns]; else 0.

        Nobody can judge what is replaced every other second, or wants to see again at once what was declined.
        """
        if self.waiting is None and not self._declined:
            return 0
        return duration(max(self._rules.waiting_interval_s, 2 * self.policy.shadow_s))

    def _replaced(self, now_ns: InstantNs) -> Iterator[Effect]:
        if self.waiting is not None:
            because = Act(ACTOR, now_ns, "replaced by a set that was verified later")
            yield self._move(self.waiting, SetState.REJECTED, because)

    def _move(self, waiting: Waiting, state: SetState, act: Act, order: str = "") -> Effect:
        self.waiting = None
        if state is SetState.PUBLISHED:
            self._enforce(waiting.made)
        return MoveSet(self._sensor.id, waiting.id, state, act, self._address, order)

    def _enforce(self, found: InForce) -> None:
        self.before, self.in_force, self.waiting = self.in_force, found, None

    def _refused(self, order: str, set_id: str, why: str) -> Refused:
        return Refused(order, self._sensor.id, set_id, why)

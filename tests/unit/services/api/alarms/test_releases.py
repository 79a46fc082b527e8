"""What waits for people becomes an alarm, and ends by itself: sets to be released, rollouts that pause or go back."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from dyncal.alarms.events import Tick
from dyncal.contracts import alarms as wire
from dyncal.domain.alarms import AlarmKind, AlarmState, Priority, Scope
from dyncal.domain.coefficients import SetState
from dyncal.domain.lifecycle import ReleaseMode, ReleasePolicy
from dyncal.domain.rollouts import MemberState, Rollout, RolloutState
from dyncal.domain.sensors import SiteId
from dyncal.domain.time import InstantNs, duration
from dyncal.ports.records import Act
from dyncal.ports.rollouts import RolloutWrite
from dyncal.testing.registry import S1, make_calibration, make_set
from dyncal.testing.rollouts import make_member, make_rollout
from services.api.alarms.releases import ReleaseConditions
from tests.unit.services.api.conftest import Api

WAITS, EXPIRES = f"{S1}:release_waits", f"{S1}:release_expires"
PAUSED, ABORTED = "r-1:rollout_paused", "r-1:rollout_aborted"
HOUR_S, DAY_S = 3600.0, 86_400.0


class House:
    """An application whose service would look now."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.conditions = ReleaseConditions(api.registry, api.deps.desk, SiteId("plant"))

    def at(self) -> Act:
        return Act("calibrate", InstantNs(self.api.clock.now()), "the policy asks for approval")

    def look(self, later_s: float = 0.0) -> dict[str, AlarmState]:
        """Let time pass, look, and return all alarms as they stand."""
        self.api.clock.advance(duration(later_s))
        now = InstantNs(self.api.clock.now())
        self.api.deps.desk.handle(self.conditions.look(self.api.deps.catalogue.get(), now))
        self.api.clock.advance(duration(61.0))
        now = InstantNs(self.api.clock.now())
        assert self.conditions.look(self.api.deps.catalogue.get(), now) == []  # it was said
        self.api.deps.desk.handle([Tick(now)])
        return {alarm.id: alarm.state for alarm in self.api.deps.desk.picture().alarms}

    def verified(self, sequence: int = 2, offer_s: float = 7 * DAY_S) -> str:
        """Have a set verified; return its id."""
        until = InstantNs(self.api.clock.now() + duration(offer_s))
        made = replace(make_set(sequence), apply_until_ns=until)
        self.api.registry.add_set(made, b"", SetState.VERIFIED, self.at())
        return made.id

    def rollout(self, state: RolloutState, reason: str = "because", **more: object) -> Rollout:
        """Write a rollout as it stands now."""
        now = InstantNs(self.api.clock.now())
        made = replace(make_rollout(), state=state, reason=reason, changed_ns=now, stage_ns=now, **more)  # type: ignore[arg-type]
        self.api.registry.write_rollout(RolloutWrite("r-1", made))
        return made


@pytest.fixture
def house(api: Api) -> House:
    api.registry.add_calibration(make_calibration(), Act("calibrate", InstantNs(api.clock.now()), ""))
    return House(api)


def cause(house: House, alarm: str) -> str:
    found = house.api.deps.desk.alarm(alarm)
    assert found is not None
    return found.cause


def test_a_set_that_waits_is_told_of_and_no_longer_when_it_is_released(house: House) -> None:
    assert house.look() == {}
    name = house.verified()
    assert house.look() == {WAITS: AlarmState.UNACKNOWLEDGED}
    alarm = house.api.deps.desk.alarm(WAITS)
    assert alarm is not None
    assert (alarm.priority, alarm.sensor) == (Priority.LOW, S1)
    assert alarm.cause == f"set 2 ({name}) waits for an engineer: the policy asks for approval"
    n = alarm.number
    house.look()
    assert house.api.deps.desk.alarm(WAITS).number == n  # type: ignore[union-attr]  # said once
    house.api.registry.set_state(name, SetState.PUBLISHED, house.at(), envelope=b"signed")
    assert house.look() == {WAITS: AlarmState.RETURNED_UNACKNOWLEDGED}


def test_another_set_that_waits_instead_is_named(house: House) -> None:
    first = house.verified()
    house.look()
    house.api.registry.set_state(first, SetState.REJECTED, house.at())
    house.verified(3)
    assert house.look() == {WAITS: AlarmState.UNACKNOWLEDGED}
    assert "set 3" in cause(house, WAITS)


def test_an_offer_that_runs_out_is_told_of_once_more(house: House) -> None:
    name = house.verified(offer_s=10 * HOUR_S)
    assert house.look(7.5 * HOUR_S) == {WAITS: AlarmState.UNACKNOWLEDGED}
    assert house.look(0.6 * HOUR_S) == {WAITS: AlarmState.UNACKNOWLEDGED, EXPIRES: AlarmState.UNACKNOWLEDGED}
    assert "can be released until 20" in cause(house, EXPIRES)
    house.api.registry.set_state(name, SetState.REJECTED, house.at())
    assert set(house.look().values()) == {AlarmState.RETURNED_UNACKNOWLEDGED}


def test_a_long_offer_is_about_to_run_out_in_its_last_day(house: House) -> None:
    house.verified(offer_s=30 * DAY_S)
    assert EXPIRES not in house.look(28.9 * DAY_S)
    assert EXPIRES in house.look(0.2 * DAY_S)


def test_nobody_can_decide_on_a_set_on_trial(house: House) -> None:
    policy = ReleasePolicy(ReleaseMode.APPROVAL, shadow_s=HOUR_S)
    house.api.registry.put_policy(S1, policy, house.at())
    house.verified()
    assert house.look(HOUR_S) == {}
    assert house.look(600.0) == {WAITS: AlarmState.UNACKNOWLEDGED}


def test_a_sensor_that_nothing_calibrates_any_more_waits_for_nobody(house: House) -> None:
    house.verified()
    house.look()
    house.api.registry.remove_pairing(S1, house.at())
    assert house.look() == {WAITS: AlarmState.RETURNED_UNACKNOWLEDGED}


def test_what_a_rollout_will_take_does_not_wait_for_a_person_unless_it_is_over(house: House) -> None:
    name = house.verified()
    house.rollout(RolloutState.RUNNING)
    member = replace(make_member(0), sensor=S1, set_id=name)
    house.api.registry.write_rollout(RolloutWrite("r-1", members=[member]))
    assert house.look() == {}
    now = InstantNs(house.api.clock.now())
    house.rollout(RolloutState.COMPLETED, ended_ns=now)
    assert house.look() == {WAITS: AlarmState.UNACKNOWLEDGED}


def test_a_paused_rollout_is_told_of_until_it_goes_on(house: House) -> None:
    house.rollout(RolloutState.PAUSED, "2 of 5 sensors are normal")
    assert house.look() == {PAUSED: AlarmState.UNACKNOWLEDGED}
    alarm = house.api.deps.desk.alarm(PAUSED)
    assert alarm is not None
    assert (alarm.priority, alarm.sensor, alarm.kind.scope) == (Priority.MEDIUM, None, Scope.ROLLOUT)
    assert alarm.cause == "naïve: 2 of 5 sensors are normal"
    house.rollout(RolloutState.RUNNING)
    assert house.look() == {PAUSED: AlarmState.RETURNED_UNACKNOWLEDGED}


def test_an_abort_holds_until_all_are_back(house: House) -> None:
    house.rollout(RolloutState.ABORTING, "3 of 5 failed")
    assert house.look() == {ABORTED: AlarmState.UNACKNOWLEDGED}
    assert house.api.deps.desk.alarm(ABORTED).priority is Priority.HIGH  # type: ignore[union-attr]
    now = InstantNs(house.api.clock.now())
    house.rollout(RolloutState.ABORTED, "3 of 5 failed; 1 go back once their edges answer", ended_ns=now)
    late = make_member(0, state=MemberState.REVERTING)
    house.api.registry.write_rollout(RolloutWrite("r-1", members=[late]))
    assert house.look() == {ABORTED: AlarmState.UNACKNOWLEDGED}
    assert "once their edges answer" in cause(house, ABORTED)
    back = replace(late, state=MemberState.REVERTED)
    house.api.registry.write_rollout(RolloutWrite("r-1", members=[back]))
    assert house.look() == {ABORTED: AlarmState.RETURNED_UNACKNOWLEDGED}


def test_a_sensor_that_could_not_go_back_is_told_of_until_it_has_another_set(house: House) -> None:
    stuck = make_set(2)
    house.api.registry.add_set(stuck, b"signed", SetState.PUBLISHED, house.at())
    now = InstantNs(house.api.clock.now())
    house.rollout(RolloutState.ABORTED, "failed; 1 could not be reverted", ended_ns=now)
    member = replace(make_member(0, state=MemberState.STUCK), sensor=S1, set_id=stuck.id)
    house.api.registry.write_rollout(RolloutWrite("r-1", members=[member]))
    assert house.look() == {ABORTED: AlarmState.UNACKNOWLEDGED}
    house.api.registry.add_set(make_set(3), b"signed", SetState.PUBLISHED, house.at())
    assert house.look() == {ABORTED: AlarmState.RETURNED_UNACKNOWLEDGED}


def test_an_abort_that_was_over_between_two_looks_is_told_of_once(house: House) -> None:
    now = InstantNs(house.api.clock.now())
    house.rollout(RolloutState.ABORTED, "1 of 2 failed", ended_ns=now)
    assert house.look() == {ABORTED: AlarmState.RETURNED_UNACKNOWLEDGED}
    alarm = house.api.deps.desk.alarm(ABORTED)
    assert alarm is not None
    assert (alarm.n_raised, alarm.cause) == (1, "naïve: 1 of 2 failed")
    house.conditions = ReleaseConditions(house.api.registry, house.api.deps.desk, SiteId("plant"))  # begun again
    house.look()
    assert house.api.deps.desk.alarm(ABORTED).n_raised == 1  # type: ignore[union-attr]


def test_an_abort_of_last_month_is_no_news(house: House) -> None:
    now = InstantNs(house.api.clock.now())
    house.rollout(RolloutState.ABORTED, ended_ns=now)
    assert house.look(8 * DAY_S) == {}


def test_what_ended_while_nobody_looked_ends_at_the_first_look(house: House) -> None:
    name = house.verified()
    house.look()
    house.conditions = ReleaseConditions(house.api.registry, house.api.deps.desk, SiteId("plant"))
    house.api.registry.set_state(name, SetState.REJECTED, house.at())
    assert house.look() == {WAITS: AlarmState.RETURNED_UNACKNOWLEDGED}


def test_on_the_wire_only_messages_of_the_new_kinds_have_the_new_version(house: House) -> None:
    house.verified()
    house.rollout(RolloutState.PAUSED)
    house.look()
    for id_ in (WAITS, PAUSED):
        alarm = house.api.deps.desk.alarm(id_)
        assert alarm is not None
        payload = wire.encode(alarm)
        assert msgspec.json.decode(payload)["v"] == 3
        assert wire.decode(payload).kind is alarm.kind
        older = msgspec.structs.replace(alarm, found=replace(alarm.found, kind=AlarmKind.DRIFT))
        assert msgspec.json.decode(wire.encode(older))["v"] == 2

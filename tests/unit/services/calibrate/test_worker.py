"""The worker against a registry that is away now and then."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dyncal.adapters.registry import open_registry
from dyncal.adapters.registry.sql import SqlRegistry
from dyncal.adapters.signing import open_signer
from dyncal.alarms.alarm import Alarm
from dyncal.alarms.definitions import DEFAULTS
from dyncal.contracts import conditions, samples, topics
from dyncal.contracts.coefficients import encode_report, open_any, read_envelope
from dyncal.contracts.residuals import encode as encode_residuals
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.alarms import AlarmKind, Condition
from dyncal.domain.coefficients import Outcome, Report, SetState
from dyncal.domain.errors import StoreUnavailable
from dyncal.domain.lifecycle import ReleaseMode, ReleasePolicy
from dyncal.domain.orders import Order, OrderKind, OrderState
from dyncal.domain.residuals import ResidualReport
from dyncal.domain.sensors import ModelKind, SensorId, SiteId
from dyncal.domain.time import InstantNs
from dyncal.ports.records import Act
from dyncal.runtime.clocks import SimulatedClock
from dyncal.runtime.logging import logger
from dyncal.runtime.settings import RegistrySettings, SigningSettings
from dyncal.testing.registry import make_set, put_alarm
from dyncal.testing.store import MemorySampleStore
from services.calibrate.keeping import Message
from services.calibrate.metrics import CalibrateMetrics
from services.calibrate.settings import CalibrateSection
from services.calibrate.worker import Arrived, Job, Orders, Worker

from .plant import EDGE, T0, Plant

S1 = SensorId("s1")
DESIRED = EdgeAddress(SiteId("plant"), EDGE).desired(S1)


class Flaky:
    """A registry that is away at a share of the calls."""

    def __init__(self, registry: SqlRegistry, share: float) -> None:
        self._registry, self._share = registry, share
        self._rng = np.random.default_rng(7)
        self.n_failed = 0

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            if self._rng.random() < self._share:
                self.n_failed += 1
                raise StoreUnavailable("away")
            return getattr(self._registry, name)(*arguments, **options)

        return call


@pytest.fixture
def plant() -> Plant:
    return Plant(ModelKind.FIRST_ORDER, [(0, (1.0, 0.4))], 0.05, 1.5, 20.0, block=4)


@pytest.fixture
def registry(tmp_path: Path, plant: Plant) -> Iterator[SqlRegistry]:
    opened = open_registry(RegistrySettings(), tmp_path)
    opened.put_sensors(plant.sensors(), [plant.pairing], Act("test", InstantNs(T0)))
    yield opened
    opened.close()


def worker_on(registry: Any, tmp_path: Path, clock: SimulatedClock) -> Worker:
    return Worker(
        CalibrateSection(snapshot_s=2.0),
        registry,
        MemorySampleStore(),
        open_signer(SigningSettings(), tmp_path),
        clock,
        CalibrateMetrics(),
        logger("test"),
    )


def insist(worker: Worker, jobs: list[Job]) -> list[Message]:
    """Do the jobs, coming back as often as the registry is away."""
    for _ in range(200):
        try:
            return worker.process(jobs)
        except StoreUnavailable:
            jobs = []
    raise AssertionError("the registry never came back")


def drive(worker: Worker, plant: Plant, clock: SimulatedClock) -> list[Message]:
    messages = insist(worker, [None])
    for second, event in plant.events():
        clock.instant = max(clock.instant, plant.at(second))
        topic = EdgeAddress(SiteId("plant"), EDGE).samples(event.record.sensor)
        messages += insist(worker, [Arrived(topic, samples.encode(event.record)), worker.tick()])
    return messages


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_a_registry_that_is_away_costs_nothing_but_time(
    registry: SqlRegistry, tmp_path: Path, plant: Plant, share: float
) -> None:
    clock = SimulatedClock(InstantNs(T0))
    flaky = Flaky(registry, share)
    messages = drive(worker_on(flaky, tmp_path, clock), plant, clock)
    assert (flaky.n_failed > 0) == (share > 0)
    published = [r for r in registry.sets(S1) if r.state is SetState.PUBLISHED]
    assert len(published) >= 1
    assert [m.payload for m in messages if m.topic == DESIRED] == [r.envelope for r in reversed(published)]
    assert registry.load_snapshot("calibrate/s1") is not None
    assert registry.verify_audit() is None


def test_a_sequence_that_somebody_else_took_makes_it_begin_anew_from_the_registry(
    registry: SqlRegistry, tmp_path: Path, plant: Plant
) -> None:
    clock = SimulatedClock(InstantNs(T0))
    worker = worker_on(registry, tmp_path, clock)
    assert worker.process([None]) == []
    registry.add_set(make_set(1, S1), b"foreign", SetState.PUBLISHED, Act("test", InstantNs(T0)))
    messages = drive(worker, plant, clock)
    assert [m for m in messages if m.topic == DESIRED] == []  # refused, and nothing was sent
    assert registry.last_sequence(S1) == 1
    worker.process([None])
    assert worker.engine.trackers[S1].releases.last_sequence == 1


def test_a_set_whose_answer_was_lost_is_sent_all_the_same(registry: SqlRegistry, tmp_path: Path, plant: Plant) -> None:
    clock = SimulatedClock(InstantNs(T0))
    first = [m for m in drive(worker_on(registry, tmp_path, clock), plant, clock) if m.topic == DESIRED]
    clock = SimulatedClock(InstantNs(T0))
    forgetful = Flaky(registry, 0.0)
    for name in ("desired_set", "load_snapshot"):
        setattr(forgetful, name, lambda _: None)
    forgetful.__dict__["last_sequence"] = lambda _: 0
    forgetful.__dict__["desired_ids"] = dict[SensorId, str]
    again = [m for m in drive(worker_on(forgetful, tmp_path, clock), plant, clock) if m.topic == DESIRED]
    assert again == first
    assert len(first) >= 1


def test_what_is_rejected_is_not_signed(registry: SqlRegistry, tmp_path: Path, plant: Plant) -> None:
    # From some point on the reference says what the sensor says: no correction can prove better.
    half = plant.t_ns.size * 2 // 5
    plant.reference[half:] = plant.raw[half:]
    clock = SimulatedClock(InstantNs(T0))
    messages = drive(worker_on(registry, tmp_path, clock), plant, clock)
    assert SetState.REJECTED in [record.state for record in registry.sets(S1)]
    for record in registry.sets(S1):
        signed = record.envelope != b""
        assert signed == (record.state is SetState.PUBLISHED)
        assert not signed or record.envelope in [m.payload for m in messages]


def test_an_edge_cannot_speak_for_the_sets_of_another_sensor(
    registry: SqlRegistry, tmp_path: Path, plant: Plant
) -> None:
    clock = SimulatedClock(InstantNs(T0))
    worker = worker_on(registry, tmp_path, clock)
    worker.process([None])
    other = make_set(1, SensorId("other"))
    registry.add_set(other, b"envelope", SetState.PUBLISHED, Act("test", InstantNs(T0)))
    address = EdgeAddress(SiteId("plant"), EDGE)
    for outcome in (Outcome.APPLIED, Outcome.REVERTED):
        report = Report(S1, other.id, 1, outcome, InstantNs(T0))
        worker.process([Arrived(address.reported(S1), encode_report(report))])
    assert registry.coefficient_set(other.id).state is SetState.PUBLISHED


def test_told_that_time_is_up_it_begins_nothing_more(registry: SqlRegistry, tmp_path: Path) -> None:
    worker = worker_on(registry, tmp_path, SimulatedClock(InstantNs(T0)))
    worker.process([None])
    asked = iter([False, False, True])
    worker.process([worker.tick() for _ in range(5)], lambda: next(asked))
    assert worker.n_waiting == 3
    assert worker.drop() == 3
    assert worker.n_waiting == 0


def test_what_waited_for_the_registry_waits_until_it_is_done(registry: SqlRegistry, tmp_path: Path) -> None:
    worker = worker_on(Flaky(registry, 1.0), tmp_path, SimulatedClock(InstantNs(T0)))
    with pytest.raises(StoreUnavailable):
        worker.process([None, worker.tick()])
    assert worker.n_waiting == 2


def test_what_an_older_version_had_in_the_registry_alone_holds_on(registry: SqlRegistry, tmp_path: Path) -> None:
    for kind in (AlarmKind.DRIFT, AlarmKind.SOURCE_SILENT):  # the second one is another's to report
        found = Condition(SiteId("plant"), S1, kind, holds=True, at_ns=InstantNs(T0), edge=EDGE, cause="fouling")
        standing = Alarm(found, DEFAULTS[kind], holds=True, active=True, acknowledged=False)
        put_alarm(registry, standing, Act("migration", InstantNs(T0)))
    worker = worker_on(registry, tmp_path, SimulatedClock(InstantNs(T0 + 9)))
    worker.process([None])
    said = {message.topic: message.payload for message in worker.process([worker.connected()])}
    topic = topics.condition(SiteId("plant"), S1, "drift")
    assert set(said) == {topic, "dyncal/v1/plant/reporters/calibrate"}
    condition, sent = conditions.decode(topic, said[topic])
    assert (condition.holds, condition.cause, condition.at_ns) == (True, "fouling", T0)
    listed = conditions.decode_list(said["dyncal/v1/plant/reporters/calibrate"])
    assert listed.holding == (f"{S1}:drift",)
    assert AlarmKind.SOURCE_SILENT not in listed.kinds
    assert sent.said_ns >= listed.said_ns


def order(kind: OrderKind, subject: str, name: str = "o-1", **body: object) -> Order:
    return Order(name, kind, subject, "eve", "engineer", "looks right", InstantNs(T0), body)


def put_approval(registry: SqlRegistry) -> None:
    registry.put_policy(S1, ReleasePolicy(ReleaseMode.APPROVAL), Act("eve", InstantNs(T0)))


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_an_order_is_carried_out_once_and_answered_in_the_same_transaction(
    registry: SqlRegistry, tmp_path: Path, plant: Plant, share: float
) -> None:
    put_approval(registry)
    clock = SimulatedClock(InstantNs(T0))
    worker = worker_on(Flaky(registry, share), tmp_path, clock)
    assert [m for m in drive(worker, plant, clock) if m.topic == DESIRED] == []
    (waiting,) = registry.sets(S1, state=SetState.VERIFIED)
    assert waiting.envelope == b""  # what nobody released is not signed
    set_id = waiting.coefficients.id
    registry.put_order(order(OrderKind.SET_APPROVE, set_id))
    sent = insist(worker, [Orders()]) + insist(worker, [Orders()])
    record = registry.coefficient_set(set_id)
    assert (record.state, record.reason) == (SetState.PUBLISHED, "looks right")
    assert [m for m in sent if m.topic == DESIRED] == [Message(DESIRED, record.envelope)]
    answered = registry.order("o-1")
    assert (answered.state, answered.answer, answered.result) == (OrderState.DONE, "published", set_id)
    assert [m.state for m in registry.set_moves(set_id)] == ["candidate", "verified", "published"]
    assert registry.set_moves(set_id)[-1].actor == "eve"
    assert registry.verify_audit() is None


def test_orders_given_while_calibrate_was_away_are_carried_out_when_it_is_back(
    registry: SqlRegistry, tmp_path: Path, plant: Plant
) -> None:
    put_approval(registry)
    clock = SimulatedClock(InstantNs(T0))
    drive(worker_on(registry, tmp_path, clock), plant, clock)
    (waiting,) = registry.sets(S1, state=SetState.VERIFIED)
    registry.put_order(order(OrderKind.SET_REJECT, waiting.coefficients.id))
    registry.put_order(order(OrderKind.SET_APPROVE, waiting.coefficients.id, "o-2"))
    fresh = worker_on(registry, tmp_path, clock)
    assert [m.topic for m in fresh.process([None, Orders()]) if m.topic == DESIRED] == []
    assert registry.coefficient_set(waiting.coefficients.id).state is SetState.REJECTED
    assert registry.order("o-1").state is OrderState.DONE
    refused = registry.order("o-2")
    assert (refused.state, "only a verified set" in refused.answer) == (OrderState.REFUSED, True)


def test_going_back_leads_to_the_set_before_and_twice_to_the_one_before_that(
    registry: SqlRegistry, tmp_path: Path
) -> None:
    drifting = Plant(
        ModelKind.FIRST_ORDER, [(0, (1.0, 0.4)), (12, (1.0, 0.6)), (26, (1.0, 0.9))], 0.05, 1.5, 45.0, block=4
    )
    clock = SimulatedClock(InstantNs(T0))
    worker = worker_on(registry, tmp_path, clock)
    sent = [m for m in drive(worker, drifting, clock) if m.topic == DESIRED]
    ids = [r.coefficients.id for r in reversed(registry.sets(S1, state=SetState.PUBLISHED))]
    assert len(ids) == len(sent) >= 3
    for set_id in ids:  # the edge took each
        registry.set_state(set_id, SetState.ACTIVE, Act("edge:edge1", clock.now()))
    for name, expected in (("o-1", ids[-2]), ("o-2", ids[-3])):
        registry.put_order(order(OrderKind.SET_ROLL_BACK, S1, name))
        (message,) = (m for m in worker.process([Orders()]) if m.topic == DESIRED)
        done = registry.order(name)
        assert done.state is OrderState.DONE
        made = registry.coefficient_set(done.result)
        assert (made.coefficients.restores, made.envelope) == (expected, message.payload)
        assert made.coefficients.sequence == registry.last_sequence(S1)
        registry.set_state(done.result, SetState.ACTIVE, Act("edge:edge1", clock.now()))
    registry.put_order(order(OrderKind.SET_ROLL_BACK, S1, "o-3", to="s1.77-none"))
    registry.put_order(order(OrderKind.SET_ROLL_BACK, "no sensor", "o-4"))
    registry.put_order(order(OrderKind.SET_ROLL_BACK, "s9", "o-5"))
    registry.put_order(order(OrderKind.SET_ROLL_BACK, S1, "o-6", to=registry.order("o-2").result))
    registry.put_order(order(OrderKind.SET_ROLL_BACK, S1, "o-7", to="a\0b"))
    assert worker.process([Orders()]) == []
    for name in ("o-3", "o-4", "o-5", "o-6", "o-7"):
        assert registry.order(name).state is OrderState.REFUSED
        assert registry.order(name).answer


def test_an_edge_that_claims_what_cannot_be_changes_nothing(
    registry: SqlRegistry, tmp_path: Path, plant: Plant
) -> None:
    """It says that it runs a set that was rejected, and never signed."""
    put_approval(registry)
    clock = SimulatedClock(InstantNs(T0))
    worker = worker_on(registry, tmp_path, clock)
    drive(worker, plant, clock)
    (waiting,) = registry.sets(S1, state=SetState.VERIFIED)
    c = waiting.coefficients
    report = Report(S1, c.id, c.sequence, Outcome.APPLIED, clock.now())
    topic = EdgeAddress(SiteId("plant"), EDGE).reported(S1)
    worker.process([Arrived(topic, encode_report(report))])
    assert registry.coefficient_set(c.id).state is SetState.VERIFIED


def test_what_bears_the_name_of_a_set_and_is_another_does_not_end_it(
    registry: SqlRegistry, tmp_path: Path, plant: Plant
) -> None:
    """Whoever can publish may have an edge refuse nonsense under the id of the set in force, or of the next one."""
    clock = SimulatedClock(InstantNs(T0))
    worker = worker_on(registry, tmp_path, clock)
    sent = [m for m in drive(worker, plant, clock) if m.topic == DESIRED]
    (record,) = registry.sets(S1, state=SetState.PUBLISHED)
    c, topic = record.coefficients, EdgeAddress(SiteId("plant"), EDGE).reported(S1)

    def told(text: bytes) -> list[Message]:
        digest = hashlib.sha256(text).hexdigest()
        report = Report(S1, c.id, c.sequence, Outcome.REJECTED, clock.now(), "digest: not so", "", digest)
        return worker.process([Arrived(topic, encode_report(report))])

    assert told(b"mutated") == []
    assert registry.coefficient_set(c.id).state is SetState.PUBLISHED
    assert worker.engine.trackers[S1].releases.in_force is not None
    told(read_envelope(sent[-1].payload).set.encode())  # and this is what was sent
    assert registry.coefficient_set(c.id).state is SetState.REJECTED


def test_what_is_on_trial_is_signed_for_that_alone(registry: SqlRegistry, tmp_path: Path, plant: Plant) -> None:
    registry.put_policy(S1, ReleasePolicy(shadow_s=5.0), Act("eve", InstantNs(T0)))
    clock = SimulatedClock(InstantNs(T0))
    worker = worker_on(registry, tmp_path, clock)
    address = EdgeAddress(SiteId("plant"), EDGE)
    messages = drive(worker, plant, clock)
    (record,) = registry.sets(S1, state=SetState.VERIFIED)
    (sent,) = (m.payload for m in messages if m.topic == address.shadow(S1))
    assert open_any(read_envelope(sent).set)[1]
    assert [m for m in messages if m.topic == DESIRED] == []
    found = [ResidualReport(S1, record.coefficients.id, 0.0, 1.0, 8, shadow=True)]
    for second in (20, 26):
        clock.instant = plant.at(second)
        (payload,) = encode_residuals(found, clock.now())
        done = worker.process([Arrived(address.residuals, payload)])
    assert [m.topic for m in done] == [address.shadow(S1), DESIRED]
    assert done[0].payload == b""
    assert open_any(read_envelope(done[1].payload).set)[1] is False
    assert registry.coefficient_set(record.coefficients.id).state is SetState.PUBLISHED

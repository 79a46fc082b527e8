"""The consumer of the bus: what is good arrives, what is not is counted, and all is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from dyncal.alarms.alarm import Alarm
from dyncal.alarms.events import Reported
from dyncal.contracts import conditions as condition_contract
from dyncal.contracts import health as health_contract
from dyncal.contracts import ledgers as ledger_contract
from dyncal.contracts import samples as sample_contract
from dyncal.contracts import topics
from dyncal.contracts.edges import ClockMessage, PairingMessage, SensorMessage, StatusMessage
from dyncal.domain.accounts import Account, Lost
from dyncal.domain.alarms import AlarmKind, AlarmState, Condition
from dyncal.domain.errors import StoreUnavailable
from dyncal.domain.health import SensorHealth, Watch
from dyncal.domain.samples import Gap, GapCause, GapRecord
from dyncal.domain.sensors import EdgeId, ModelKind, Pairing, SensorId, SiteId
from dyncal.domain.time import NS_PER_S, DurationNs, InstantNs
from dyncal.testing.bus import FakeBroker
from dyncal.testing.records import block
from dyncal.testing.registry import S1, S2, act
from services.api.consumer import BusConsumer
from services.api.hub import EVENTS, Wanted
from tests.unit.services.api.conftest import Api

EDGE = topics.EdgeAddress(SiteId("plant"), EdgeId("edge-7"))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def broker(api: Api) -> AsyncIterator[FakeBroker]:
    """Yield a broker whose messages the application consumes."""
    made = FakeBroker()
    async with made.bus("api", clean=True) as bus:
        task = asyncio.create_task(BusConsumer(api.deps).run(bus))
        await asyncio.sleep(0.01)
        yield made
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def status(state: str = "online", *names: str, reference: str = "") -> bytes:
    pairing = PairingMessage(reference, "first_order") if reference else None
    sensors = [SensorMessage(name, "Cel", 10**8, pairing=pairing if k == 0 else None) for k, name in enumerate(names)]
    return msgspec.json.encode(StatusMessage(1, state, 7, "0.1", sensors=sensors))  # type: ignore[arg-type]  # as it comes


def rejected(api: Api, kind: str) -> float:
    return api.deps.metrics.registry.get_sample_value("dyncal_api_rejected_total", {"kind": kind}) or 0.0


async def test_a_birth_enters_the_registry_with_its_actor(api: Api, broker: FakeBroker) -> None:
    broker.publish(EDGE.status, status("online", "n-1", "n-2", reference="n-2"), retain=True)
    await until(lambda: len(api.registry.sensors()) == 5)
    await until(lambda: broker.unacknowledged("api") == 0)
    assert [p.reference for p in api.registry.pairings() if p.sensor == "n-1"] == ["n-2"]
    assert api.registry.audit()[-1].actor == "edge:edge-7"
    assert api.deps.edges.online(EDGE.edge) is True
    revision = api.registry.revision()
    broker.publish(EDGE.status, status("online", "n-1", "n-2", reference="n-2"), retain=True)
    await until(lambda: broker.unacknowledged("api") == 0)
    assert api.registry.revision() == revision


async def test_what_people_change_outlives_the_next_birth(api: Api, broker: FakeBroker) -> None:
    birth = status("online", "n-1", "n-2", reference="n-2")
    broker.publish(EDGE.status, birth)
    await until(lambda: len(api.registry.pairings()) == 2)
    sensor = api.registry.sensor(SensorId("n-1"))
    theirs = Pairing(sensor.id, S2, ModelKind.SECOND_ORDER)
    api.registry.put_sensors([sensor], [theirs], act())
    broker.publish(EDGE.status, birth)
    await until(lambda: broker.unacknowledged("api") == 0)
    assert next(p for p in api.registry.pairings() if p.sensor == "n-1") == theirs


async def test_an_edge_cannot_claim_the_sensor_of_one_that_is_online(api: Api, broker: FakeBroker) -> None:
    owner = topics.EdgeAddress(SiteId("plant"), EdgeId("edge-1"))
    broker.publish(owner.status, status("online", S1))
    await until(lambda: broker.unacknowledged("api") == 0)
    broker.publish(EDGE.status, status("online", S1, "n-9"))
    await until(lambda: len(api.registry.sensors()) == 4 and broker.unacknowledged("api") == 0)
    assert api.registry.sensor(S1).edge == "edge-1"
    assert rejected(api, "sensor") == 1
    broker.publish(owner.status, status("offline"))
    broker.publish(EDGE.status, status("online", S1, "n-9"))
    await until(lambda: api.registry.sensor(S1).edge == EDGE.edge)


async def test_edges_come_and_go_for_the_console(api: Api, broker: FakeBroker) -> None:
    client, _ = api.deps.hub.subscribe(Wanted(EVENTS))
    for state in ("online", "online", "offline"):
        broker.publish(EDGE.status, status(state))
    await until(lambda: api.deps.edges.online(EDGE.edge) is False)
    told = client.take().decode()
    assert told.count("event: edge") == 2
    edge = (await api.http.get("/v1/edges")).json()["items"][0]
    assert (edge["edge"], edge["online"], edge["since_ns"]) == ("edge-7", False, 7)


async def test_what_nobody_asked_for_is_counted_and_acknowledged(api: Api) -> None:
    broker = FakeBroker()
    async with broker.bus("api", clean=True) as bus:
        task = asyncio.create_task(BusConsumer(api.deps).run(bus))
        await asyncio.sleep(0.01)
        await bus.subscribe(["#"])  # amqtt has delivered what was not subscribed
        broker.publish(EDGE.committed, b"{}")
        broker.publish(EDGE.desired(SensorId(S1)), b"{}")
        await until(lambda: rejected(api, "unknown") == 2)
        await until(lambda: broker.unacknowledged("api") == 0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert rejected(api, "samples") == 0


async def test_samples_reach_the_hub_and_conditions_the_desk(api: Api, broker: FakeBroker) -> None:
    client, _ = api.deps.hub.subscribe(Wanted(EVENTS))
    address = topics.EdgeAddress(SiteId("plant"), EdgeId("edge-1"))
    broker.publish(address.samples(S1), sample_contract.encode(block([4.0], sensor=S1)))
    topic = topics.condition(SiteId("plant"), S1, "drift")
    clerk = asyncio.create_task(api.deps.clerk.run())
    for holds in (True, True, False):
        found = Condition(SiteId("plant"), S1, AlarmKind.DRIFT, holds, api.clock.now(), "edge-1")
        broker.publish(topic, condition_contract.encode(found, "calibrate", api.clock.now()), retain=True)
    broker.publish(topic, b"", retain=True)
    await until(lambda: len(api.registry.alarm_changes()) == 2)
    await until(lambda: broker.unacknowledged("api") == 0)
    api.deps.hub.flush()
    await asyncio.sleep(0.05)
    told = client.take().decode()
    assert told.count("event: alarm") == 2
    assert '"raw":4.0' in told
    assert api.registry.alarms()[0].state is AlarmState.RETURNED_UNACKNOWLEDGED
    clerk.cancel()
    await asyncio.gather(clerk, return_exceptions=True)


async def test_what_a_reporter_does_not_say_any_more_has_ended(api: Api, broker: FakeBroker) -> None:
    clerk = asyncio.create_task(api.deps.clerk.run())
    now = api.clock.now()

    def said(sensor: str, said_ns: int) -> tuple[str, bytes]:
        found = Condition(SiteId("plant"), sensor, AlarmKind.DRIFT, True, InstantNs(now - 9), "edge-1")
        topic = topics.condition(SiteId("plant"), sensor, "drift")
        return topic, condition_contract.encode(found, "calibrate", InstantNs(said_ns))

    def say(sensor: str, said_ns: int) -> None:
        broker.publish(*said(sensor, said_ns))

    say(S1, now - 5)
    say(S2, now - 5)
    await until(lambda: len(api.registry.alarms(active_only=True)) == 2)
    listed = condition_contract.encode_list("calibrate", {AlarmKind.DRIFT}, [f"{S1}:drift"], now)
    broker.publish(topics.reporter(SiteId("plant"), "calibrate"), listed)
    await until(lambda: len(api.registry.alarms(active_only=True)) == 1)
    await api.deps.clerk.condition(*said(S2, now - 3), retained=True)  # from before the list
    say("zz-9", now - 3 * NS_PER_S)  # said now, by a clock that was set back
    await until(lambda: len(api.registry.alarms(active_only=True)) == 2)
    assert {a.id for a in api.registry.alarms(active_only=True)} == {f"{S1}:drift", "zz-9:drift"}
    earlier = condition_contract.encode_list("calibrate", {AlarmKind.DRIFT}, [f"{S1}:drift"], InstantNs(now - 5))
    await api.deps.clerk.holding(earlier, retained=True)
    other = condition_contract.encode_list("another", {AlarmKind.DRIFT}, [], now)
    broker.publish(topics.reporter(SiteId("plant"), "another"), other)  # what calibrate found is not its business
    await until(lambda: broker.unacknowledged("api") == 0)
    await asyncio.sleep(0.4)
    assert len(api.registry.alarms(active_only=True)) == 2
    clerk.cancel()
    await asyncio.gather(clerk, return_exceptions=True)


async def test_a_condition_that_no_database_can_keep_holds_up_no_other(api: Api, broker: FakeBroker) -> None:
    clerk = asyncio.create_task(api.deps.clerk.run())
    now = api.clock.now()
    for sensor, cause in ((S1, "NUL \0"), (S2, "good")):
        found = Condition(SiteId("plant"), sensor, AlarmKind.DRIFT, True, now, "edge-1", cause=cause)
        topic = topics.condition(SiteId("plant"), sensor, "drift")
        said = condition_contract.encode(found, "calibrate", now)
        broker.publish(topic, said.replace("\ufffd".encode(), b"\\u0000"), retain=True)  # as a stranger may
    await until(lambda: api.registry.alarms(active_only=True))
    assert [a.id for a in api.registry.alarms(active_only=True)] == [f"{S2}:drift"]
    assert rejected(api, "conditions") == 1
    # What came by another way, and cannot be kept, is left out, and what is beside it is not.
    events = [
        Reported(Condition(SiteId("plant"), name, AlarmKind.DRIFT, True, now, cause=cause), "calibrate", now)
        for name, cause in (("a", "good"), ("b", "NUL \0"), ("c", "good"))
    ]
    await api.deps.clerk.feed(events)
    await until(lambda: len(api.registry.alarms(active_only=True)) == 3)
    assert {a.id for a in api.registry.alarms()} == {f"{S2}:drift", "a:drift", "c:drift"}
    clerk.cancel()
    await asyncio.gather(clerk, return_exceptions=True)


async def test_edges_offline_and_lost_records_become_alarms(api: Api, broker: FakeBroker) -> None:
    clerk = asyncio.create_task(api.deps.clerk.run())
    broker.publish(EDGE.status, status("online", "n-1"))
    await until(lambda: api.deps.edges.online(EDGE.edge) is True)
    broker.publish(EDGE.status, msgspec.json.encode(StatusMessage(1, "offline", api.clock.now())))
    lost = GapRecord(S1, EdgeId("edge-1"), 1, 0, 0, Gap(InstantNs(1), InstantNs(2), GapCause.SPOOL_CAPPED))
    address = topics.EdgeAddress(SiteId("plant"), EdgeId("edge-1"))
    broker.publish(address.samples(S1), sample_contract.encode(lost))
    await until(lambda: api.deps.desk.known(f"{S1}:records_lost") is not None)
    api.clock.advance(DurationNs(6 * NS_PER_S))  # beyond the on delay
    await until(lambda: len(api.registry.alarms(active_only=True)) == 2)
    kinds = {alarm.kind for alarm in api.registry.alarms(active_only=True)}
    assert kinds == {AlarmKind.EDGE_OFFLINE, AlarmKind.RECORDS_LOST}
    assert "spool_capped" in next(a.cause for a in api.registry.alarms() if a.kind is AlarmKind.RECORDS_LOST)
    broker.publish(EDGE.status, b"", retain=True)
    await until(lambda: not api.deps.desk.known(f"{EDGE.edge}:edge_offline").holds)  # type: ignore[union-attr]  # it is
    broker.publish(address.samples(S1), sample_contract.encode(block([4.0], sensor=S1)))
    await until(lambda: not api.deps.desk.known(f"{S1}:records_lost").holds)  # type: ignore[union-attr]  # it is there
    clerk.cancel()
    await asyncio.gather(clerk, return_exceptions=True)


def clock_status(clock: ClockMessage | None, state: str = "online", *, own_clock: bool = True) -> bytes:
    sensors = [SensorMessage("n-1", "Cel", 10**8, own_clock=own_clock)] if state == "online" else []
    return msgspec.json.encode(StatusMessage(1, state, 7, "0.1", sensors=sensors, clock=clock))  # type: ignore[arg-type]  # as it comes


async def test_a_clock_that_is_lost_is_an_alarm_until_it_is_found_or_stamps_nothing(
    api: Api, broker: FakeBroker
) -> None:
    clerk = asyncio.create_task(api.deps.clerk.run())
    good, lost = ClockMessage("synchronised", 1000), ClockMessage("holdover", 250_000_000, source="chrony")
    kind = AlarmKind.CLOCK_DOUBTFUL

    def found() -> Alarm | None:
        return api.deps.desk.known(f"{EDGE.edge}:clock_doubtful")

    async def holds(value: bool) -> None:
        await until(lambda: (alarm := found()) is not None and alarm.holds is value)

    broker.publish(EDGE.status, clock_status(good))
    await until(lambda: api.deps.edges.online(EDGE.edge) is True)
    broker.publish(EDGE.status, clock_status(lost, own_clock=False))  # its samples bear the instants of their sources
    await until(lambda: (e := api.deps.edges.get(EDGE.edge)) is not None and e.clock == lost)
    assert found() is None
    broker.publish(EDGE.status, clock_status(lost))
    await holds(True)
    assert api.registry.alarms(active_only=True) == []  # a time service that starts needs a minute
    api.clock.advance(DurationNs(61 * NS_PER_S))
    await until(lambda: [a.kind for a in api.registry.alarms(active_only=True)] == [kind])
    alarm = found()
    assert alarm is not None
    assert alarm.cause == (
        "the clock of edge edge-7 is not synchronised any more: u of its time stamps is 0.25 s; it stamps 1 sensors"
    )
    assert (alarm.sensor, alarm.found.edge) == (None, EDGE.edge)
    since = alarm.found.at_ns
    broker.publish(EDGE.status, clock_status(ClockMessage("holdover", 500_000_000)))
    await until(lambda: (a := found()) is not None and "0.5 s" in a.cause)
    assert (a := found()) is not None
    assert a.found.at_ns == since
    broker.publish(EDGE.status, clock_status(None, "offline"))  # nobody knows how it stands then
    await until(lambda: api.deps.edges.online(EDGE.edge) is False)
    await holds(True)
    broker.publish(EDGE.status, clock_status(good))
    await holds(False)
    broker.publish(EDGE.status, clock_status(lost))
    await holds(True)
    broker.publish(EDGE.status, b"", retain=True)  # taken away for good
    await holds(False)
    clerk.cancel()
    await asyncio.gather(clerk, return_exceptions=True)


async def test_the_clock_of_an_edge_is_shown(api: Api, broker: FakeBroker) -> None:
    broker.publish(EDGE.status, clock_status(ClockMessage("holdover", 250_000_000, 9, "chrony", "PTP0", -350)))
    await until(lambda: api.deps.edges.online(EDGE.edge) is True)
    shown = {e["edge"]: e["clock"] for e in (await api.http.get("/v1/edges")).json()["items"]}
    assert shown[EDGE.edge] == {
        "state": "holdover",
        "good": False,
        "u_ns": 250_000_000,
        "since_ns": 9,
        "source": "chrony",
        "reference": "PTP0",
        "offset_ns": -350,
        "n_stamped": 1,
    }
    broker.publish(EDGE.status, clock_status(None, "offline"))
    await until(lambda: api.deps.edges.online(EDGE.edge) is False)
    shown = {e["edge"]: e["clock"] for e in (await api.http.get("/v1/edges")).json()["items"]}
    assert shown[EDGE.edge] is None


async def test_what_calibration_says_of_a_sensor_is_kept_and_its_changes_are_told(api: Api, broker: FakeBroker) -> None:
    client, _ = api.deps.hub.subscribe(Wanted(EVENTS, sensors=frozenset({S1})))
    topic = topics.health(SiteId("plant"), S1)
    for at, watch in ((1, Watch.IN_CONTROL), (2, Watch.IN_CONTROL), (3, Watch.CANNOT_TELL)):
        said = SensorHealth(S1, InstantNs(at), InstantNs(at + 9), watch, InstantNs(1))
        broker.publish(topic, health_contract.encode(said), retain=True)
    other = SensorHealth(S2, InstantNs(1), InstantNs(9), Watch.LEARNING, InstantNs(1))
    broker.publish(topics.health(SiteId("plant"), S2), health_contract.encode(other), retain=True)
    await until(lambda: api.deps.health.of(S2) is not None)
    found = api.deps.health.of(S1)
    assert found is not None
    assert (found.at_ns, found.watch) == (3, Watch.CANNOT_TELL)
    assert client.take().decode().count("event: health") == 2
    broker.publish(topic, b"", retain=True)
    await until(lambda: api.deps.health.of(S1) is None)


async def test_a_registry_that_is_away_is_waited_for(
    api: Api, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, n_failures = type(api.registry).put_sensors, 0

    def flaky(*arguments: object, **named: object) -> bool:
        nonlocal n_failures
        n_failures += 1
        if n_failures <= 2:
            raise StoreUnavailable("away", retry_after_s=0.01)
        return bool(put(*arguments, **named))  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(type(api.registry), "put_sensors", flaky)
    broker.publish(EDGE.status, status("online", "n-1"))
    await until(lambda: len(api.registry.sensors()) == 4)
    assert n_failures == 3


GOOD_BLOCK = sample_contract.encode(block([1.0], sensor=S1))
SAMPLES = "dyncal/v1/plant/edge-1/samples/tc-1"
CONDITION = "dyncal/v1/plant/conditions/tc-1/drift"
GOOD_CONDITION = condition_contract.encode(
    Condition(SiteId("plant"), S1, AlarmKind.DRIFT, True, InstantNs(1)), "calibrate", InstantNs(1)
)
HEALTH = "dyncal/v1/plant/sensors/tc-1/health"
GOOD_HEALTH = health_contract.encode(SensorHealth(S2, InstantNs(1), InstantNs(9), Watch.LEARNING, InstantNs(1)))

HOSTILE = [
    (SAMPLES, b""),
    (SAMPLES, b"\xc1"),
    (SAMPLES, b"\x00" * 100),
    (SAMPLES, GOOD_BLOCK[:-3]),
    (SAMPLES, GOOD_BLOCK + b"x"),
    (SAMPLES, b"\x91" * 5000),
    (SAMPLES, b"\xdf\xff\xff\xff\xff"),
    (SAMPLES, b"x" * (5 << 20)),
    ("dyncal/v1/plant/edge-1/samples/other", GOOD_BLOCK),
    ("dyncal/v1/plant/edge-2/samples/tc-1", GOOD_BLOCK),
    ("dyncal/v1/plant/edge 2/samples/tc-1", GOOD_BLOCK),
    (CONDITION, b"{"),
    (CONDITION, b"null"),
    (CONDITION, b'{"v":9}'),
    (CONDITION, GOOD_CONDITION.replace(b"tc-1", b"tc/1")),
    (CONDITION, GOOD_CONDITION.replace(b"drift", b"doom")),
    ("dyncal/v1/plant/reporters/calibrate", condition_contract.encode_list("c", set(), [], InstantNs(2**62))),
    (HEALTH, b"{"),
    (HEALTH, GOOD_HEALTH),
    (HEALTH, GOOD_HEALTH.replace(b"learning", b"healthy")),
    (EDGE.status, b"{"),
    (EDGE.status, b'{"v":1,"state":"asleep"}'),
    (EDGE.status, status("online", "a/b")),
    (EDGE.status, status("online", "a", reference="a")),
    (EDGE.status, status("online", "a", "a")),
    ("dyncal/v1/plant/%s/status" % ("e" * 300), status("online")),
]


@pytest.mark.parametrize(("topic", "payload"), HOSTILE)
async def test_a_hostile_payload_is_counted_and_the_next_one_is_used(
    api: Api, broker: FakeBroker, topic: str, payload: bytes
) -> None:
    before = api.registry.revision()
    broker.publish(topic, payload)
    kind = (
        "health"
        if topic == HEALTH
        else "conditions"
        if topic == CONDITION
        else "reporters"
        if "/reporters/" in topic
        else "status"
        if topic.endswith("status")
        else "samples"
    )
    await until(lambda: rejected(api, kind) == 1)
    await until(lambda: broker.unacknowledged("api") == 0)
    assert api.registry.revision() == before
    broker.publish(SAMPLES, GOOD_BLOCK)
    await until(lambda: api.deps.hub.latest(S1) is not None)


async def test_what_ingest_says_of_records_is_shown(api: Api, broker: FakeBroker) -> None:
    edge = api.deps.catalogue.get().sensors[S1].edge
    address = topics.EdgeAddress(SiteId("plant"), edge)
    account = Account(
        numbers=7, blocks=5, samples=50, gap_numbers=2, gaps={GapCause.CONNECTION_LOST: Lost(2, 13)},
        repeated_records=1,
    )  # fmt: skip
    before = (await api.http.get(f"/v1/sensors/{S1}/ledger")).json()
    assert (before["at_ns"], before["numbers"]) == (None, 0)
    broker.publish(address.ledger, ledger_contract.encode(InstantNs(9), {S1: account}), retain=True)
    await until(lambda: api.deps.ledgers.of(S1))
    shown = (await api.http.get(f"/v1/sensors/{S1}/ledger")).json()
    assert (shown["at_ns"], shown["samples"], shown["lost_samples"]) == (9, 50, 13)
    assert shown["gaps"] == {"connection_lost": {"gaps": 2, "samples": 13, "uncounted": 0}}
    assert shown["numbers"] == shown["blocks"] + shown["gap_numbers"] + shown["quarantined"] + shown["unknown"]
    assert (await api.http.get("/v1/sensors/nobody/ledger")).status_code == 404

    page = (await api.http.get("/v1/ledger?limit=1")).json()
    seen = [item["sensor"] for item in page["items"]]
    while page["next_cursor"]:
        page = (await api.http.get(f"/v1/ledger?limit=1&cursor={page['next_cursor']}")).json()
        seen += [item["sensor"] for item in page["items"]]
    assert seen == sorted(api.deps.catalogue.get().sensors)


async def test_the_ledger_shows_all_edges_that_send_a_sensor(api: Api, broker: FakeBroker) -> None:
    own = api.deps.catalogue.get().sensors[S1].edge
    for at_ns, edge, n in ((9, own, 5), (8, EdgeId("edge-0"), 3), (7, EdgeId("zz"), 2)):
        account = Account(numbers=n, blocks=n, samples=10 * n)
        address = topics.EdgeAddress(SiteId("plant"), edge)
        broker.publish(address.ledger, ledger_contract.encode(InstantNs(at_ns), {S1: account}), retain=True)
    await until(lambda: len(api.deps.ledgers.of(S1)) == 3)
    shown = (await api.http.get(f"/v1/sensors/{S1}/ledger")).json()
    assert (shown["edge"], shown["at_ns"], shown["samples"]) == (own, 9, 50)
    assert [(o["edge"], o["at_ns"], o["samples"]) for o in shown["others"]] == [("edge-0", 8, 30), ("zz", 7, 20)]
    page = (await api.http.get("/v1/ledger?edge=zz")).json()
    assert [item["sensor"] for item in page["items"]] == [S1]
    assert page["items"][0] == shown
    broker.publish(topics.EdgeAddress(SiteId("plant"), EdgeId("zz")).ledger, ledger_contract.encode(InstantNs(10), {}))
    await until(lambda: len(api.deps.ledgers.of(S1)) == 2)


async def test_a_ledger_that_does_not_add_up_is_refused(api: Api, broker: FakeBroker) -> None:
    edge = api.deps.catalogue.get().sensors[S1].edge
    payload = ledger_contract.encode(InstantNs(9), {S1: Account(numbers=7, blocks=5)})
    broker.publish(topics.EdgeAddress(SiteId("plant"), edge).ledger, payload, retain=True)
    await until(lambda: rejected(api, "ledger") == 1)
    assert broker.unacknowledged("api") == 0
    assert api.deps.ledgers.of(S1) == []

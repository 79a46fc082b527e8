"""The live hub: order, bounds, resumption; alarms are never dropped."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from dyncal.alarms.alarm import Alarm
from dyncal.domain.alarms import AlarmState
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import DurationNs
from dyncal.runtime.clocks import SimulatedClock
from dyncal.testing.records import block, gap, uniform
from dyncal.testing.registry import make_alarm
from services.api.alarms import shapes
from services.api.hub import EVENTS, Client, LiveHub, Wanted
from services.api.metrics import ApiMetrics
from services.api.settings import ApiSection

EVERYTHING = Wanted(EVENTS)


def make_hub(**settings: Any) -> tuple[LiveHub, SimulatedClock]:
    clock = SimulatedClock()
    return LiveHub(clock, ApiSection(**settings), ApiMetrics()), clock


def events(text: bytes) -> list[tuple[int | None, str, Any]]:
    """Read server-sent events as a client does."""
    found = []
    for chunk in filter(None, text.decode().split("\n\n")):
        fields = dict(line.split(": ", 1) for line in chunk.split("\n"))
        found.append((int(fields["id"]) if "id" in fields else None, fields["event"], json.loads(fields["data"])))
    return found


def drain(client: Client) -> list[tuple[int | None, str, Any]]:
    found: list[tuple[int | None, str, Any]] = []
    while chunk := client.take():
        found += events(chunk)
    return found


def feed(hub: LiveHub, k: int, sensor: str = "tc-1") -> None:
    hub.record(block([float(k)], sensor=sensor, axis=uniform(1, k)))
    hub.flush()


def tell(hub: LiveHub, alarm: Alarm) -> None:
    hub.announce("alarm", shapes.encode(shapes.of_alarm(alarm, alarm.changed_ns)), alarm.sensor or "")


def test_ids_rise_and_continue_over_a_restart() -> None:
    hub, clock = make_hub()
    client, first = hub.subscribe(EVERYTHING)
    for k in range(5):
        feed(hub, k)
    ids = [event_id for event_id, _, _ in drain(client) if event_id is not None]
    assert ids == sorted(set(ids))
    assert events(first)[0][0] == ids[0] - 1
    clock.advance(DurationNs(1_000_000_000))
    again = LiveHub(clock, ApiSection(), ApiMetrics())
    assert again.last_id > ids[-1]


def test_values_are_coalesced_and_samples_are_not() -> None:
    hub, clock = make_hub(values_interval_s=0.5)
    client, _ = hub.subscribe(EVERYTHING)
    for k in range(11):
        feed(hub, k)
        clock.advance(DurationNs(100_000_000))
    names = [name for _, name, _ in drain(client)]
    assert names.count("samples") == 11
    assert names.count("values") == 3


def test_a_filter_passes_what_was_asked_for_only() -> None:
    hub, _ = make_hub()
    only, _ = hub.subscribe(Wanted(EVENTS, sensors=frozenset({"b"})))
    trend, _ = hub.subscribe(Wanted(EVENTS, trend=frozenset({"a"})))
    silent, _ = hub.subscribe(Wanted(EVENTS, trend=frozenset()))
    for name in ("a", "b", "c"):
        hub.record(block([1.0], sensor=name))
    hub.flush()
    tell(hub, make_alarm(sensor=SensorId("a")))
    seen = {name: [s["sensor"] for s in data["series"]] for _, name, data in drain(only)}
    assert seen == {"samples": ["b"], "values": ["b"]}
    got = drain(trend)
    assert [[s["sensor"] for s in data["series"]] for _, name, data in got if name == "samples"] == [["a"]]
    assert {name for _, name, _ in got} == {"samples", "values", "alarm"}
    assert {name for _, name, _ in drain(silent)} == {"values", "alarm"}


def test_a_client_resumes_without_a_hole() -> None:
    hub, _ = make_hub()
    first, _ = hub.subscribe(EVERYTHING)
    for k in range(4):
        feed(hub, k)
    seen = drain(first)
    hub.unsubscribe(first)
    last_seen = seen[2][0]
    for k in range(4, 8):
        feed(hub, k)
    tell(hub, make_alarm())
    again, opening = hub.subscribe(EVERYTHING, last_seen)
    assert events(opening)[0][:2] == (last_seen, "hello")
    resumed = drain(again)
    values = [s["raw"]["value"][0] for _, name, d in seen[:3] + resumed if name == "samples" for s in d["series"]]
    assert values == [float(k) for k in range(8)]
    assert resumed[-1][1] == "alarm"


def test_a_client_is_told_to_reload_where_events_are_lost() -> None:
    hub, _ = make_hub(ring_events=10)
    for k in range(30):
        feed(hub, k)
    for too_old in (1, hub.last_id - 20, hub.last_id + 1, -1):
        client, opening = hub.subscribe(EVERYTHING, too_old)
        event_id, name, _ = events(opening)[0]
        assert (event_id, name) == (hub.last_id, "reset")
        assert drain(client) == []
    client, opening = hub.subscribe(EVERYTHING, hub.last_id - 3)
    assert events(opening)[0][1] == "hello"
    assert len(drain(client)) == 3


def test_the_ring_is_bounded_in_memory() -> None:
    hub, _ = make_hub(ring_events=100_000)
    start = hub.last_id
    for k in range(60):
        hub.record(block(np.zeros(50_000), axis=uniform(50_000, 50_000 * k)))
        hub.flush()
    client, opening = hub.subscribe(EVERYTHING, start)
    assert events(opening)[0][1] == "reset"
    hub.unsubscribe(client)


def test_a_slow_client_loses_frames_but_no_alarm() -> None:
    hub, _ = make_hub(client_frames=5)
    client, _ = hub.subscribe(EVERYTHING)
    expected = []
    for k in range(200):
        feed(hub, k)
        state = AlarmState.UNACKNOWLEDGED if k % 2 else AlarmState.NORMAL
        tell(hub, make_alarm(state, k=k))
        expected.append(state.value)
    got = drain(client)
    assert got[0][1:] == ("lagged", {"dropped": 196})
    assert [data["state"] for _, name, data in got if name == "alarm"] == expected
    assert sum(name in {"samples", "values"} for _, name, _ in got) == 5
    ids = [event_id for event_id, _, _ in got if event_id is not None]
    assert ids == sorted(ids)
    assert not client.cut


def test_a_client_too_slow_for_alarms_is_cut_off_not_deceived() -> None:
    hub, _ = make_hub(client_alarms=10)
    client, _ = hub.subscribe(EVERYTHING)
    for k in range(11):
        tell(hub, make_alarm(k=k))
    assert client.cut
    before = drain(client)
    assert [event_id for event_id, _, _ in before] == list(range(hub.last_id - 10, hub.last_id))
    again, opening = hub.subscribe(EVERYTHING, before[-1][0])
    assert events(opening)[0][1] == "hello"
    assert len(drain(again)) == 1


def test_old_blocks_do_not_turn_the_clock_back() -> None:
    hub, clock = make_hub()
    client, _ = hub.subscribe(EVERYTHING)
    feed(hub, 10)
    hub.record(block([1.0], axis=uniform(1, 3)))
    hub.record(block([10.0], axis=uniform(1, 10)))
    clock.advance(DurationNs(6_000_000_000))
    hub.flush()
    latest = hub.latest(SensorId("tc-1"))
    assert latest is not None
    assert latest.raw_t_ns == uniform(1, 10).t0_ns
    got = drain(client)
    assert [name for _, name, _ in got].count("samples") == 1
    assert [data["sensors"] for _, name, data in got if name == "backfill"] == [["tc-1"]]


def test_gaps_travel_with_the_trend() -> None:
    hub, _ = make_hub()
    client, _ = hub.subscribe(EVERYTHING)
    hub.record(gap(0, 5_000_000_000))
    hub.flush()
    (series,) = drain(client)[0][2]["series"]
    assert series["gaps"][0]["cause"] == "connection_lost"
    assert series["gaps"][0]["n_lost"] == 3


async def test_closing_wakes_every_client() -> None:
    hub, _ = make_hub()
    client, _ = hub.subscribe(EVERYTHING)
    hub.close()
    await client.wait(5)
    assert client.closed


def test_values_that_a_thread_is_reading_do_not_change() -> None:
    hub, _ = make_hub()
    feed(hub, 1)
    held = hub.latest(SensorId("tc-1"))
    assert held is not None
    before = held.raw_t_ns, held.raw
    feed(hub, 2)
    assert (held.raw_t_ns, held.raw) == before
    after = hub.latest(SensorId("tc-1"))
    assert after is not None
    assert after.raw_t_ns > held.raw_t_ns

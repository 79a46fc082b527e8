"""Every program against the corpus of hostile input on every surface; afterwards each serves, and has counted it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from asyncua import ua
from asyncua.server.address_space import AddressSpace
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from dyncal.runtime.clocks import SystemClock
from tests.e2e.rig import PROGRAMS, Rig, until
from tests.hostile import corpus
from tests.integration.edge_agent.plant import Plant

pytestmark = pytest.mark.mosquitto

CONFIG: Final = """
site = "works"
data_dir = "{data_dir}"
[broker]
port = {north}
[ingest]
metrics_port = {ingest_metrics}
[calibrate]
metrics_port = {calibrate_metrics}
[api]
port = {api}
access.mode = "open"
[edge]
name = "line1"
metrics_port = {edge_metrics}
[[edge.opcua]]
url = "opc.tcp://127.0.0.1:{opcua}"
nodes = [
  {{ sensor = "O1", node = "ns=2;s=O1", unit = "Cel", dt_s = 0.1, reference = "O2", model = "first_order" }},
  {{ sensor = "O2", node = "ns=2;s=O2", unit = "Cel", dt_s = 0.1, array = true }},
  {{ sensor = "O3", node = "ns=2;s=absent", unit = "Cel", dt_s = 0.1 }},
]
[[edge.mqtt]]
broker = {{ port = {north} }}
mappings = [
  {{ topic = "devices/json", sensor = "M1", unit = "Cel", dt_s = 0.1, time_at = "/time", time_format = "ns" }},
]
"""
EDGE: Final = "dyncal/v1/works/line1"
STRANGER: Final = "dyncal/v1/works/edge1"
PLACES: Final = {
    "samples": [f"{STRANGER}/samples/TT1", f"{EDGE}/samples/M1"],
    "status": [f"{STRANGER}/status"],
    "committed": [f"{EDGE}/committed"],
    "desired": [f"{EDGE}/coefficients/M1/desired"],
    "reported": [f"{EDGE}/coefficients/M1/reported", f"{STRANGER}/coefficients/TT1/reported"],
    "alarms": ["dyncal/v1/works/alarms/M1/drift"],
    "conditions": ["dyncal/v1/works/conditions/TT1/drift"],
    "reporters": ["dyncal/v1/works/reporters/calibrate"],
}
DEVICE_MESSAGES: Final = (
    b'{"time": 1, "value": 1}', b'{"time": -1, "value": 1}', b'{"time": 9223372036854775807, "value": 1}',
    b'{"time": 1e300, "value": 1}', b'{"time": "now", "value": 1}', b'{"time": null, "value": 1}',
    b'{"time": NOW, "value": "23,5"}', b'{"time": NOW, "value": null}', b'{"time": NOW, "value": {"value": 1}}',
    b'{"time": NOW, "value": [1, "x", 3]}', b'{"time": NOW, "value": []}', b'{"time": [NOW, NOW], "value": [1, 2]}',
    b'{"time": [NOW], "value": [1, 2]}', b'{"time": NOW, "value": 1e999}', b'{"time": NOW, "value": true}',
)  # fmt: skip
HTTP_WORDS: Final = (
    "..", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "x" * 5000, "%00", "%ff%fe", "'; DROP TABLE sensors;--", "<script>", "-1",
    "NaN", "1e999", "9" * 400, "{}", "𝟙", "%0d%0aX-Injected: 1", "",
)  # fmt: skip


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path, CONFIG)
    try:
        yield rig
    finally:
        rig.close()


@contextlib.asynccontextmanager
async def opcua(port: int) -> AsyncIterator[Plant]:
    plant = Plant(port)
    await plant.start(O1=0.0, O2=[0.0])
    try:
        yield plant
    finally:
        await plant.stop()


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_every_program_serves_on(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    # asyncua's server holds to the type of a node; others do not
    monkeypatch.setattr(AddressSpace, "_is_expected_variant_type", lambda *_: True)
    rig.north.start()
    async with opcua(rig.opcua_port) as plant:
        for program in rig.programs.values():
            program.start()
        await _all_serve(rig, plant)

        n_sent = await asyncio.to_thread(_attack_broker, rig)
        await _attack_opcua(plant)
        statuses = await asyncio.to_thread(_attack_http, rig)
        assert statuses
        assert all(400 <= status < 500 or status in (200, 304) for status in statuses.values()), statuses
        await _all_serve(rig, plant)
        await asyncio.to_thread(_counted, rig, n_sent)

        for program in rig.programs.values():  # what was retained comes again
            program.must_stop()
            program.start()
        await _all_serve(rig, plant)
        for program in rig.programs.values():
            program.must_stop()


async def _all_serve(rig: Rig, plant: Plant) -> None:
    """See a good message of each source come through ingest to the interface, and every program at work."""
    for n, sensor in enumerate(("M1", "O1", "O2")):
        value = 1000.0 + n + (SystemClock().now() // 1_000_000 % 100_000) / 100_000
        for _ in range(100):
            now = SystemClock().now()
            if sensor == "M1":
                message = json.dumps({"time": now, "value": value}).encode()
                await asyncio.to_thread(_publish, rig, [("devices/json", message, False)])
            else:
                await plant.write(sensor, value if sensor == "O1" else [value], now)
            await asyncio.sleep(0.3)
            if await asyncio.to_thread(_newest, rig, sensor) == value:
                break
        else:
            said = {name: program.said()[-600:] for name, program in rig.programs.items() if not program.alive}
            raise AssertionError(f"a good value of {sensor} does not come through; ended: {said}")
    for name, program in rig.programs.items():
        assert program.alive, f"{name}: {program.said()}"
    handled = rig.metric("calibrate", "dyncal_calibrate_deliveries_total")[""]
    await asyncio.to_thread(_publish, rig, [(f"{STRANGER}/samples/TT9", b"x", False)])
    await asyncio.to_thread(
        until, "calibrate deals with messages",
        lambda: rig.metric("calibrate", "dyncal_calibrate_deliveries_total")[""] > handled, 20,
    )  # fmt: skip


def _newest(rig: Rig, sensor: str) -> Any:
    """Return the newest raw value in the store."""
    end_ns = SystemClock().now() + 10_000_000_000
    found = rig.get(f"/v1/sensors/{sensor}/samples?from={end_ns - 60_000_000_000}&to={end_ns}")
    return found["raw"][-1] if found is not None and found["raw"] else None


def _publish(rig: Rig, messages: list[tuple[str, bytes, bool]], patience_s: float = 30.0) -> int:
    """Publish at QoS 1; return how many the broker took."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    client.connect("127.0.0.1", rig.north.port)
    client.loop_start()
    sent, n_taken = [], 0
    try:
        for topic, payload, retain in messages:
            with contextlib.suppress(ValueError):  # wildcards and the like never leave an honest client
                sent.append(client.publish(topic, payload, qos=1, retain=retain))
        for info in sent:
            with contextlib.suppress(RuntimeError):  # the broker has cut the connection
                info.wait_for_publish(patience_s)
                n_taken += info.is_published()
        return n_taken
    finally:
        client.disconnect()
        client.loop_stop()


def _attack_broker(rig: Rig) -> dict[str, int]:
    counts = {}
    for kind, places in PLACES.items():
        payloads = corpus.of_kind(kind)
        messages = [(topic, hostile.payload, False) for topic in places for hostile in payloads]
        if kind != "samples":  # the last one stays, and comes again with every subscription
            messages += [(topic, payloads[-1].payload, True) for topic in places]
        counts[kind] = _publish(rig, messages)
    for topic in corpus.TOPICS:  # one by one: brokers cut off those who publish on some of them
        _publish(rig, [(topic, corpus.block(), retain) for retain in (False, True)], 0.5)
    now = str(SystemClock().now()).encode()
    devices = [hostile.payload for hostile in corpus.of_kind("any")]
    devices += [message.replace(b"NOW", now) for message in DEVICE_MESSAGES]
    counts["devices"] = _publish(rig, [("devices/json", payload, False) for payload in devices])
    return counts


async def _attack_opcua(plant: Plant) -> None:
    kinds, year_ns = ua.VariantType, 365 * 86_400 * 10**9
    now = SystemClock().now()
    values: list[tuple[Any, Any]] = [
        ("23,5", kinds.String), (b"\xff\xfe", kinds.ByteString), (True, kinds.Boolean), (None, kinds.Null),
        (math.nan, kinds.Double), (math.inf, kinds.Double), (-1e308, kinds.Double), (2**64 - 1, kinds.UInt64),
        ([], kinds.Double), ([1.0] * 200_000, kinds.Double), (["a", "b"], kinds.String), ([math.nan] * 3, kinds.Double),
        (ua.LocalizedText("warm"), kinds.LocalizedText), ([[1.0, 2.0], [3.0, 4.0]], kinds.Double),
    ]  # fmt: skip
    for sensor in ("O1", "O2"):
        for n, (value, kind) in enumerate(values):
            with contextlib.suppress(Exception):  # what the server itself refuses to hold
                await plant.write(sensor, value, now + n * 1_000_000, variant=kind)
            await asyncio.sleep(0.05)
        good = 1.0 if sensor == "O1" else [1.0]
        for status in (ua.StatusCodes.BadSensorFailure, ua.StatusCodes.BadNoCommunication, 0xFFFF_FFFF):
            await plant.write(sensor, good, SystemClock().now(), status)
            await asyncio.sleep(0.05)
        for t_ns in (0, -360 * year_ns, 30 * year_ns, 250 * year_ns, now + year_ns, now - year_ns):
            with contextlib.suppress(Exception):
                await plant.write(sensor, good, t_ns)
            await asyncio.sleep(0.05)


def _attack_http(rig: Rig) -> dict[str, int]:
    """Ask every route with hostile words in its path and its query, and with hostile bodies; return the statuses."""
    paths = rig.get("/openapi.json")["paths"]
    statuses = {}
    for path, methods in paths.items():
        if path == "/v1/stream":
            continue
        for word in HTTP_WORDS:
            quoted = urllib.parse.quote(word, safe="%")
            asked = path
            for part in ("sensor", "edge", "set_id", "calibration_id"):
                asked = asked.replace("{" + part + "}", quoted or "%20")
            query = "&".join(f"{p['name']}={quoted}" for p in methods.get("get", {}).get("parameters", ()))
            headers = {"If-None-Match": "x" * 500, "Last-Event-ID": "9" * 30, "Prefer": "wait=-1"}
            statuses[f"GET {asked[:60]} {word[:20]}"] = _status(rig, "GET", f"{asked}?{query}", headers)
        if "put" in methods:
            for hostile in corpus.of_kind("any"):
                url = path.replace("{sensor}", "M1")
                headers = {"Content-Type": "application/json"}
                statuses[f"PUT {hostile.name}"] = _status(rig, "PUT", url, headers, hostile.payload)
    return statuses


def _status(rig: Rig, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> int:
    request = urllib.request.Request(rig.api + path, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.read()
        error.close()
        return int(error.code)
    except (ConnectionError, urllib.error.URLError):  # refused in the middle of too large a body
        return 413


def _counted(rig: Rig, n_sent: dict[str, int]) -> None:
    """See what was hostile in the metrics of those who got it, and in quarantine with the reason."""
    set_aside = rig.metric("ingest", "dyncal_ingest_quarantined_total")
    n_samples = n_sent["samples"] - 2  # an empty payload on a topic of samples is one of them
    assert set_aside['{reason="malformed"}'] >= n_samples, (set_aside, n_sent)
    assert set_aside['{reason="status"}'] >= n_sent["status"] - 2, (set_aside, n_sent)
    sidecars = [json.loads(file.read_text()) for file in (rig.directory / "var").rglob("quarantine/**/*.json")]
    assert all(sidecar["reason"] and sidecar["detail"] for sidecar in sidecars)
    topics = {sidecar["topic"] for sidecar in sidecars}
    assert {f"{EDGE}/samples/M1", f"{STRANGER}/status", "devices/json"} <= topics

    notes = rig.metric("calibrate", "dyncal_calibrate_notes_total")
    assert notes['{kind="malformed"}'] >= n_samples + n_sent["reported"] - 4, (notes, n_sent)
    rejected = rig.metric("api", "dyncal_api_rejected_total")
    assert rejected['{kind="samples"}'] >= n_samples, (rejected, n_sent)
    for kind in ("conditions", "reporters"):
        assert rejected[f'{{kind="{kind}"}}'] >= n_sent[kind] - 2, (rejected, n_sent)
    assert rejected['{kind="status"}'] >= n_sent["status"] - 2, (rejected, n_sent)

    notices = rig.metric("edge", "dyncal_edge_notices_total")
    assert notices['{kind="set_rejected"}'] >= n_sent["desired"] - 4, (notices, n_sent)
    assert notices['{kind="input_quarantined"}'] >= n_sent["committed"] + n_sent["devices"] - 12, (notices, n_sent)
    assert notices['{kind="node_failed"}'] >= 1
    assert notices['{kind="samples_refused"}'] >= 2, notices
    assert sum(rig.metric("edge", "dyncal_edge_quarantined_total").values()) >= n_sent["devices"] - 8
    assert len(PROGRAMS) == len(rig.metrics)

"""Births: what an edge may say of its sensors."""

from __future__ import annotations

import msgspec
import pytest

from dyncal.contracts.edges import PairingMessage, SensorMessage, StatusMessage
from dyncal.domain.errors import MalformedMessage
from dyncal.domain.sensors import EdgeId, ModelKind, SensorId, SiteId
from services.api.births import Birth, Declared, decode_declared, decode_status, encode_declared, read_birth

SITE, EDGE = SiteId("plant"), EdgeId("edge-1")
PAIRED = SensorMessage("tc-1", "Cel", 100_000_000, "Kiln", PairingMessage("tc-2", "first_order", 0.1))


def birth(*sensors: SensorMessage, before: Declared | None = None, owners: dict[str, str] | None = None) -> Birth:
    message = StatusMessage(1, "online", 5, sensors=list(sensors))
    others = {SensorId(name): EdgeId(edge) for name, edge in (owners or {}).items()}
    return read_birth(message, SITE, EDGE, before or {}, others)


def test_a_birth_declares_sensors_and_pairings() -> None:
    found = birth(PAIRED, SensorMessage("tc-2", "Cel", 100_000_000))
    assert [(s.id, s.edge, s.label) for s in found.sensors] == [("tc-1", EDGE, "Kiln"), ("tc-2", EDGE, "")]
    assert [(p.sensor, p.reference, p.model) for p in found.pairings] == [("tc-1", "tc-2", ModelKind.FIRST_ORDER)]


def test_a_pairing_enters_again_only_when_the_edge_declares_another() -> None:
    first = birth(PAIRED)
    again = decode_declared(encode_declared(first.declared))
    assert again == first.declared
    assert birth(PAIRED, before=again).pairings == []
    changed = msgspec.structs.replace(PAIRED, pairing=PairingMessage("tc-3", "first_order"))
    assert [p.reference for p in birth(changed, before=again).pairings] == ["tc-3"]


def test_what_is_said_of_model_and_noise_arrives() -> None:
    pairing = PairingMessage("tc-2", "rational", u_reference_noise=0.02, dead_time=True, n_poles=3, n_zeros=1)
    [found] = birth(msgspec.structs.replace(PAIRED, pairing=pairing)).pairings
    assert (found.u_reference_noise, found.dead_time, found.n_poles, found.n_zeros) == (0.02, True, 3, 1)


def test_an_edge_cannot_take_the_sensor_of_another() -> None:
    found = birth(PAIRED, owners={"tc-1": "edge-9"})
    assert found.sensors == []
    assert found.pairings == []
    assert "edge-9" in found.refused["tc-1"]


@pytest.mark.parametrize(
    "sensor",
    [
        SensorMessage("../etc", "Cel", 1),
        SensorMessage("", "Cel", 1),
        SensorMessage("a/b", "Cel", 1),
        SensorMessage("a#", "Cel", 1),
        SensorMessage("a", "Cel", 0),
        SensorMessage("a", "Cel", -5),
        SensorMessage("a", "Cel", 10**18),
        SensorMessage("a", "x" * 201, 1),
        SensorMessage("a", "Cel", 1, "x" * 201),
        SensorMessage("a", "Cel", 1, pairing=PairingMessage("a", "first_order")),
        SensorMessage("a", "Cel", 1, pairing=PairingMessage("b", "third_order")),
        SensorMessage("a", "Cel", 1, pairing=PairingMessage("b", "static")),
        SensorMessage("a", "Cel", 1, pairing=PairingMessage("b", "rational")),
        SensorMessage("a", "Cel", 1, pairing=PairingMessage("b/c", "first_order")),
        SensorMessage("a", "Cel", 1, pairing=PairingMessage("b", "first_order", -1.0)),
        SensorMessage("a", "Cel", 1, pairing=PairingMessage("b", "first_order", float("nan"))),
        SensorMessage("a", "Cel", 1, pairing=PairingMessage("b", "first_order", band_hz=0.0)),
        SensorMessage("a", "Cel", 1, pairing=PairingMessage("b", "first_order", band_hz=float("nan"))),
        SensorMessage("a", "Cel", 1, pairing=PairingMessage("b", "first_order", tolerance={"tau_s": -1.0})),
        SensorMessage(
            "a", "Cel", 1, pairing=PairingMessage("b", "first_order", tolerance={str(k): 1 for k in range(21)})
        ),
    ],
)
def test_an_insane_birth_is_refused_as_a_whole(sensor: SensorMessage) -> None:
    with pytest.raises(MalformedMessage):
        birth(PAIRED, sensor)


def test_a_sensor_may_occur_once() -> None:
    with pytest.raises(MalformedMessage, match="twice"):
        birth(PAIRED, PAIRED)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"online"',
        b"\xff\xfe",
        b'{"v":1}',
        b'{"v":1,"state":"maybe"}',
        b'{"v":2,"state":"online"}',
        b'{"v":1,"state":"online","at_ns":-1}',
        b'{"v":1,"state":"online","at_ns":9223372036854775807}',
        b'{"v":1,"state":"online","at_ns":1e400}',
        b'{"v":1,"state":"online","version":"' + b"x" * 300 + b'"}',
        b'{"v":1,"state":"online","sensors":{}}',
        b'{"v":1,"state":"online","sensors":[1]}',
        b'{"v":1,"state":"online","sensors":' + b"[" * 5000 + b"]" * 5000 + b"}",
        msgspec.json.encode(StatusMessage(1, "online", sensors=[PAIRED] * 10_001)),
        b'{"v":1,"state":"online","x":"' + b"x" * (5 << 20) + b'"}',
    ],
)
def test_a_malformed_status_is_named(payload: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_status(payload)


def test_a_spoilt_snapshot_counts_as_none() -> None:
    assert decode_declared(None) == {}
    assert decode_declared(b"\x00{") == {}

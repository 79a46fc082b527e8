"""Payloads that no program may fall over: malformed, and well-formed but insane.

`CORPUS` lists them with the kind of topic they would arrive on (``"samples"``, ``"status"``, ``"committed"``,
``"desired"``, ``"reported"``, ``"alarms"``; ``"any"`` for all). None may be
accepted by the decoder of its kind.
`TOPICS` are topics that are none of the protocol's.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

KINDS = ("samples", "status", "committed", "desired", "reported", "alarms", "conditions", "reporters")


class Hostile(NamedTuple):
    """One payload: its name, its bytes, and the kind of topic that it is meant for."""

    name: str
    payload: bytes
    kind: str


def of_kind(kind: str) -> list[Hostile]:
    """Return the payloads for topics of that kind, with those for any."""
    return [hostile for hostile in CORPUS if hostile.kind in (kind, "any")]


def block(**changes: Any) -> bytes:
    """Return a sound block of three samples as MessagePack, with fields replaced; a field set to ... is left out."""
    fields = {
        "kind": "block", "v": 1, "sensor": "TT1", "edge": "edge1", "epoch": 1, "sequence": 0,
        "axis": {"t0_ns": 1_700_000_000_000_000_000, "dt_ns": 1_000_000, "n": 3},
        "raw": f8(1, 2, 3), "quality": [[0, 3]], "arrival_ns": 1_700_000_000_100_000_000,
    }  # fmt: skip
    return msgspec.msgpack.encode(_changed(fields, changes))


def gap(**changes: Any) -> bytes:
    """Return a sound gap as MessagePack, with fields replaced."""
    fields = {
        "kind": "gap", "v": 1, "sensor": "TT1", "edge": "edge1", "epoch": 1, "sequence": 3, "last_sequence": 3,
        "after_ns": 1_700_000_000_000_000_000, "before_ns": 1_700_000_001_000_000_000, "cause": "server_overflow",
    }  # fmt: skip
    return msgspec.msgpack.encode(_changed(fields, changes))


def coefficient_set(**changes: Any) -> dict[str, Any]:
    """Return the content of a sound set, with fields replaced; dotted names reach below: ``filter__fir=[1.0]``."""
    fields: dict[str, Any] = {
        "v": 1, "id": "TT1.1", "sensor": "TT1", "sequence": 1, "parent": None,
        "parameters": {"model": "first_order", "names": ["gain", "tau_s"], "values": [1.0, 2.0],
                       "cov": [[1e-6, 0.0], [0.0, 1e-4]]},
        "filter": {"dt_ns": 100_000_000, "fir": [20.5, -19.5], "sos": [], "delay": 0,
                   "sensitivities": [[-1.0, 0.0, 0.0, 0.0, 0.0], [0.1, -0.1, 0.0, 0.0, 0.0]],
                   "u_noise": 0.1, "u_model": 0.01, "band_hz": 1.0, "latency_s": 0.0, "noise_gain": 28.0},
        "gain_limits": [0.9, 1.1], "valid_from_ns": 1_700_000_000_000_000_000,
        "provenance": {"calibration_id": "c1", "reference": "TT1R", "fitted_at_ns": 1_700_000_000_000_000_000,
                       "window_from_ns": 1_699_999_000_000_000_000, "window_to_ns": 1_700_000_000_000_000_000,
                       "n_samples": 10_000},
    }  # fmt: skip
    for name, value in changes.items():
        outer, _, inner = name.partition("__")
        if inner:
            fields[outer] = _changed(fields[outer], {inner: value})
        else:
            fields = _changed(fields, {name: value})
    return fields


def envelope(text: str, **changes: Any) -> bytes:
    """Return an envelope around `text` with the right digest and a signature by nobody."""
    fields = {
        "v": 1, "set": text, "sha256": hashlib.sha256(text.encode()).hexdigest(), "key_id": "nobody",
        "signature": base64.b64encode(bytes(64)).decode(),
    }  # fmt: skip
    return _json(_changed(fields, changes))


def f8(*values: float) -> bytes:
    """Pack little-endian float64."""
    return struct.pack(f"<{len(values)}d", *values)


def i8(*values: int) -> bytes:
    """Pack little-endian int64."""
    return struct.pack(f"<{len(values)}q", *values)


TOPICS: tuple[str, ...] = (
    "", "/", "dyncal", "dyncal/v1", "dyncal/v2/plant/edge1/samples/TT1", "dyncal/v1/plant/edge1/samples",
    "dyncal/v1/plant/edge1/samples/TT1/more", "dyncal/v1/plant/edge1/samples/", "dyncal/v1//edge1/samples/TT1",
    "dyncal/v1/plant/edge1/samples/../secret", "dyncal/v1/plant/edge1/samples/TT 1",
    "dyncal/v1/plant/edge1/samples/TT1\n",
    "dyncal/v1/plant/edge1/samples/ТТ1", "dyncal/v1/plant/edge1/samples/" + "x" * 129, "dyncal/v1/plant/edge1/unknown",
    "dyncal/v1/plant/edge1/coefficients/TT1/wished", "dyncal/v1/plant/" + "e/" * 10_000, "DYNCAL/v1/plant/edge1/status",
    "dyncal/v1/plant/edge1/samples/T\x00T", "dyncal/v1/pl+nt/edge1/status", "$SYS/broker/version",
)  # fmt: skip


def _changed(fields: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**fields, **changes}.items() if value is not ...}


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _any() -> Iterator[Hostile]:
    def case(name: str, payload: bytes) -> Hostile:
        return Hostile(name, payload, "any")

    yield case("empty", b"")
    yield case("zero byte", b"\x00")
    yield case("text", b"23.5")
    yield case("not UTF-8", b'{"v": "\xff\xfe"}')
    yield case("byte order mark", b'\xef\xbb\xbf{"v": 1}')
    yield case("html", b"<html><body>502 Bad Gateway</body></html>")
    yield case("half a JSON object", b'{"v": 1, "sensor": "TT')
    yield case("JSON null", b"null")
    yield case("JSON array", b"[]")
    yield case("empty object", b"{}")
    yield case("empty map", b"\x80")
    yield case("JSON nested 100000 deep", b"[" * 100_000 + b"]" * 100_000)
    yield case("objects nested 50000 deep in an unknown field", b'{"x":' * 50_000 + b"1" + b"}" * 50_000)
    yield case("MessagePack nested 100000 deep", b"\x91" * 100_000 + b"\xc0")
    yield case("map that claims 4 G entries", b"\xdf\xff\xff\xff\xff")
    yield case("binary that claims 4 GB", b"\xc6\xff\xff\xff\xff\x00")
    yield case("number of 5000 digits", b'{"v": ' + b"9" * 5000 + b"}")
    yield case("number beyond float64", b'{"v": 1e999}')
    yield case("5 MB of nothing", bytes(5 << 20))
    yield case("gzip", bytes.fromhex("1f8b0800000000000003030000000000000000000000"))
    yield case("pickle", b"\x80\x04\x95\x0e\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.")


def _samples() -> Iterator[Hostile]:
    def case(name: str, payload: bytes) -> Hostile:
        return Hostile(name, payload, "samples")

    uniform = {"t0_ns": 1_700_000_000_000_000_000, "dt_ns": 1_000_000, "n": 3}
    yield case("truncated block", block()[:-7])
    yield case("bytes after a block", block() + b"\x00")
    yield case("kind missing", block(kind=...))
    yield case("kind unknown", block(kind="blob"))
    yield case("version 2", block(v=2))
    yield case("version as text", block(v="1"))
    yield case("version as boolean", block(v=True))
    yield case("sensor missing", block(sensor=...))
    yield case("sensor empty", block(sensor=""))
    yield case("sensor is a path", block(sensor="../../etc/passwd"))
    yield case("sensor with a line break", block(sensor="TT1\n"))
    yield case("sensor is SQL", block(sensor="x'; DROP TABLE samples;--"))
    yield case("sensor of 1 MB", block(sensor="x" * (1 << 20)))
    yield case("sensor as number", block(sensor=7))
    yield case("edge with a wildcard", block(edge="+"))
    yield case("sequence negative", block(sequence=-1))
    yield case("sequence beyond int64", block(sequence=2**64 - 1))
    yield case("sequence as boolean", block(sequence=True))
    yield case("sequence as float", block(sequence=1.5))
    yield case("epoch beyond int64", block(epoch=2**63))
    yield case("no sample at all", block(axis={**uniform, "n": 0}, raw=b"", quality=[]))
    yield case("n larger than raw", block(axis={**uniform, "n": 4}))
    yield case("n negative", block(axis={**uniform, "n": -3}))
    yield case("n of 2**40", block(axis={**uniform, "n": 2**40}))
    yield case(
        "n of a block too long by one",
        block(axis={**uniform, "n": 65_537}, raw=bytes(8 * 65_537), quality=[[0, 65_537]]),
    )
    yield case("dt zero", block(axis={**uniform, "dt_ns": 0}))
    yield case("dt negative", block(axis={**uniform, "dt_ns": -1}))
    yield case("dt that leaves int64", block(axis={**uniform, "dt_ns": 2**62}))
    yield case("t0 before 1970", block(axis={**uniform, "t0_ns": -1}))
    yield case("t0 beyond int64", block(axis={**uniform, "t0_ns": 2**64 - 1}))
    yield case("t0 as float", block(axis={**uniform, "t0_ns": 1.7e18}))
    yield case("axis empty", block(axis={}))
    yield case("axis of both kinds", block(axis={**uniform, "t_ns": i8(1, 2, 3)}))
    yield case("instants that stand still", block(axis={"t_ns": i8(5, 5, 6)}))
    yield case("instants that go back", block(axis={"t_ns": i8(7, 6, 8)}))
    yield case("instants that wrap", block(axis={"t_ns": i8(1, 2, -(2**63))}))
    yield case("instants of 7 bytes", block(axis={"t_ns": b"1234567"}))
    yield case("instants as text", block(axis={"t_ns": "AAAA"}))
    yield case("raw of 23 bytes", block(raw=bytes(23)))
    yield case("raw as a list", block(raw=[1.0, 2.0, 3.0]))
    yield case("raw as text", block(raw="1,2,3"))
    yield case("quality for fewer samples", block(quality=[[0, 2]]))
    yield case("quality with a count of 2**62", block(quality=[[0, 2**62]]))
    yield case("quality with a negative count", block(quality=[[0, 4], [0, -1]]))
    yield case("quality with a count of zero", block(quality=[[0, 3], [1, 0]]))
    yield case("quality code of 33 bits", block(quality=[[2**32, 3]]))
    yield case("quality code negative", block(quality=[[-1, 3]]))
    yield case("quality missing", block(quality=...))
    yield case("arrival before 1970", block(arrival_ns=-5))
    yield case("arrival beyond int64", block(arrival_ns=2**63))
    yield case("u_t negative", block(u_t_ns=-1))
    yield case("server time beyond int64", block(server_ns=2**64 - 1))
    good = {"axis": uniform, "value": f8(1, 2, 3), "u": f8(0.1, 0.1, 0.1), "set": "TT1.1"}
    yield case("corrected shorter than its axis", block(corrected={**good, "value": f8(1, 2)}))
    yield case("corrected with negative uncertainty", block(corrected={**good, "u": f8(0.1, -0.1, 0.1)}))
    yield case("corrected of 2**30 instants", block(corrected={**good, "axis": {**uniform, "n": 2**30}}))
    yield case("corrected with a set that is a path", block(corrected={**good, "set": "../key"}))
    yield case("corrected with tags of InfluxDB in its set", block(corrected={**good, "set": "a,sensor=b value=1\n"}))
    yield case("gap that ends before it begins", gap(before_ns=1_600_000_000_000_000_000))
    yield case("gap for an unknown cause", gap(cause="laziness"))
    yield case("gap whose sequences go back", gap(last_sequence=2))
    yield case("gap up to beyond int64", gap(last_sequence=2**64 - 1))
    yield case("gap that lost less than nothing", gap(n_lost=-1))
    yield case("gap that ends beyond int64", gap(before_ns=2**64 - 1))
    yield case("block as JSON", _json({"kind": "block", "v": 1, "sensor": "TT1"}))


def _status() -> Iterator[Hostile]:
    def case(name: str, value: Any) -> Hostile:
        return Hostile(name, value if isinstance(value, bytes) else _json(value), "status")

    sensor = {"id": "TT1", "unit": "Cel", "dt_ns": 100_000_000}
    born = {"v": 1, "state": "online", "epoch": 1}
    yield case("state unknown", {"v": 1, "state": "undead"})
    yield case("epoch beyond int64", {**born, "epoch": 2**63})
    yield case("epoch negative", {**born, "epoch": -1})
    yield case("sensors are a map", {**born, "sensors": {"TT1": {}}})
    yield case("sensor whose name is a topic filter", {**born, "sensors": [{**sensor, "id": "#"}]})
    yield case("sensor sampled at no interval", {**born, "sensors": [{**sensor, "dt_ns": 0}]})
    yield case("sensor sampled at an interval of text", {**born, "sensors": [{**sensor, "dt_ns": "1 s"}]})
    yield case("sensor with a unit of 1 MB", {**born, "sensors": [{**sensor, "unit": "m" * (1 << 20)}]})
    yield case(
        "pairing with negative uncertainty",
        {**born, "sensors": [{**sensor, "pairing": {"reference": "R", "model": "first_order", "u_reference": -1}}]},
    )
    yield case(
        "pairing with a band of nothing",
        {**born, "sensors": [{**sensor, "pairing": {"reference": "R", "model": "first_order", "band_hz": 0}}]},
    )
    yield case("clock with negative uncertainty", {**born, "u_clock_ns": -1})
    yield case("clock with uncertainty NaN", b'{"v": 1, "state": "online", "u_clock_ns": NaN}')


def _committed() -> Iterator[Hostile]:
    def case(name: str, value: Any) -> Hostile:
        return Hostile(name, _json(value), "committed")

    base = {"v": 1, "epoch": 1, "at_ns": 1, "upto": {"TT1": 5}}
    yield case("watermark beyond int64", {**base, "upto": {"TT1": 2**63}})
    yield case("watermark below -1", {**base, "upto": {"TT1": -2}})
    yield case("watermark as float", {**base, "upto": {"TT1": 5.5}})
    yield case("watermark of a path", {**base, "upto": {"../TT1": 5}})
    yield case("watermarks as a list", {**base, "upto": [5]})
    yield case("instant before 1970", {**base, "at_ns": -1})
    yield case("epoch missing", {"v": 1, "at_ns": 1, "upto": {}})


def _desired() -> Iterator[Hostile]:
    def of(name: str, payload: bytes) -> Hostile:
        return Hostile(name, payload, "desired")

    def case(name: str, **changes: Any) -> Hostile:
        return of(name, envelope(json.dumps(coefficient_set(**changes))))

    text = json.dumps(coefficient_set())
    yield of("envelope of version 2", envelope(text, v=2))
    yield of("envelope without signature", envelope(text, signature=...))
    yield of("envelope whose signature is no base64", envelope(text, signature="%%%"))
    yield of("envelope around no JSON", envelope("SELECT 1"))
    yield of("envelope around itself", envelope(envelope(text).decode()))
    yield of("set with NaN", envelope(text.replace("20.5", "NaN")))
    yield of("set with Infinity", envelope(text.replace("20.5", "Infinity")))
    yield of("set with a tap beyond float64", envelope(text.replace("20.5", "1e999")))
    yield case("set without taps", filter__fir=[])
    yield case("set with 70000 taps", filter__fir=[0.0] * 70_000)
    yield case("set with sections of five", filter__sos=[[1.0, 0.0, 0.0, 1.0, 0.0]])
    yield case("set with ragged sections", filter__sos=[[1.0, 0.0, 0.0, 1.0, 0.0, 0.0], [1.0]])
    yield case("set with text for taps", filter__fir=["1.0"])
    yield case("set with a delay of 2**62", filter__delay=2**62)
    yield case("set with a negative delay", filter__delay=-1)
    yield case("set for an interval of zero", filter__dt_ns=0)
    yield case("set with fewer sensitivities than parameters", filter__sensitivities=[[0.0] * 5])
    yield case("set with negative uncertainty", filter__u_noise=-1.0)
    yield case("set with more names than values", parameters__names=["gain", "tau_s", "extra"])
    yield case("set with a ragged covariance", parameters__cov=[[1.0], [0.0, 1.0]])
    yield case("set of an unknown model", parameters__model="neural")
    yield case("set of sequence 0", sequence=0)
    yield case("set of a sequence beyond int64", sequence=2**63)
    yield case("set whose id is a path", id="../../../etc/cron.d/x")
    yield case("set for a sensor that is a path", sensor="../TT1")
    yield case("set valid from beyond int64", valid_from_ns=2**64)
    yield case("set with three gain limits", gain_limits=[0.0, 1.0, 2.0])
    yield case("set without provenance", provenance=...)


def _reported() -> Iterator[Hostile]:
    def case(name: str, value: Any) -> Hostile:
        return Hostile(name, _json(value), "reported")

    base = {"v": 1, "sensor": "TT1", "set_id": "TT1.1", "sequence": 1, "outcome": "applied", "at_ns": 1}
    yield case("outcome unknown", {**base, "outcome": "admired"})
    yield case("report of a sequence beyond int64", {**base, "sequence": 2**63})
    yield case("report from beyond int64", {**base, "at_ns": 2**63})
    yield case("report of version 99", {**base, "v": 99})
    yield case("report of a sensor that is a list", {**base, "sensor": ["TT1"]})
    yield case("report with a reason of 1 MB", {**base, "reason": "x" * (1 << 20)})


def _alarms() -> Iterator[Hostile]:
    def case(name: str, value: Any) -> Hostile:
        return Hostile(name, _json(value), "alarms")

    base = {"v": 1, "id": "TT1:drift", "sensor": "TT1", "kind": "drift", "state": "normal", "priority": "low",
            "raised_ns": 1, "changed_ns": 1}  # fmt: skip
    yield case("alarm of another id", {**base, "id": "TT2:drift"})
    yield case("alarm of unknown kind", {**base, "kind": "boredom"})
    yield case("alarm of unknown state", {**base, "state": "panic"})
    yield case("alarm raised before 1970", {**base, "raised_ns": -1})
    yield case("alarm of a later version", {**base, "v": 5})
    yield case("alarm without a source", {**base, "v": 2, "sensor": None})


def _conditions() -> Iterator[Hostile]:
    base = {"v": 1, "reporter": "calibrate", "said_ns": 1, "source": "TT1", "kind": "drift", "holds": True, "at_ns": 1}
    cases: tuple[tuple[str, dict[str, Any]], ...] = (
        ("of another version", {"v": 2}), ("of another source", {"source": "TT2"}),
        ("of an edge with a slash", {"edge": "a/b"}),
        ("of unknown kind", {"kind": "boredom"}), ("of another kind", {"kind": "out_of_tolerance"}),
        ("that may hold", {"holds": "perhaps"}), ("since before 1970", {"at_ns": -1}),
        ("of a wildcard", {"source": "+"}),
        ("of a number that is text", {"value": "high"}), ("of a cause without end", {"cause": "x" * 10_001}),
    )  # fmt: skip
    for name, change in cases:
        yield Hostile(f"condition {name}", _json({**base, **change}), "conditions")
    whole = {"v": 1, "reporter": "calibrate", "said_ns": 1, "kinds": ["drift"], "holding": ["TT1:drift"]}
    wrong: tuple[tuple[str, dict[str, Any]], ...] = (
        ("of another version", {"v": 2}), ("of unknown kinds", {"kinds": ["boredom"]}),
        ("of no list", {"holding": "all"}),
        ("in the year 2600", {"said_ns": 2**64}),
    )  # fmt: skip
    for name, change in wrong:
        yield Hostile(f"list of conditions {name}", _json({**whole, **change}), "reporters")


def _all() -> Iterator[Hostile]:
    parts: tuple[Callable[[], Iterator[Hostile]], ...] = (
        _any, _samples, _status, _committed, _desired, _reported, _alarms, _conditions,
    )  # fmt: skip
    for part in parts:
        yield from part()


CORPUS: tuple[Hostile, ...] = tuple(_all())

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyncal.domain.errors import MalformedMessage
from dyncal.domain.time import DurationNs
from edge_agent.readers import mapping as module
from edge_agent.readers.mapping import Decoded, decode, resolve, sensor_of
from edge_agent.source_settings import MappingSettings
from tests.unit.edge_agent.helpers import T0

DT = DurationNs(10_000_000)


def mapping(**given_: Any) -> MappingSettings:
    return MappingSettings(**{"topic": "a/+", "sensor": "X", **given_})


def run(payload: bytes, **given_: Any) -> Decoded:
    return decode(mapping(**given_), payload, unit="Cel", dt_ns=DT, arrival_ns=T0)


@pytest.mark.parametrize(
    ("form", "time"),
    [
        ("iso", '"2023-11-14T22:13:20.123456789Z"'),
        ("iso", '"2023-11-14T23:13:20.123456789+01:00"'),
        ("ns", "1700000000123456789"),
        ("ns", '"1700000000123456789"'),
    ],
)
def test_times_are_exact_to_the_nanosecond(form: str, time: str) -> None:
    got = run(f'{{"t": {time}, "value": 1.5}}'.encode(), time_at="/t", time_format=form)
    assert got.t_ns.tolist() == [1_700_000_000_123_456_789]
    assert got.raw.tolist() == [1.5]


@pytest.mark.parametrize(("form", "time"), [("s", 1700000000.25), ("ms", 1700000000250), ("us", 1700000000250000)])
def test_other_units_of_time(form: str, time: float) -> None:
    got = run(json.dumps({"t": time, "value": 1}).encode(), time_at="/t", time_format=form)
    assert got.t_ns.tolist() == [1_700_000_000_250_000_000]


def test_an_array_goes_on_from_its_first_or_up_to_its_last_value() -> None:
    payload = json.dumps({"t": T0, "v": [1, 2, 3], "q": "uncertain"}).encode()
    first = run(payload, time_at="/t", time_format="ns", value_at="/v", quality_at="/q")
    last = run(payload, time_at="/t", time_format="ns", value_at="/v", time_is="last")
    assert first.t_ns.tolist() == [T0, T0 + DT, T0 + 2 * DT]
    assert first.codes.tolist() == [0x4000_0000] * 3
    assert last.t_ns.tolist() == [T0 - 2 * DT, T0 - DT, T0]
    assert run(payload, value_at="/v").t_ns.tolist() == [T0 - 2 * DT, T0 - DT, T0], "by arrival"


def test_arrays_of_times_and_rows_and_nested_places() -> None:
    payload = json.dumps({"d": [{"t~/": [T0, T0 + 7], "v": [1, None]}]}).encode()
    got = run(payload, time_at="/d/0/t~0~1", time_format="ns", value_at="/d/0/v")
    assert got.t_ns.tolist() == [T0, T0 + 7]
    assert got.codes.tolist() == [0, 0x8000_0000]
    rows = json.dumps([{"t": T0, "v": 1, "ok": True}, {"t": T0 + 5, "v": "2.5", "ok": False}]).encode()
    got = run(rows, rows_at="", time_at="/t", time_format="ns", value_at="/v", quality_at="/ok")
    assert got.raw.tolist() == [1.0, 2.5]
    assert got.codes.tolist() == [0, 0x8000_0000]


def test_csv_numbers_and_message_pack() -> None:
    got = run(b"1700000000;20.5;good\n1700000001;20.6;bad\n", format="csv", delimiter=";", time_at="0", value_at="1",
              quality_at="2", time_format="s")  # fmt: skip
    assert got.t_ns.tolist() == [T0, T0 + 1_000_000_000]
    assert got.raw.tolist() == [20.5, 20.6]
    assert run(b" 42.25 \n", format="number").raw.tolist() == [42.25]
    packed = msgspec.msgpack.encode({"value": np.arange(3.0).tolist()})
    assert run(packed, format="msgpack").raw.tolist() == [0.0, 1.0, 2.0]


def test_another_unit_is_refused() -> None:
    payload = b'{"value": 1, "u": "[degF]"}'
    with pytest.raises(MalformedMessage, match=r"unit '\[degF\]', expected 'Cel'"):
        run(payload, unit_at="/u")
    assert run(b'{"value": 1, "u": "Cel"}', unit_at="/u").raw.tolist() == [1.0]


def test_the_topic_may_name_the_sensor() -> None:
    by_level = MappingSettings(topic="devices/+/value", sensor_level=1)
    assert sensor_of(by_level, "devices/TT-7/value") == "TT-7"
    for topic in ("devices", "devices//value", "devices/\0/value", "devices/" + "x" * 500 + "/value", "devices/é/v"):
        with pytest.raises(MalformedMessage, match="level 1"):
            sensor_of(by_level, topic)


HOSTILE = [
    b"",
    b" ",
    b"{",
    b"}",
    b"nul",
    b"\xff\xfe\xfd",
    b'"\xff"',
    b"[" * 100_000,
    b'{"value":' * 50_000,
    b'{"value": {}}',
    b'{"value": {"value": 1}}',
    b'{"value": [[1, 2], [3, 4]]}',
    b'{"value": []}',
    b'{"value": "twenty"}',
    b'{"value": ""}',
    b'{"value": [1, "x"]}',
    b'{"Value": 1}',
    b"[]",
    b"1",
    b"null",
    b'"text"',
    b'{"value": 1, "t": null}',
    b'{"value": 1, "t": true}',
    b'{"value": 1, "t": []}',
    b'{"value": 1, "t": [1, 2]}',
    b'{"value": 1, "t": {}}',
    b'{"value": 1, "t": "yesterday"}',
    b'{"value": 1, "t": "2023-11-14T22:13:20"}',
    b'{"value": 1, "t": "99999-01-01T00:00:00Z"}',
    b'{"value": 1, "t": 1e400}',
    b'{"value": 1, "t": -1e300}',
    b'{"value": 1, "t": ' + b"9" * 500 + b"}",
    b'{"value": 1, "t": "' + b"9" * 5000 + b'"}',
    b'{"value": 1, "t": "0x10"}',
    b'{"value": [' + b"1," * 200_001 + b"1]}",
]


@pytest.mark.parametrize("form", ["iso", "s", "ms", "us", "ns"])
@pytest.mark.parametrize("payload", HOSTILE)
def test_hostile_json_is_refused_with_a_reason(payload: bytes, form: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        run(payload, time_at="/t", time_format=form)
    assert str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("payload", [b"", b"x", b"1,2", b"\xff", b"nan nan", b"1e", b"--1", b"\0", b"1_0 0"])
def test_hostile_numbers_are_refused(payload: bytes) -> None:
    with pytest.raises(MalformedMessage):
        run(payload, format="number")


@pytest.mark.parametrize("payload", [b"", b"\n\n", b"1", b"a,b", b'"', b"1,2\n3", b"\xff\xff", b"x\0y,1"])
def test_hostile_csv_is_refused(payload: bytes) -> None:
    with pytest.raises(MalformedMessage):
        run(payload, format="csv", time_at="1", value_at="0", time_format="iso")


@pytest.mark.parametrize("quality", ["fine", -1, 2**32, 1.5, [0], {}, "9" * 100])
def test_hostile_quality_is_refused(quality: Any) -> None:
    payload = json.dumps({"value": [1, 2], "q": quality}).encode()
    with pytest.raises(MalformedMessage, match="qualit"):
        run(payload, quality_at="/q")


def test_values_that_are_too_large_are_infinite_not_fatal() -> None:
    got = run(b'{"value": ["1e999", "-inf", "nan", null]}')
    assert got.raw[0] == math.inf
    assert got.raw[1] == -math.inf
    assert got.codes[2:].tolist() == [0x8000_0000] * 2


@settings(max_examples=300)
@given(payload=st.binary(max_size=200), form=st.sampled_from(["json", "msgpack", "csv", "number"]))
def test_any_bytes_are_samples_or_refused(payload: bytes, form: str) -> None:
    places = {"time_at": "0", "value_at": "1"} if form == "csv" else {"time_at": "/t"}
    try:
        got = run(payload, format=form, time_format="ns", **places)
    except MalformedMessage:
        return
    assert got.t_ns.dtype == np.int64
    assert got.raw.dtype == np.float64
    assert got.codes.dtype == np.uint32
    assert got.t_ns.size == got.raw.size == got.codes.size > 0


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["t", "value", "q", "u"]), inner),
    max_leaves=20,
)


@settings(max_examples=300)
@given(document=JSON, form=st.sampled_from(["iso", "s", "ms", "us", "ns", "arrival"]))
def test_any_json_is_samples_or_refused(document: Any, form: str) -> None:
    payload = json.dumps(document).encode()
    try:
        got = run(payload, time_at="/t", time_format=form, quality_at="/q", unit_at="/u")
    except MalformedMessage:
        return
    assert got.t_ns.size == got.raw.size == got.codes.size > 0


def test_a_pointer_finds_what_rfc_6901_says() -> None:
    document = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "m~n": 8}
    assert [resolve(document, p) for p in ("", "/foo/0", "/", "/a~1b", "/m~0n")] == [document, "bar", 0, 1, 8]
    for pointer in ("/foo/2", "/foo/-", "/nope", "/foo/0/x"):
        with pytest.raises(MalformedMessage, match="nothing at"):
            resolve(document, pointer)


def outcome(payload: bytes, form: str) -> tuple[Any, ...]:
    try:
        got = run(payload, time_at="/t", value_at="/value", time_format=form)
    except MalformedMessage as error:
        return (str(error),)
    return got.t_ns.tolist(), got.raw.tobytes(), got.codes.tolist(), got.t_ns.dtype, got.raw.dtype, got.codes.dtype


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.integers(0, 9)
SOMETHING = NUMBERS | st.text(max_size=2) | st.booleans() | st.none()


@settings(max_examples=200, deadline=None)
@given(
    time=st.one_of(SOMETHING, st.lists(st.integers(0, 9), max_size=2), st.just("1700000000")),
    values=st.one_of(SOMETHING, st.lists(SOMETHING, max_size=3), st.lists(st.floats(-9, 9), max_size=5)),
    more=st.dictionaries(st.sampled_from(["t", "value", "other"]), SOMETHING, max_size=1),
    form=st.sampled_from(["iso", "s", "ns", "arrival"]),
)
def test_numbers_at_the_top_of_a_document_are_what_they_are_elsewhere(
    time: object, values: object, more: dict[str, object], form: str
) -> None:
    payload = json.dumps({"t": time, "value": values} | more).encode()
    with pytest.MonkeyPatch.context() as patch:
        quick = outcome(payload, form)
        patch.setattr(module, "_plain", lambda *_: None)
        assert quick == outcome(payload, form)


def test_most_messages_are_read_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(module, "_samples")
    got = run(b'{"more": [{}], "t": 1700000000, "value": [1, 2.5]}', time_at="/t", time_format="s", time_is="first")
    assert (got.t_ns - got.t_ns[0]).tolist() == [0, DT]
    assert got.raw.tolist() == [1.0, 2.5]

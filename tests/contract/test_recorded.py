"""What earlier versions have sent is read as it was meant, and what a later one may add to it is no obstacle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from dyncal.adapters.signing import TrustedKeys
from dyncal.contracts import alarms, coefficients, conditions, health, ledgers, residuals, samples
from dyncal.contracts import commissioning as c
from dyncal.contracts import keys as k
from dyncal.domain.alarms import AlarmKind
from dyncal.domain.errors import MalformedMessage
from dyncal.ports.ledger import StreamKey
from dyncal.ports.signing import Verifier
from edge_agent import inbox
from edge_agent.aside import Unreadable
from services.api.births import decode_status
from services.calibrate import intake as of_calibrate
from services.calibrate.events import Note
from services.ingest import intake as of_ingest
from tests.contract import recording
from tests.contract.recording import ADDRESS, KINDS, MSGPACK, Recorded, T, plain, struct_of

RECORDED: Final = Path(__file__).parent / "recorded"
VERSIONS: Final = sorted(path.name for path in RECORDED.iterdir() if path.is_dir())

Read = Callable[[str, bytes, Verifier], object]

# What programs read each type with; of types that no function reads but the codec, the struct.
READERS: Final[dict[str, Read]] = {
    "BlockMessage": lambda _, p, __: samples.decode(p),
    "GapMessage": lambda _, p, __: samples.decode(p),
    "StatusMessage": lambda _, p, __: decode_status(p),
    "LedgerMessage": lambda _, p, __: ledgers.decode(p),
    "ResidualsMessage": lambda _, p, __: residuals.decode(p),
    "Envelope": lambda _, p, v: _verified(p, v),
    "SetMessage": lambda _, p, __: coefficients.open_any(p),
    "SmootherSetMessage": lambda _, p, __: coefficients.open_any(p),
    "ReportMessage": lambda _, p, __: coefficients.decode_report(p),
    "Sealed": lambda t, p, v: c.unseal(p, t, c.SourcesMessage if t == ADDRESS.sources_desired else _REQUEST, v),
    "KeysMessage": lambda _, p, v: k.open_keys(p, v),
    "AlarmMessage": lambda _, p, __: alarms.decode(p),
    "ConditionMessage": lambda t, p, __: conditions.decode(t, p),
    "ReporterMessage": lambda _, p, __: conditions.decode_list(p),
    "HealthMessage": lambda _, p, __: health.decode(p),
}
_REQUEST: Final[Any] = c.Request


def _verified(payload: bytes, verifier: Verifier) -> object:
    envelope = coefficients.read_envelope(payload)
    assert verifier.verify(envelope.key_id, envelope.set.encode(), coefficients.signature_bytes(envelope))
    return coefficients.open_any(envelope.set)


MESSAGES: Final = [
    pytest.param(version, each, id=f"{version}-{each.kind}-{each.name}")
    for version in VERSIONS
    for each in recording.read(RECORDED / version)
]


def keys_of(version: str, directory: Path) -> TrustedKeys:
    for file in (RECORDED / version).glob("*.pem"):
        (directory / file.name).write_bytes(file.read_bytes())
    return TrustedKeys(directory)


def covers(now: Any, then: Any) -> bool:
    """Tell whether what is understood now is what was then, and perhaps more fields of it."""
    if isinstance(then, dict):
        return isinstance(now, dict) and all(key in now and covers(now[key], value) for key, value in then.items())
    if isinstance(then, list):
        return isinstance(now, list) and len(now) == len(then) and all(map(covers, now, then))
    return type(now) is type(then) and bool(now == then)


@pytest.mark.parametrize(("version", "each"), MESSAGES)
def test_it_is_understood_as_it_was(version: str, each: Recorded, tmp_path: Path) -> None:
    assert covers(plain(struct_of(each.kind, each.payload)), each.said)
    if each.kind in READERS:
        assert READERS[each.kind](each.topic, each.payload, keys_of(version, tmp_path)) is not None


@pytest.mark.parametrize(("version", "each"), MESSAGES)
def test_what_is_kept_of_it_says_the_same(version: str, each: Recorded) -> None:
    """What goes through the domain and out again has lost nothing: records to the bit, sets, alarms, reports."""
    again: dict[str, Callable[[bytes], bytes]] = {
        "BlockMessage": lambda p: samples.encode(samples.decode(p)),
        "GapMessage": lambda p: samples.encode(samples.decode(p)),
        "ReportMessage": lambda p: coefficients.encode_report(coefficients.decode_report(p)),
        "HealthMessage": lambda p: health.encode(health.decode(p)),
        "LedgerMessage": lambda p: ledgers.encode(*ledgers.decode(p)),
        "ResidualsMessage": lambda p: residuals.encode(residuals.decode(p)[1], T)[0],
        "SetMessage": _set_again,
        "SmootherSetMessage": _set_again,
    }
    if each.kind in again:
        assert covers(plain(struct_of(each.kind, again[each.kind](each.payload))), each.said)


def _set_again(payload: bytes) -> bytes:
    a_set, only_beside = coefficients.open_any(payload)
    return coefficients.canonical(a_set, shadow=only_beside)


MAPS: Final = ("tolerance", "released", "upto", "gaps", "sensors")
"""Fields whose objects are maps by name: what is new in one is an entry, not a field."""

FREE: Final = ("server", "broker", "opcua", "mqtt")
"""Fields that hold settings, which have strict rules of their own."""


def with_more(part: Any, field: str = "") -> Any:
    """Return the content of a message with a field more in each object that has fields."""
    if isinstance(part, list):
        return [with_more(each) for each in part]
    if not isinstance(part, dict) or field in FREE:
        return part
    grown = {name: value if name in FREE else with_more(value, name) for name, value in part.items()}
    return grown if field in MAPS else grown | {"of_a_later_version": {"unknown": [1, None, "x"]}}


@pytest.mark.parametrize(("version", "each"), MESSAGES)
def test_fields_of_a_later_version_are_ignored(version: str, each: Recorded) -> None:
    packer: Any = msgspec.msgpack if each.kind in MSGPACK else msgspec.json
    later = packer.encode(with_more(packer.decode(each.payload)))
    assert len(later) > len(each.payload)
    assert plain(struct_of(each.kind, later)) == plain(struct_of(each.kind, each.payload))


def test_each_message_of_the_protocol_is_in_the_newest_recording() -> None:
    newest = {each.kind for each in recording.read(RECORDED / VERSIONS[-1])}
    assert newest == set(KINDS)
    schema = json.loads((Path(__file__).parents[2] / "docs/protocol/asyncapi.json").read_text())
    assert set(schema["components"]["messages"]) <= newest


# What is of a later version and cannot be understood is set aside with a reason, and holds nothing up


def _with(payload: bytes, **changes: Any) -> bytes:
    return msgspec.msgpack.encode(msgspec.msgpack.decode(payload) | changes)


def _recorded(kind: str, name: str) -> Recorded:
    return next(e for e in recording.read(RECORDED / VERSIONS[-1]) if (e.kind, e.name) == (kind, name))


@pytest.mark.parametrize(
    ("kind", "changes", "why"),
    [
        ("BlockMessage", {"v": 2}, "version 2; this program reads 1"),
        ("BlockMessage", {"kind": "spectrum"}, "'spectrum'"),
        ("GapMessage", {"cause": "sabotage"}, "'sabotage'"),
    ],
)
def test_a_record_that_ingest_cannot_read_is_numbered_and_set_aside(
    kind: str, changes: dict[str, Any], why: str
) -> None:
    """Its numbers are committed, so that the edge goes on; its bytes are in quarantine until somebody can read them."""
    each = _recorded(kind, "full")
    payload = _with(each.payload, **changes)
    found = of_ingest.read(each.topic, payload)
    assert isinstance(found, of_ingest.Rejected)
    stream = StreamKey(each.said["edge"], each.said["epoch"], each.said["sensor"])
    first = each.said["sequence"]
    assert (found.reason, found.numbers) == ("malformed", (stream, first, each.said.get("last_sequence", first)))
    assert why in found.detail
    note = of_calibrate.read(each.topic, payload, T)
    assert isinstance(note, Note)
    assert (note.kind, why in note.detail) == ("malformed", True)


def test_an_edge_sets_aside_watermarks_that_it_cannot_read() -> None:
    aside: list[Unreadable] = []
    each = _recorded("CommittedMessage", "full")
    later = msgspec.json.encode(msgspec.json.decode(each.payload) | {"v": 2})
    assert inbox.read(each.topic, later, ADDRESS, T, aside.append) == []
    assert "version 2; this program reads 1" in aside[0].why


def test_a_list_of_conditions_holds_for_the_kinds_that_are_known() -> None:
    """A reporter of a later version watches for more: what it says of the rest must not be lost for that."""
    each = _recorded("ReporterMessage", "full")
    content = msgspec.json.decode(each.payload)
    content["kinds"].append("check_function")
    said = conditions.decode_list(msgspec.json.encode(content))
    assert set(said.kinds) == set(map(AlarmKind, each.said["kinds"]))
    assert said.holding == tuple(each.said["holding"])


def test_a_condition_of_an_unknown_kind_is_malformed() -> None:
    each = _recorded("ConditionMessage", "bare")
    later = each.payload.replace(b'"drift"', b'"check_function"')
    with pytest.raises(MalformedMessage, match="check_function"):
        conditions.decode(each.topic.replace("drift", "check_function"), later)

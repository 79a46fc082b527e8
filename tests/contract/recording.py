"""Make a recording of the wire contract as it is in this tree: one message of each kind, full and bare.

    python -m tests.contract.recording tests/contract/recorded/2026-11

Recordings are frozen: later versions read them (`tests/contract/test_recorded.py`), nobody makes them anew. What was
in a message is written beside its bytes as it was understood then, defaults and all, so that a default which changes
is noticed as well.
"""

from __future__ import annotations

import base64
import enum
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dyncal.adapters.signing import Ed25519Signer
from dyncal.alarms.alarm import Alarm
from dyncal.alarms.definitions import Definition
from dyncal.contracts import alarms, codec, coefficients, conditions, health, ledgers, residuals, samples, topics
from dyncal.contracts import commissioning as c
from dyncal.contracts import edges as e
from dyncal.contracts import keys as k
from dyncal.domain.accounts import Account, Lost
from dyncal.domain.alarms import AlarmKind, Condition, Priority
from dyncal.domain.coefficients import Outcome, Report
from dyncal.domain.health import Attribution, Cause, Conformance, Outlook, ParameterConformity, SensorHealth, Watch
from dyncal.domain.residuals import ResidualReport
from dyncal.domain.samples import CorrectedSpan, Gap, GapCause, GapRecord, SampleBlock
from dyncal.domain.sensors import EdgeId, SensorId, SiteId
from dyncal.domain.time import NS_PER_S, DurationNs, ExplicitAxis, InstantNs, UniformAxis
from tests.unit.correction.examples import set_of
from tests.unit.correction.smoother.test_design import smoother_set
from tests.unit.edge_agent.helpers import coefficient_set

SITE, EDGE, SENSOR = SiteId("plant"), EdgeId("edge1"), SensorId("TT-101")
ADDRESS: Final = topics.EdgeAddress(SITE, EDGE)
T: Final = InstantNs(1_795_000_000 * NS_PER_S)
SIGNER: Final = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(b"recorded messages, no secret now"))
MESSAGES, PUBLIC_KEY = "messages.jsonl", "recorded.pem"


class Recorded(NamedTuple):
    """One message: its type, where it went, its bytes, and what they said."""

    name: str
    kind: str
    topic: str
    payload: bytes
    said: dict[str, Any]


def plain(part: Any) -> Any:
    """Return a message as JSON has it, with all fields, those that have their defaults too; bytes as base64."""
    if isinstance(part, msgspec.Struct):
        return {name: plain(getattr(part, name)) for name in part.__struct_fields__}
    if isinstance(part, bytes):
        return base64.b64encode(part).decode()
    if isinstance(part, enum.Enum):
        return part.value
    if isinstance(part, dict):
        return {str(key): plain(value) for key, value in part.items()}
    return [plain(each) for each in part] if isinstance(part, list | tuple) else part


KINDS: Final[dict[str, Any]] = {
    kind.__name__: kind
    for kind in (
        samples.BlockMessage, samples.GapMessage, e.StatusMessage, e.EventMessage, e.CommittedMessage,
        ledgers.LedgerMessage, coefficients.Envelope, coefficients.SetMessage, coefficients.SmootherSetMessage,
        coefficients.ReportMessage, residuals.ResidualsMessage, c.Sealed, c.SourcesMessage, c.SourcesReport,
        c.BrowseRequest, c.TopicsRequest, c.Reply, k.KeysMessage, k.KeyList, alarms.AlarmMessage,
        conditions.ConditionMessage, conditions.ReporterMessage, health.HealthMessage,
    )
}  # fmt: skip
"""Message types by name; types that travel as text within a signed message too."""

MSGPACK: Final = ("BlockMessage", "GapMessage")


def struct_of(kind: str, payload: bytes) -> Any:
    """Return the message of a payload as the codec reads it."""
    read: Any = codec.unpack if kind in MSGPACK else codec.from_json
    return read(payload, KINDS[kind])


def made() -> Iterator[Recorded]:
    """Yield the messages of a recording."""
    for kind, topic, name, payload in _messages():
        yield Recorded(name, kind, topic, payload, plain(struct_of(kind, payload)))


def _messages() -> Iterator[tuple[str, str, str, bytes]]:
    yield from _records()
    yield from _of_edges()
    yield from _sets()
    yield from _commissioning()
    yield from _keys()
    yield from _alarms()
    yield from _health()


def _records() -> Iterator[tuple[str, str, str, bytes]]:
    topic = ADDRESS.samples(SENSOR)
    raw = np.array([20.0, -0.0, np.nan, 1e-300, np.inf])
    codes = ((0, 2), (0x80000000, 1), (0x40000000, 2))
    bare = SampleBlock(SENSOR, EDGE, 0, 0, UniformAxis(T, DurationNs(10_000_000), 5), raw, ((0, 5),), T)
    full = SampleBlock(
        sensor=SENSOR, edge=EDGE, epoch=2**62, sequence=2**40,
        axis=ExplicitAxis(T + np.array([0, 7, 10_000_019, 10_000_020, 3_000_000_000], np.int64)),
        raw=raw, quality=codes,
        arrival_ns=InstantNs(T + 5), u_t_ns=DurationNs(1_000_000), server_ns=InstantNs(T + 3),
        corrected=CorrectedSpan(
            ExplicitAxis(np.array([T - 2, T + 9], np.int64)),
            np.array([19.5, np.nan]), np.array([0.25, np.nan]), "TT-101.7",
        ),
        replayed=True,
    )  # fmt: skip
    for name, block in (("bare", bare), ("full", full)):
        yield "BlockMessage", topic, name, samples.encode(block)
    for cause in GapCause:
        gap = GapRecord(SENSOR, EDGE, 7, 3, 3, Gap(T, InstantNs(T + 1), cause))
        yield "GapMessage", topic, cause, samples.encode(gap)
    many = Gap(T, InstantNs(T + NS_PER_S), GapCause.SPOOL_CAPPED, 5_000)
    capped = GapRecord(SENSOR, EDGE, 7, 4, 90, many, replayed=True, refused=(1, -1, 2**62))
    yield "GapMessage", topic, "full", samples.encode(capped)


def _of_edges() -> Iterator[tuple[str, str, str, bytes]]:
    full = e.PairingMessage(
        "TT-101R", "rational", 0.05, 0.001, 1e-4, 2.0, 0.5, {"tau_s": 0.1}, 0.02, dead_time=True, n_poles=4, n_zeros=1
    )
    clock = e.ClockMessage("holdover", 2_000_000, T - 60, "chrony", "PTP0", -350)
    sensors = [
        e.SensorMessage(SENSOR, "Cel", 10_000_000, "outlet", full),
        e.SensorMessage("TT-102", "Cel", 10_000_000, pairing=e.PairingMessage("TT-101R", "first_order")),
        e.SensorMessage("TT-101R", "Cel", 10_000_000, own_clock=True),
    ]
    for name, status in (
        ("bare", e.StatusMessage(1, "offline")),
        ("birth", e.StatusMessage(1, "online", T, "0.1.0", 7, 1_000_000, sensors, {"TT-101": 41, "TT-102": -1}, clock)),
        ("will", e.StatusMessage(1, "offline", epoch=7)),
    ):
        yield "StatusMessage", ADDRESS.status, name, codec.to_json(status)
    for name, event in (
        ("bare", e.EventMessage(1, T, "overflow")),
        ("full", e.EventMessage(1, T, "set_rejected", SENSOR, "signature: no trusted key has signed this set")),
    ):
        yield "EventMessage", ADDRESS.events, name, codec.to_json(event)
    for name, committed in (
        ("bare", e.CommittedMessage(1, 7, T, {})),
        ("full", e.CommittedMessage(1, 7, T, {"TT-101": 41, "TT-102": -1}, T - 5)),
    ):
        yield "CommittedMessage", ADDRESS.committed, name, codec.to_json(committed)
    lost = {cause: Lost(2, 10, 1) for cause in GapCause}
    account = Account(
        numbers=100, blocks=80, samples=800, gap_numbers=15, gaps=lost, quarantined=3, unknown=2,
        repeated_records=4, repeated_samples=40,
    )  # fmt: skip
    yield "LedgerMessage", ADDRESS.ledger, "full", ledgers.encode(T, {SENSOR: account, SensorId("TT-102"): Account()})
    found = [
        ResidualReport(SENSOR, "TT-101.7", 0.1, 0.2, 3),
        ResidualReport(SENSOR, "TT-101.8", 0.1, 0.0, 0, shadow=True, difference=0.3, fault="output exceeds 1e9"),
    ]
    yield "ResidualsMessage", ADDRESS.residuals, "full", residuals.encode(found, T)[0]


def _sets() -> Iterator[tuple[str, str, str, bytes]]:
    plainly = coefficient_set(7, set_id="TT-101.7", valid_from=T, residual_limit=0.04)
    restoring = replace(
        coefficient_set(9, set_id="TT-101.9", valid_from=T, delay=3),
        parent="TT-101.8", restores="TT-101.7", apply_until_ns=InstantNs(T + NS_PER_S), note="back: nötig",
    )  # fmt: skip
    for name, a_set in (
        ("filter", plainly),
        ("restoring", restoring),
        ("sections", set_of("rational")),
        ("smoother", replace(smoother_set(), gain_limits=(0.9, 1.1))),
    ):
        for shadow in (False, True):
            payload = coefficients.seal(a_set, SIGNER, shadow=shadow)
            called = f"shadow-{name}" if shadow else name
            topic = (ADDRESS.shadow if shadow else ADDRESS.desired)(SENSOR)
            yield "Envelope", topic, called, payload
            text = coefficients.read_envelope(payload).set.encode()
            yield "SmootherSetMessage" if name == "smoother" else "SetMessage", topic, called, text
    for outcome in Outcome:
        report = Report(SENSOR, "TT-101.7", 7, outcome, T)
        yield "ReportMessage", ADDRESS.reported(SENSOR), outcome, coefficients.encode_report(report)
    full = Report(SENSOR, "", 0, Outcome.REJECTED, T, "malformed", "TT-101.6", 64 * "a")
    yield "ReportMessage", ADDRESS.reported(SENSOR), "full", coefficients.encode_report(full)


def _commissioning() -> Iterator[tuple[str, str, str, bytes]]:
    node = {"sensor": "TT-103", "node": "nsu=urn:plant;s=TT-103", "unit": "Cel", "dt_s": 0.1}
    mapping = {"topic": "devices/+/data", "sensor_level": 1, "unit": "Cel", "dt_s": 0.02}
    server = {"url": "opc.tcp://10.0.0.1:4840"}
    sealed = (
        ("SourcesMessage", ADDRESS.sources_desired, "bare", c.SourcesMessage(1, 1, T)),
        (
            "SourcesMessage", ADDRESS.sources_desired, "full",
            c.SourcesMessage(1, 2, T, [{"url": "opc.tcp://10.0.0.1:4840", "nodes": [node]}], [{"mappings": [mapping]}]),
        ),
        ("BrowseRequest", ADDRESS.requests, "bare", c.BrowseRequest(1, "q1", T, server)),
        ("BrowseRequest", ADDRESS.requests, "full", c.BrowseRequest(1, "q2", T, server, "ns=2;i=1")),
        ("TopicsRequest", ADDRESS.requests, "bare", c.TopicsRequest(1, "q3", T)),
        ("TopicsRequest", ADDRESS.requests, "full", c.TopicsRequest(1, "q4", T, {"host": "x"}, "devices/#", 2.5)),
    )  # fmt: skip
    for kind, topic, name, message in sealed:
        payload = c.seal(message, topic, SIGNER)
        yield "Sealed", topic, f"{kind}-{name}", payload
        yield kind, topic, name, codec.from_json(payload, c.Sealed).body.encode()
    for name, report in (
        ("applied", c.SourcesReport(1, 2, "applied", 2, T)),
        ("rejected", c.SourcesReport(1, 2, "rejected", 1, T, "node: no such key")),
    ):
        yield "SourcesReport", ADDRESS.sources_reported, name, codec.to_json(report)
    found = c.FoundNode("ns=2;i=1", "TT", variable=True, numeric=True, array=True, data_type="Double", value="1.5",
                        unit="Cel", status="Good", source_ns=T)  # fmt: skip
    value, time = c.FoundField("/v", "1", array=True), c.FoundField("/t", "2")
    heard = c.FoundTopic("devices/1/data", 3, "{}", "json", [value], [time])
    for name, reply in (
        ("bare", c.Reply(1, "q1")),
        ("error", c.Reply(1, "q1", "the server does not answer")),
        ("nodes", c.Reply(1, "q1", nodes=[found, c.FoundNode("i=85", "Objects")], more=True)),
        ("topics", c.Reply(1, "q3", topics=[heard, c.FoundTopic("x", 1, "")])),
    ):
        yield "Reply", ADDRESS.replies, name, codec.to_json(reply)


def _keys() -> Iterator[tuple[str, str, str, bytes]]:
    raw = SIGNER.public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    listed = [k.KeyMessage(SIGNER.key_id, base64.b64encode(raw).decode(), state) for state in k.KeyState]
    payload = k.seal_keys(k.KeyList(1, SITE, 3, T, listed), [SIGNER])
    yield "KeysMessage", topics.keys(SITE), "full", payload
    yield "KeyList", topics.keys(SITE), "full", codec.from_json(payload, k.KeysMessage).body.encode()


def _alarms() -> Iterator[tuple[str, str, str, bytes]]:
    for kind in AlarmKind:
        for holds in (True, False):
            found = Condition(SITE, "TT-101", kind, holds, T, EDGE, "tau_s", 0.7, 0.05, 0.6, "fouling", "clean it",
                              trace=8 * "0af7")  # fmt: skip
            name = f"{kind}-{'holds' if holds else 'ended'}"
            topic = topics.condition(SITE, "TT-101", kind)
            yield "ConditionMessage", topic, name, conditions.encode(found, "calibrate", T)
            definition = Definition(Priority.HIGH, consequence="wrong values", response="look at it")
            alarm = Alarm(found, definition, active=holds, changed_ns=T, raised_ns=T, acknowledged_by="anna", number=4)
            yield "AlarmMessage", topics.alarm(SITE, "TT-101", kind), name, alarms.encode(alarm)
    bare = Condition(SITE, "TT-101", AlarmKind.DRIFT, True, T)
    yield "ConditionMessage", topics.condition(SITE, "TT-101", "drift"), "bare", conditions.encode(bare, "calibrate", T)
    first = (
        b'{"v":1,"id":"TT-101:drift:tau_s","sensor":"TT-101","kind":"drift","state":"acknowledged","priority":"low",'
    )
    first += b'"raised_ns":1,"changed_ns":2,"parameter":"tau_s"}'
    yield "AlarmMessage", topics.alarm(SITE, "TT-101", "drift"), "version-1", first
    held = conditions.encode_list("calibrate", list(AlarmKind), [bare.id], T)
    yield "ReporterMessage", topics.reporter(SITE, "calibrate"), "full", held


def _health() -> Iterator[tuple[str, str, str, bytes]]:
    topic = topics.health(SITE, SENSOR)
    for watch in Watch:
        yield "HealthMessage", topic, watch, health.encode(SensorHealth(SENSOR, T, T, watch, T))
    for cause in Cause:
        full = SensorHealth(
            SENSOR, T, InstantNs(T + 9), Watch.DRIFT, T, T, "because", "tau_s", 0.2, 0.01,
            Attribution(cause, 0.9, 0.05, 0.03, 0.02),
            tuple(ParameterConformity("tau_s", 0.2, 0.01, 0.1, 0.02, each) for each in Conformance),
            (
                Outlook("tau_s", T, InstantNs(T + 1), InstantNs(T + 2), 1e-6, 1e-7),
                Outlook("gain", None, None, None, 0.0, 1.0),
            ),
        )  # fmt: skip
        yield "HealthMessage", topic, f"full-{cause}", health.encode(full)


def write(directory: Path) -> int:
    """Write a recording, and return how many messages are in it; never over one that is there."""
    directory.mkdir(parents=True)
    lines = [
        json.dumps(
            {
                "kind": each.kind, "name": each.name, "topic": each.topic,
                "encoding": "msgpack" if each.kind in MSGPACK else "json",
                "payload": base64.b64encode(each.payload).decode(), "said": each.said,
            }
        )
        for each in made()
    ]  # fmt: skip
    (directory / MESSAGES).write_text("\n".join(lines) + "\n", encoding="utf-8")
    public = SIGNER.public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (directory / PUBLIC_KEY).write_bytes(public)
    return len(lines)


def read(directory: Path) -> list[Recorded]:
    """Return the messages of a recording."""
    lines = (directory / MESSAGES).read_text(encoding="utf-8").splitlines()
    return [
        Recorded(each["name"], each["kind"], each["topic"], base64.b64decode(each["payload"]), each["said"])
        for each in map(json.loads, lines)
    ]


if __name__ == "__main__":
    sys.stdout.write(f"{write(Path(sys.argv[1]))} messages\n")

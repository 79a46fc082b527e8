"""What is encoded comes back as it was, for any content the domain allows."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dyncal.alarms.alarm import Alarm
from dyncal.alarms.definitions import Definition
from dyncal.contracts import alarms, codec, coefficients, conditions, samples, topics
from dyncal.domain.alarms import AlarmKind, AlarmState, Condition, Priority, Scope
from dyncal.domain.coefficients import CoefficientSet, CorrectionFilter, Outcome, Parameters, Provenance, Report
from dyncal.domain.errors import InvalidData, MalformedMessage
from dyncal.domain.quality import runs_of
from dyncal.domain.samples import CorrectedSpan, Gap, GapCause, GapRecord, SampleBlock
from dyncal.domain.sensors import EdgeId, ModelKind, SensorId, SiteId
from dyncal.domain.time import LATEST, DurationNs, ExplicitAxis, InstantNs, TimeAxis, UniformAxis

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True)
sensors = names.map(SensorId)
instants = st.integers(0, LATEST).map(InstantNs)
counts = st.integers(0, 2**63 - 1)
finite = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(0, 1e300)
text = st.text(max_size=40)


def vector(n: int, elements: st.SearchStrategy[float] | None = None) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.float64, n, elements=st.floats() if elements is None else elements)


@st.composite
def axes(draw: st.DrawFn, n: int) -> TimeAxis:
    if draw(st.booleans()):
        return UniformAxis(InstantNs(draw(st.integers(0, 2**62))), DurationNs(draw(st.integers(1, 2**50))), n)
    instants_ = draw(st.lists(st.integers(0, LATEST), min_size=n, max_size=n, unique=True))
    return ExplicitAxis(np.array(sorted(instants_), np.int64))


@st.composite
def spans(draw: st.DrawFn) -> CorrectedSpan:
    n = draw(st.integers(0, 5))
    u = st.floats(0, allow_nan=False) | st.just(float("nan"))
    return CorrectedSpan(draw(axes(n)), draw(vector(n)), draw(vector(n, u)), draw(names))


@st.composite
def blocks(draw: st.DrawFn) -> SampleBlock:
    n = draw(st.integers(1, 8))
    return SampleBlock(
        sensor=draw(sensors),
        edge=EdgeId(draw(names)),
        epoch=draw(counts),
        sequence=draw(counts),
        axis=draw(axes(n)),
        raw=draw(vector(n)),
        quality=runs_of(draw(st.lists(st.integers(0, 2**32 - 1), min_size=n, max_size=n))),
        arrival_ns=draw(instants),
        u_t_ns=DurationNs(draw(st.integers(0, LATEST))),
        server_ns=draw(st.none() | instants),
        corrected=draw(st.none() | spans()),
        replayed=draw(st.booleans()),
    )


@st.composite
def gaps(draw: st.DrawFn) -> GapRecord:
    first, last = sorted(draw(st.tuples(counts, counts)))
    after, before = sorted(draw(st.tuples(instants, instants)))
    gap = Gap(after, before, draw(st.sampled_from(GapCause)), draw(st.none() | counts))
    return GapRecord(draw(sensors), EdgeId(draw(names)), draw(counts), first, last, gap, draw(st.booleans()))


@st.composite
def coefficient_sets(draw: st.DrawFn) -> CoefficientSet:
    p = draw(st.integers(1, 4))
    n_sections = draw(st.integers(0, 3))
    matrix = hnp.arrays(np.float64, (p, p), elements=finite)
    return CoefficientSet(
        id=draw(names),
        sensor=draw(sensors),
        sequence=draw(st.integers(1, 2**63 - 1)),
        parent=draw(st.none() | names),
        parameters=Parameters(
            draw(st.sampled_from(ModelKind)),
            tuple(draw(st.lists(names, min_size=p, max_size=p))),
            draw(vector(p, finite)),
            draw(matrix),
        ),
        correction=CorrectionFilter(
            dt_ns=DurationNs(draw(st.integers(1, 2**50))),
            fir=draw(st.integers(1, 6).flatmap(lambda n: vector(n, st.floats(-1e100, 1e100)))),
            sos=draw(hnp.arrays(np.float64, (n_sections, 6), elements=finite)),
            delay=draw(st.integers(0, 1000)),
            sensitivities=draw(hnp.arrays(np.float64, (p, 5), elements=finite)),
            u_noise=draw(positive),
            u_model=draw(positive),
            band_hz=draw(positive),
        ),
        gain_limits=(draw(finite), draw(finite)),
        valid_from_ns=draw(instants),
        provenance=Provenance(draw(text), draw(sensors), draw(instants), draw(instants), draw(instants), draw(counts)),
        residual_limit=draw(positive),
        note=draw(text),
    )


@given(blocks())
def test_block(block: SampleBlock) -> None:
    back = samples.decode(samples.encode(block))
    assert isinstance(back, SampleBlock)
    for name in (
        "sensor",
        "edge",
        "epoch",
        "sequence",
        "axis",
        "quality",
        "arrival_ns",
        "u_t_ns",
        "server_ns",
        "replayed",
    ):
        assert getattr(back, name) == getattr(block, name), name
    assert back.raw.tobytes() == block.raw.tobytes()
    assert back.raw.flags.writeable
    assert (back.corrected is None) == (block.corrected is None)
    if back.corrected is not None and block.corrected is not None:
        assert (back.corrected.axis, back.corrected.set_id) == (block.corrected.axis, block.corrected.set_id)
        assert back.corrected.value.tobytes() == block.corrected.value.tobytes()
        assert back.corrected.u.tobytes() == block.corrected.u.tobytes()


def _said(read: Callable[[bytes], object], payload: bytes) -> str:
    try:
        read(payload)
    except MalformedMessage as error:
        return str(error)
    return ""


def as_block(record: object) -> SampleBlock:
    assert isinstance(record, samples.BlockMessage)
    return record.unpacked()


@given(blocks())
def test_a_block_that_stays_packed_is_the_same(block: SampleBlock) -> None:
    payload = samples.encode(block)
    assert samples.encode(as_block(samples.decode_packed(payload))) == payload
    assert len(samples.message_of(block)) == len(block)


@given(blocks(), st.data())
def test_nothing_is_wrong_with_what_stays_packed(block: SampleBlock, data: st.DataObject) -> None:
    """Whatever contradicts itself is refused for the same reason as if it were unpacked."""
    message = samples.message_of(block)
    few = st.integers(0, 9)
    packed = few.map(lambda n: b"\0" * 8 * n) | st.binary(max_size=40) | vector(3).map(lambda x: x.tobytes())
    changed = {
        "t0_ns": st.none() | st.integers(0, 10) | st.integers(LATEST - 10, LATEST),
        "dt_ns": st.none() | st.integers(1, 10) | st.just(LATEST),
        "n": st.none() | few | st.just(70_000),
        "t_ns": st.none() | packed,
    }

    def axis(of: samples.AxisMessage) -> samples.AxisMessage:
        names_ = data.draw(st.lists(st.sampled_from(sorted(changed)), max_size=2))
        return msgspec.structs.replace(of, **{name: data.draw(changed[name]) for name in names_})

    span = message.corrected
    if span is not None and data.draw(st.booleans()):
        changes = {name: data.draw(packed) for name in data.draw(st.lists(st.sampled_from(["value", "u"]), max_size=2))}
        span = msgspec.structs.replace(span, axis=axis(span.axis), **changes)
    runs = st.lists(st.tuples(st.just(0), st.integers(1, 9)), max_size=2).map(tuple)
    payload = codec.pack(
        msgspec.structs.replace(
            message,
            axis=axis(message.axis),
            raw=data.draw(st.just(message.raw) | packed),
            quality=data.draw(st.just(message.quality) | runs),
            corrected=span,
        )
    )
    assert _said(samples.decode_packed, payload) == _said(samples.decode, payload)


@given(gaps())
def test_gap(gap: GapRecord) -> None:
    assert samples.decode(samples.encode(gap)) == gap
    assert samples.decode_packed(samples.encode(gap)) == gap


@given(blocks(), st.data())
def test_a_damaged_block_is_read_or_malformed_but_nothing_else(block: SampleBlock, data: st.DataObject) -> None:
    payload = bytearray(samples.encode(block))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedMessage):
        assert isinstance(samples.decode(bytes(payload)), SampleBlock | GapRecord)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_malformed_but_nothing_else(payload: bytes) -> None:
    readers = (
        samples.decode,
        alarms.decode,
        coefficients.decode_report,
        coefficients.read_envelope,
        coefficients.open_set,
    )
    for read in readers:
        with contextlib.suppress(MalformedMessage):
            assert read(payload) is not None


@settings(max_examples=60)
@given(coefficient_sets())
def test_coefficient_set(original: CoefficientSet) -> None:
    written = coefficients.canonical(original)
    back = coefficients.open_set(written)
    assert coefficients.canonical(back) == written
    assert back.filter.fir.tobytes() == original.filter.fir.tobytes()
    assert back.parameters.cov.tobytes() == original.parameters.cov.tobytes()
    assert (back.id, back.sensor, back.sequence, back.parent) == (
        original.id, original.sensor, original.sequence, original.parent,
    )  # fmt: skip
    assert back.provenance == original.provenance


@given(coefficient_sets(), st.sampled_from(["fir", "cov"]), st.sampled_from([float("nan"), float("inf")]))
@settings(max_examples=20)
def test_a_set_with_numbers_that_are_not_finite_is_not_sealed(original: CoefficientSet, where: str, bad: float) -> None:
    (original.filter.fir if where == "fir" else original.parameters.cov).flat[0] = bad
    with pytest.raises(InvalidData, match="not finite"):
        coefficients.canonical(original)


class Nobody:
    key_id = "nobody"

    def sign(self, message: bytes) -> bytes:
        return hashlib.sha512(message).digest()


@settings(max_examples=20)
@given(coefficient_sets())
def test_envelope(original: CoefficientSet) -> None:
    sealed = coefficients.read_envelope(coefficients.seal(original, Nobody()))
    assert sealed.set.encode() == coefficients.canonical(original)
    assert sealed.sha256 == hashlib.sha256(sealed.set.encode()).hexdigest()
    assert coefficients.signature_bytes(sealed) == Nobody().sign(sealed.set.encode())


@given(sensors, text, counts, st.sampled_from(Outcome), instants, text, text)
def test_report(
    sensor: SensorId, set_id: str, sequence: int, outcome: Outcome, at: InstantNs, reason: str, running: str
) -> None:
    report = Report(sensor, set_id, sequence, outcome, at, reason, running)
    assert coefficients.decode_report(coefficients.encode_report(report)) == report


sources = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
maybe = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@given(
    sources, st.sampled_from(AlarmKind), st.sampled_from(AlarmState), st.sampled_from(Priority), instants, text, maybe
)
def test_alarm(
    source: str, kind: AlarmKind, state: AlarmState, priority: Priority, at: InstantNs, cause: str, u: float | None
) -> None:
    found = Condition(SiteId("p"), source, kind, holds=True, at_ns=at, parameter="tau_s", u=u, cause=cause)
    shelved = at if state is AlarmState.SHELVED else None
    alarm = Alarm(found, Definition(priority, consequence=cause), active=True, changed_ns=at, shelved_until_ns=shelved)
    said = alarms.decode(alarms.encode(alarm))
    assert said == alarms.message_of(alarm)
    assert (said.id, said.source, said.state, said.priority, said.u) == (alarm.id, source, alarm.state, priority, u)
    assert said.sensor == (source if kind.scope is Scope.SENSOR else None)


@pytest.mark.parametrize(
    ("kind", "version"),
    [(AlarmKind.EDGE_OFFLINE, 2), (AlarmKind.ROLLOUT_PAUSED, 3), (AlarmKind.CLOCK_DOUBTFUL, 4)],
)
def test_an_alarm_bears_the_lowest_version_that_has_its_kind(kind: AlarmKind, version: int) -> None:
    found = Condition(SiteId("p"), "edge1", kind, holds=True, at_ns=InstantNs(1))
    assert alarms.message_of(Alarm(found, Definition(Priority.LOW))).v == version


def test_an_alarm_of_version_1_is_read() -> None:
    said = alarms.decode(
        b'{"v":1,"id":"TT1:drift:tau_s","sensor":"TT1","kind":"drift","state":"acknowledged","priority":"low",'
        b'"raised_ns":1,"changed_ns":2,"parameter":"tau_s"}'
    )
    assert (said.source, said.state, said.raised_ns) == ("TT1", AlarmState.ACKNOWLEDGED, 1)


@given(sources, sources, st.sampled_from(AlarmKind), st.booleans(), instants, text, maybe)
def test_condition(
    source: str, edge: str, kind: AlarmKind, holds: bool, at: InstantNs, cause: str, u: float | None
) -> None:
    condition = Condition(SiteId("p"), source, kind, holds, at, edge, "gain", 1.5, u, None, cause, cause)
    topic = topics.condition(condition.site, source, kind)
    back, said = conditions.decode(topic, conditions.encode(condition, "calibrate", at))
    told = cause.replace("\0", "\ufffd")  # no database keeps a NUL
    assert back == dataclasses.replace(condition, cause=told, response=told)
    assert (said.reporter, said.said_ns) == ("calibrate", at)
    with pytest.raises(MalformedMessage):
        conditions.decode(topics.condition(condition.site, source + "x", kind), conditions.encode(condition, "c", at))
    listed = conditions.decode_list(conditions.encode_list("c", {kind}, [condition.id], at))
    assert (listed.kinds, listed.holding, listed.said_ns) == ((kind,), (condition.id,), at)


@given(names, names, names)
def test_topics(site: str, edge: str, sensor: str) -> None:
    address = topics.EdgeAddress(SiteId(site), EdgeId(edge))
    for topic, kind in ((address.status, "status"), (address.events, "events"), (address.committed, "committed")):
        assert topics.parse(topic) == (address, kind, None)
    of_sensor = SensorId(sensor)
    for topic, kind in (
        (address.samples(of_sensor), "samples"),
        (address.desired(of_sensor), "desired"),
        (address.reported(of_sensor), "reported"),
    ):
        assert topics.parse(topic) == (address, kind, of_sensor)


def test_canonical_json_does_not_depend_on_the_order_of_fields() -> None:
    import msgspec

    class A(msgspec.Struct):
        b: float
        a: int

    assert codec.to_json(A(0.1, 1)) == b'{"a":1,"b":0.1}'

"""Records that are well-formed and insane, in the middle of good ones: contained, counted, and the work goes on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from dyncal.contracts import coefficients, samples
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain import quality
from dyncal.domain.coefficients import Outcome, Report
from dyncal.domain.samples import Gap, GapCause, GapRecord, SampleBlock
from dyncal.domain.sensors import EdgeId, ModelKind, SensorId, SiteId
from dyncal.domain.time import LATEST, DurationNs, InstantNs, UniformAxis
from services.calibrate import intake
from services.calibrate.events import EdgeSeen, Event, Note, RecordArrived, SetReported

from .conftest import Run
from .plant import T0, Plant

Bend = Callable[[SampleBlock], SampleBlock | GapRecord]


def moved(block: SampleBlock, t0_ns: int, dt_ns: int | None = None) -> SampleBlock:
    axis = UniformAxis(InstantNs(t0_ns), DurationNs(dt_ns or 50_000_000), len(block))
    return dataclasses.replace(block, axis=axis)


def valued(block: SampleBlock, value: float) -> SampleBlock:
    return dataclasses.replace(block, raw=np.full(len(block), value))


def gap(block: SampleBlock) -> GapRecord:
    hole = Gap(InstantNs(0), LATEST, GapCause.SPOOL_CAPPED)
    return GapRecord(block.sensor, block.edge, 1, 0, 2**62, hole)


BENDS: dict[str, tuple[Bend, str | None]] = {
    "at_the_epoch": (lambda b: moved(b, 0), None),
    "at_the_end_of_time": (lambda b: moved(b, LATEST - 10**9), "from_the_future"),
    "an_hour_ahead": (lambda b: moved(b, b.axis.t_ns[0] + 3_600 * 10**9), "from_the_future"),
    "an_hour_late": (lambda b: moved(b, b.axis.t_ns[0] - 3_600 * 10**9), None),
    "steps_of_a_nanosecond": (lambda b: moved(b, int(b.axis.t_ns[0]), 1), None),
    "steps_of_an_hour": (lambda b: moved(b, T0 - 10**18, 3_600 * 10**9), None),
    "all_nan": (lambda b: valued(b, float("nan")), "unusable_samples"),
    "infinite": (lambda b: valued(b, float("inf")), "unusable_samples"),
    "huge": (lambda b: valued(b, -1e300), "unusable_samples"),
    "a_spike": (lambda b: valued(b, 1e6), None),
    "denormal": (lambda b: valued(b, 5e-324), None),
    "all_bad": (lambda b: dataclasses.replace(b, quality=((quality.BAD, len(b)),)), "unusable_samples"),
    "unknown_sensor": (lambda b: dataclasses.replace(b, sensor=SensorId("nobody")), "unknown_sensor"),
    "of_another_edge": (lambda b: dataclasses.replace(b, edge=EdgeId("mallory")), "foreign_edge"),
    "a_gap_of_everything": (gap, "gap"),
}


@pytest.mark.parametrize("who", ["s1", "s1-ref"])
@pytest.mark.parametrize("name", sorted(BENDS))
def test_a_sensor_gets_its_set_whatever_comes_in_between(name: str, who: str) -> None:
    bend, expected = BENDS[name]
    plant = Plant(ModelKind.FIRST_ORDER, [(0, (1.0, 0.4))], 0.05, 1.5, 45.0, block=2)

    def bent(second: float, event: RecordArrived) -> Iterator[Event]:
        block = event.record
        if 4 < second < 6 and block.sensor == who and isinstance(block, SampleBlock):
            yield dataclasses.replace(event, record=bend(block))
        yield event

    run = Run(plant).pair().go(change=bent)
    if expected is not None:
        assert expected in run.notes()
    assert len(run.published()) >= 1
    made = run.published()[-1][1]
    assert made.parameters.as_dict()["tau_s"] == pytest.approx(0.4, rel=0.1)


def test_samples_at_another_rate_than_declared_make_no_set() -> None:
    plant = Plant(ModelKind.FIRST_ORDER, [(0, (1.0, 0.4))], 0.05, 1.5, 40.0, block=2)
    run = Run(plant)
    slower = tuple(dataclasses.replace(s, dt_ns=DurationNs(40_000_000)) for s in plant.sensors())
    run.pair(dataclasses.replace(plant.paired(), sensors=slower)).go()
    assert run.published() == []
    assert "interval_mismatch" in run.notes()


def test_a_constant_sensor_makes_no_set_and_no_alarm() -> None:
    plant = Plant(ModelKind.FIRST_ORDER, [(0, (1.0, 0.4))], 0.05, 1.5, 60.0, block=2)
    plant.raw[:] = 20.0
    plant.reference[:] = 20.0
    run = Run(plant).pair().go()
    assert run.published() == []
    assert not any(kind.startswith("drift") for kind in run.notes())


GOOD = SampleBlock(
    SensorId("s1"),
    EdgeId("edge1"),
    1,
    0,
    UniformAxis(InstantNs(T0), DurationNs(10**8), 2),
    np.zeros(2),
    quality.good(2),
    InstantNs(T0),
)
REPORT = Report(SensorId("s1"), "s1.1-abc", 1, Outcome.APPLIED, InstantNs(T0), "x" * 2_000)
SAMPLES, REPORTED = "dyncal/v1/plant/edge1/samples/s1", "dyncal/v1/plant/edge1/coefficients/s1/reported"


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (SAMPLES, b"\xc1"),
        (SAMPLES, b"{}"),
        (SAMPLES, b"\x80" * 100),
        (SAMPLES, samples.encode(GOOD)[:-3]),
        (SAMPLES, bytes(5 << 20)),
        ("dyncal/v1/plant/edge2/samples/s1", samples.encode(GOOD)),
        ("dyncal/v1/plant/edge1/samples/s2", samples.encode(GOOD)),
        ("dyncal/v1/plant/edge1/samples/%00", samples.encode(GOOD)),
        ("dyncal/v2/plant/edge1/samples/s1", samples.encode(GOOD)),
        ("dyncal/v1/plant/edge1/events", b"{}"),
        ("a" * 60_000, b"x"),
        (REPORTED, b"not json"),
        (REPORTED, b'{"v":2}'),
        (REPORTED, coefficients.encode_report(dataclasses.replace(REPORT, sensor=SensorId("s2")))),
        (REPORTED, coefficients.encode_report(dataclasses.replace(REPORT, set_id="i" * 10_000))),
        (REPORTED, coefficients.encode_report(dataclasses.replace(REPORT, running="i" * 10_000))),
        (REPORTED, coefficients.encode_report(dataclasses.replace(REPORT, at_ns=InstantNs(-1)))),
        (REPORTED, coefficients.encode_report(dataclasses.replace(REPORT, at_ns=InstantNs(2**63 - 1)))),
        ("dyncal/v1/plant/edge1/status", b'{"v":1,"state":"asleep"}'),
        ("dyncal/v1/plant/edge1/status", b'{"v":9,"state":"online"}'),
    ],
)
def test_a_message_that_is_none_is_a_note(topic: str, payload: bytes) -> None:
    found = intake.read(topic, payload, InstantNs(T0))
    assert isinstance(found, Note)
    assert found.kind == "malformed"
    assert len(found.detail) < 2_000


def test_messages_that_are_well_become_events() -> None:
    now = InstantNs(T0)
    record = intake.read(SAMPLES, samples.encode(GOOD), now)
    assert isinstance(record, RecordArrived)
    report: Any = intake.read(REPORTED, coefficients.encode_report(REPORT), now)
    assert isinstance(report, SetReported)
    assert len(report.report.reason) == 500
    assert report.address == EdgeAddress(SiteId("plant"), EdgeId("edge1"))
    assert intake.read("dyncal/v1/plant/edge1/status", b'{"v":1,"state":"offline"}', now) == EdgeSeen(
        EdgeId("edge1"), online=False, now_ns=now
    )
    assert intake.read(REPORTED, b"", now) is None

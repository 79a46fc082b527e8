from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyncal.domain import quality
from dyncal.domain.alarms import AlarmKind, Condition, Priority, Scope
from dyncal.domain.coefficients import CorrectionFilter, Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import MAX_BLOCK_SAMPLES, CorrectedSpan, Gap, GapCause, GapRecord, SampleBlock
from dyncal.domain.sensors import (
    EdgeId,
    ModelKind,
    Pairing,
    Sensor,
    SensorId,
    SiteId,
    check_name,
    edge_id,
    sensor_id,
    site_id,
)
from dyncal.domain.time import DurationNs, InstantNs, UniformAxis

AXIS = UniformAxis(InstantNs(0), DurationNs(1), 3)
BLOCK = SampleBlock(SensorId("s"), EdgeId("e"), 1, 0, AXIS, np.zeros(3), quality.good(3), InstantNs(9))


@pytest.mark.parametrize(
    "changes",
    [
        {"raw": np.zeros(2)}, {"raw": np.zeros(3, np.float32)}, {"quality": quality.good(2)}, {"quality": ()},
        {"quality": ((0, 2), (0, 0), (0, 1))}, {"quality": ((2**32, 3),)}, {"sequence": -1}, {"u_t_ns": DurationNs(-1)},
        {"axis": UniformAxis(InstantNs(0), DurationNs(1), 0), "raw": np.zeros(0), "quality": ()},
        {"axis": UniformAxis(InstantNs(0), DurationNs(1), MAX_BLOCK_SAMPLES + 1)},
    ],
)  # fmt: skip
def test_a_block_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidData):
        replace(BLOCK, **changes)


@pytest.mark.parametrize(
    ("value", "u"),
    [(np.zeros(2), np.zeros(3)), (np.zeros(3), np.zeros(2)), (np.zeros(3), np.array([0, -1e-9, 0])),
     (np.zeros(3, np.float32), np.zeros(3))],
)  # fmt: skip
def test_a_span_that_contradicts_itself_is_refused(value: Any, u: Any) -> None:
    with pytest.raises(InvalidData):
        CorrectedSpan(AXIS, value, u, "set")


def test_a_span_may_have_nothing_to_say() -> None:
    nan = np.full(3, np.nan)
    assert len(CorrectedSpan(AXIS, nan, nan, "set")) == 3


def test_gaps_go_forward() -> None:
    gap = Gap(InstantNs(1), InstantNs(1), GapCause.REJECTED, 0)
    with pytest.raises(InvalidData):
        replace(gap, before_ns=InstantNs(0))
    with pytest.raises(InvalidData):
        replace(gap, n_lost=-1)
    for first, last in ((-1, 0), (2, 1)):
        with pytest.raises(InvalidData):
            GapRecord(SensorId("s"), EdgeId("e"), 1, first, last, gap)


@given(st.lists(st.integers(0, 2**32 - 1)))
def test_quality_runs_come_back(codes: list[int]) -> None:
    runs = quality.runs_of(codes)
    quality.check(runs, len(codes))
    assert quality.expand(runs).tolist() == codes
    assert all(a[0] != b[0] for a, b in itertools.pairwise(runs))


def test_severities() -> None:
    codes = np.array(
        [quality.GOOD, 0x0000_0480, quality.UNCERTAIN_LAST_USABLE_VALUE, quality.BAD_NO_COMMUNICATION], np.uint32
    )
    assert quality.is_good(codes).tolist() == [True, True, False, False]
    assert quality.is_bad(codes).tolist() == [False, False, False, True]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0x480, True),
        (0x4480, True),
        (0x8000_0480, True),
        (0x080, False),
        (0x400, False),
        (0x880, False),
        (0xC80, False),
    ],
)
def test_overflow_counts_only_with_the_info_type_of_data_values(code: int, expected: bool) -> None:
    assert quality.has_overflow(code) is expected


@pytest.mark.parametrize("text", ["a", "TT-101.PV_2", "0", "x" * 128])
def test_names(text: str) -> None:
    for of in (site_id, edge_id, sensor_id):
        assert str(of(text)) == text


@pytest.mark.parametrize("text", ["", ".hidden", "-x", "a/b", "a b", "a#", "+", "ä", "a\n", "x" * 129, "..", "٣"])
def test_names_refused(text: str) -> None:
    with pytest.raises(InvalidData, match="sensor name"):
        check_name("sensor", text)


def test_pairings_are_checked() -> None:
    pairing = Pairing(SensorId("s"), SensorId("r"), ModelKind.FIRST_ORDER)
    for changes in (
        {"reference": SensorId("s")}, {"u_reference": -1.0}, {"u_reference": float("nan")}, {"u_clock_s": float("inf")},
        {"band_hz": 0.0}, {"max_latency_s": -1.0}, {"tolerance": {"tau_s": 0.0}},
        {"tolerance": {"tau_s": float("nan")}}, {"u_reference_noise": 0.0}, {"u_reference_noise": float("inf")},
        {"model": ModelKind.STATIC}, {"model": ModelKind.RATIONAL}, {"n_poles": 2}, {"n_zeros": 1},
        {"model": ModelKind.RATIONAL, "n_poles": 7}, {"model": ModelKind.RATIONAL, "n_poles": 0},
        {"model": ModelKind.RATIONAL, "n_poles": 2, "n_zeros": 3},
    ):  # fmt: skip
        with pytest.raises(InvalidData):
            replace(pairing, **changes)
    rational = replace(pairing, model=ModelKind.RATIONAL, n_poles=3, n_zeros=1, dead_time=True, u_reference_noise=0.1)
    assert rational.n_poles == 3


def test_a_sensor_has_an_interval() -> None:
    with pytest.raises(InvalidData, match="dt_ns"):
        Sensor(SensorId("s"), SiteId("p"), EdgeId("e"), "Cel", DurationNs(0))


def test_filters_and_parameters_have_shapes() -> None:
    whole = CorrectionFilter(DurationNs(5), np.array([3.0, 4.0]), np.zeros((0, 6)), 2, np.zeros((2, 5)), 0.0, 0.0, 1.0)
    assert (whole.latency_ns, whole.noise_gain) == (10, 5.0)
    for changes in (
        {"fir": np.zeros(0)}, {"fir": np.zeros((1, 1))}, {"sos": np.zeros((1, 5))}, {"sos": np.zeros(6)},
        {"sensitivities": np.zeros((2, 4))}, {"dt_ns": DurationNs(0)}, {"delay": -1},
    ):  # fmt: skip
        with pytest.raises(InvalidData):
            replace(whole, **changes)
    parameters = Parameters(ModelKind.FIRST_ORDER, ("gain", "tau_s"), np.array([1.0, 2.0]), np.diag([4.0, 9.0]))
    assert parameters.u.tolist() == [2.0, 3.0]
    assert parameters.as_dict() == {"gain": 1.0, "tau_s": 2.0}
    with pytest.raises(InvalidData):
        replace(parameters, cov=np.zeros((2, 3)))


def test_alarms_are_named_by_what_they_are_about() -> None:
    found = Condition(SiteId("p"), "s", AlarmKind.DRIFT, holds=True, at_ns=InstantNs(0), parameter="tau_s")
    assert found.id == "s:drift"
    assert found.kind.scope is Scope.SENSOR
    assert AlarmKind.EDGE_OFFLINE.scope is Scope.EDGE
    assert sorted(Priority, key=lambda p: p.rank) == [Priority.LOW, Priority.MEDIUM, Priority.HIGH]


def test_runs_are_all_good_where_each_code_is() -> None:
    assert quality.all_good(((quality.GOOD, 3), (0x0000_0480, 2)))
    assert not quality.all_good(((quality.GOOD, 3), (quality.UNCERTAIN, 1)))
    assert not quality.all_good(((quality.BAD_NO_COMMUNICATION, 1),))

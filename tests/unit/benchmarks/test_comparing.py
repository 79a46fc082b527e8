"""Figures beside those of an earlier run, on a machine that may have another speed."""

from __future__ import annotations

import math

import pytest

from tests.benchmarks.comparing import Change, Scale, changes, comparison, scale, summary
from tests.benchmarks.reference import workload
from tests.evidence import Figure, Section

INF = math.inf
TIME = Figure("a pass", 100.0, -INF, INF, 1, unit="ns/sample")
RATE = Figure("samples a second", 5.0, 1.0, INF, 1, unit="thousand")
RATIO = Figure("against another", 3.0, 1.0, INF, 1, unit="×")
LOST = Figure("lost", 0.0, 0.0, 0.0, 1)


@pytest.mark.parametrize(
    ("figure", "expected"),
    [(TIME, Scale.TIME), (RATE, Scale.RATE), (RATIO, Scale.NONE), (LOST, Scale.NONE)],
)
def test_times_and_rates_depend_on_the_machine_and_ratios_do_not(figure: Figure, expected: Scale) -> None:
    assert scale(figure) is expected


def _changed(before: list[Figure], now: list[Figure], machine: float) -> dict[str, Change]:
    found = changes({"s": Section("a", tuple(before), 1.0)}, {"s": Section("b", tuple(now), machine)})
    return {change.figure.what: change for change in found}


def test_on_a_machine_half_as_fast_twice_the_time_and_half_the_rate_are_no_change() -> None:
    now = [Figure("a pass", 200.0, -INF, INF, 1, unit="ns/sample"), Figure("samples a second", 2.5, 1.0, INF, 1)]
    found = _changed([TIME, RATE], now, machine=2.0)
    assert [change.ratio for change in found.values()] == [1.0, 1.0]
    assert {change.mark for change in found.values()} == {""}


def test_what_is_slower_is_worse_and_a_lower_rate_too() -> None:
    now = [Figure("a pass", 150.0, -INF, INF, 1, unit="ns/sample"), Figure("samples a second", 9.0, 1.0, INF, 1)]
    found = _changed([TIME, RATE], now, machine=1.0)
    assert found["a pass"].mark == "worse"
    assert found["samples a second"].mark == "better"
    assert "1 better and 1 worse" in summary(list(found.values()))


def test_a_loss_where_there_was_none_is_told() -> None:
    lost = Figure("lost", 2.0, 0.0, 0.0, 1)
    (change,) = _changed([LOST], [lost], machine=1.0).values()
    assert change.ratio == INF
    assert change.mark == "worse"


def test_a_machine_that_is_not_known_is_said_so() -> None:
    (row,) = comparison(changes({"s": Section("a", (TIME,))}, {"s": Section("b", (TIME,), 0.1)}))[2:]
    assert "machine of before not known" in row


def test_the_known_work_is_the_same_each_time() -> None:
    assert workload() == workload()

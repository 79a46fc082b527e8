from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dyncal.domain.calibration import Verdict
from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind
from dyncal.identification import OnlineEstimator, OnlineSettings
from dyncal.identification.online.fleet import EstimatorFleet
from dyncal.identification.settings import Likelihood
from tests.unit.identification.plant import THERMOCOUPLE, changed, part

FAST = OnlineSettings(likelihood=Likelihood.INNOVATIONS)


def give(fleet: EstimatorFleet, records: list, begin: int, end: int, who: list[int]) -> list[tuple[int, list[float]]]:  # type: ignore[type-arg]
    parts = [part(records[i], begin, end) for i in who]
    closed = fleet.ingest(
        np.array(who, dtype=np.int64),
        np.arange(len(who) + 1, dtype=np.int64) * (end - begin),
        np.concatenate([p.t_ns for p in parts]),
        np.concatenate([p.indication for p in parts]),
        np.concatenate([p.reference for p in parts]),
    )
    return [(i, block.theta.tolist()) for outcomes in closed for i, block in outcomes]


def test_a_sensor_of_a_fleet_is_followed_as_it_would_be_alone() -> None:
    records = [THERMOCOUPLE.record(700, seed) for seed in range(3)]
    fleet = EstimatorFleet(ModelKind.FIRST_ORDER, [THERMOCOUPLE.dt_ns] * 3, FAST)
    together: list[tuple[int, list[float]]] = []
    for begin in range(0, 700, 35):
        together += give(fleet, records, begin, begin + 35, [2, 0, 1])
    restored = EstimatorFleet.restore(fleet.snapshot())
    assert restored.snapshot() == fleet.snapshot()
    for i, record in enumerate(records):
        alone = OnlineEstimator(ModelKind.FIRST_ORDER, THERMOCOUPLE.dt_ns, FAST)
        blocks = [block.theta.tolist() for block in alone.update(record)]
        assert blocks
        assert [theta for j, theta in together if j == i] == blocks
        single, among = alone.estimate, fleet.estimate(i)
        assert single is not None
        assert among is not None
        assert single.parameters is not None
        assert among.parameters is not None
        assert np.array_equal(single.parameters.cov, among.parameters.cov)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"sensors": np.array([0, 0])}, "two chunks"),
        ({"sensors": np.array([0, 7])}, "none of number"),
        ({"sensors": np.array([-1, 1])}, "none of number"),
        ({"offsets": np.array([0, 9, 4])}, "offsets"),
        ({"offsets": np.array([0, 4])}, "offsets"),
        ({"offsets": np.array([0, 4, 99])}, "offsets"),
        ({"t_ns": np.zeros(8)}, "int64"),
        ({"indication": np.zeros(7)}, "one shape"),
    ],
)
def test_chunks_that_do_not_go_together_are_refused(change: dict[str, Any], match: str) -> None:
    fleet = EstimatorFleet(ModelKind.FIRST_ORDER, [10**7, 10**7])
    good: dict[str, Any] = {
        "sensors": np.array([0, 1]), "offsets": np.array([0, 4, 8]), "t_ns": np.arange(8),
        "indication": np.zeros(8), "reference": np.zeros(8),
    }  # fmt: skip
    fleet.ingest(**good)
    with pytest.raises(InvalidData, match=match):
        fleet.ingest(**(good | change))


def test_backward_and_doubled_instants_within_a_chunk_are_left_out() -> None:
    record = THERMOCOUPLE.record(500, 1)
    order = np.sort(np.concatenate([np.arange(500), np.arange(0, 500, 7)]))
    order[100:120] = order[100:120][::-1]
    clean, messy = (EstimatorFleet(ModelKind.FIRST_ORDER, [THERMOCOUPLE.dt_ns], FAST) for _ in range(2))
    newest = np.maximum.accumulate(order)
    kept = order[np.concatenate([[True], newest[1:] > newest[:-1]])]
    for fleet, at in ((clean, kept), (messy, order)):
        fleet.ingest(
            np.zeros(1, dtype=np.int64),
            np.array([0, at.size]),
            record.t_ns[at],
            record.indication[at],
            record.reference[at],
        )
    assert clean.snapshot() == messy.snapshot()


def test_the_last_good_parameters_stay_when_a_pair_goes_bad() -> None:
    plant = replace(THERMOCOUPLE, u_reference_noise=0.0003)
    record = plant.record(3000, seed=1)
    y = record.indication.copy()
    y[1500:] = plant.record(3000, seed=9).indication[1500:]
    estimator = OnlineEstimator(plant.kind, plant.dt_ns, FAST)
    estimator.update(changed(record, y=y))
    found = estimator.estimate
    assert found is not None
    assert found.verdict is not Verdict.ACCEPTED
    assert found.parameters is not None
    assert abs(found.parameters.values[1] - 1) < 0.05


def test_a_reference_that_is_stated_to_be_good_is_followed_by_the_innovations_form() -> None:
    """But not where what the measurand does between two samples of it shows beside the sensor's noise."""
    stated = OnlineSettings(u_reference_noise=0.0003)
    for snr_db, settings, method in (
        (20, stated, "innovations"),
        (20, OnlineSettings(), "Kalman"),
        (30, stated, "Kalman"),
        (40, stated, "Kalman"),
    ):
        plant = replace(THERMOCOUPLE, u_reference_noise=0.0003, snr_db=snr_db)
        record = plant.record(600, seed=1)
        estimator = OnlineEstimator(plant.kind, plant.dt_ns, settings)
        estimator.update(record)
        found = estimator.estimate
        assert found is not None
        assert found.accepted, found.detail
        assert method in found.method
    with pytest.raises(InvalidData, match="likelihood"):
        OnlineSettings(likelihood="best")  # type: ignore[arg-type]


def ingest(fleet: EstimatorFleet, t_ns: np.ndarray, y: np.ndarray, r: np.ndarray, k: int = 1) -> None:
    """Give every one of k sensors the same samples."""
    fleet.ingest(
        np.arange(k, dtype=np.int64), np.arange(k + 1, dtype=np.int64) * t_ns.size,
        np.tile(t_ns, k), np.tile(y, k), np.tile(r, k),
    )  # fmt: skip


def test_bad_input_of_one_sensor_leaves_its_neighbours_alone() -> None:
    record = THERMOCOUPLE.record(900, 1)
    n, nan = len(record), float("nan")
    rng = np.random.default_rng(2)
    y, r = record.indication, record.reference
    holed = np.where(rng.uniform(size=n) < 0.1, nan, y)
    cases: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = [
        (record.t_ns, y, r),
        (record.t_ns, np.full(n, nan), r),
        (record.t_ns, np.full(n, np.inf), np.full(n, -np.inf)),
        (record.t_ns, np.full(n, 3.3), r),
        (record.t_ns, r, y),
        (record.t_ns, -y, r),
        (record.t_ns, 1e3 * y, r),
        (record.t_ns, 1e300 * y, r),
        (record.t_ns[::-1].copy(), y, r),
        (np.full(n, record.t_ns[0]), y, r),
        (record.t_ns, holed, r),
        (record.t_ns, y, holed),
        (record.t_ns, np.minimum(y, 0.3), r),
        (np.full(n, np.iinfo(np.int64).max), y, r),
        (np.full(n, np.iinfo(np.int64).min), y, r),
        (record.t_ns, y, r),
    ]
    k = len(cases)
    fleet = EstimatorFleet(ModelKind.FIRST_ORDER, [THERMOCOUPLE.dt_ns] * k, FAST)
    for begin in range(0, n, 50):
        part_of = [tuple(column[begin : begin + 50] for column in case) for case in cases]
        fleet.ingest(
            np.arange(k, dtype=np.int64), np.arange(k + 1, dtype=np.int64) * 50,
            *(np.concatenate([case[c] for case in part_of]) for c in range(3)),
        )  # fmt: skip
    first, last = fleet.estimate(0), fleet.estimate(k - 1)
    assert first is not None
    assert last is not None
    assert first.parameters is not None
    assert last.parameters is not None
    assert first.accepted
    assert np.array_equal(first.parameters.values, last.parameters.values)
    for i, says in {1: "finite", 2: "without a reference", 3: "constant", 12: "saturated"}.items():
        found = fleet.estimate(i)
        assert found is not None
        assert found.verdict is Verdict.BAD_DATA, (i, found.detail)
        assert says in found.detail
    for i in (4, 5, 6, 7):
        found = fleet.estimate(i)
        assert found is not None
        assert not found.accepted, i
    found = fleet.estimate(10)
    assert found is not None
    assert found.parameters is not None
    assert found.accepted
    assert np.all(np.abs(found.parameters.values - np.array(THERMOCOUPLE.theta)) < 5 * found.parameters.u)
    assert EstimatorFleet.restore(fleet.snapshot()).snapshot() == fleet.snapshot()


def test_a_chunk_of_nothing_and_chunks_of_one_sample_do_no_harm() -> None:
    record = THERMOCOUPLE.record(400, 3)
    whole, single = (EstimatorFleet(ModelKind.FIRST_ORDER, [THERMOCOUPLE.dt_ns], FAST) for _ in range(2))
    ingest(whole, record.t_ns, record.indication, record.reference)
    for k in range(len(record)):
        at = slice(k, k + 1)
        ingest(single, record.t_ns[at], record.indication[at], record.reference[at])
        ingest(single, record.t_ns[:0], record.indication[:0], record.reference[:0])
    assert whole.snapshot() == single.snapshot()

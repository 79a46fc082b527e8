"""What is said, and kept, of each parameter by itself where the data determine only some of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dyncal.domain.calibration import Verdict
from dyncal.identification import AlignedRecord, Estimate, OnlineEstimator, OnlineSettings
from dyncal.identification.settings import Likelihood
from dyncal.models import model_of
from tests.unit.identification.plant import PRESSURE, THERMOCOUPLE, Plant

FAST = OnlineSettings(likelihood=Likelihood.INNOVATIONS)
GOOD = replace(PRESSURE, rate_hz=500.0, u_reference_noise=0.0003)
TIDAL = replace(GOOD, band_hz=0.2)  # far below the resonance: of the response, the gain and 2δ/ω0 show


def later(record: AlignedRecord, after: AlignedRecord, gap_ns: int = 10**9) -> AlignedRecord:
    shift = after.t_ns[-1] + gap_ns - record.t_ns[0]
    return AlignedRecord(record.t_ns + shift, record.indication, record.reference)


def now(estimator: OnlineEstimator) -> Estimate:
    found = estimator.estimate
    assert found is not None
    return found


def values_and_u(found: Estimate) -> tuple[np.ndarray, np.ndarray]:
    assert found.parameters is not None
    return found.parameters.values, found.parameters.u


def test_what_a_slow_plant_does_not_determine_is_named_until_it_is_excited() -> None:
    slow = TIDAL.record(3000, seed=1)
    estimator = OnlineEstimator(GOOD.kind, GOOD.dt_ns, replace(FAST, max_relative_u=0.002))
    estimator.update(slow)
    found = now(estimator)
    assert found.verdict is Verdict.NOT_IDENTIFIABLE
    assert found.unobservable == ("damping", "f0_hz")
    assert found.detail.startswith("the data do not determine damping, f0_hz")
    values, u = values_and_u(found)
    assert u[0] < 0.001
    assert abs(values[0] - 1) < 4 * u[0]
    estimator.update(later(GOOD.record(3000, seed=2), slow), new_segment=True)
    found = now(estimator)
    assert found.accepted, found.detail
    assert found.unobservable == ()
    values, u = values_and_u(found)
    assert np.all(np.abs(values - np.array(GOOD.theta)) < 4 * u)


def test_what_the_data_say_nothing_of_keeps_its_value_and_u_while_the_others_go_on() -> None:
    fast, slow = GOOD.record(1500, seed=3), TIDAL.record(24_000, seed=4)
    estimator = OnlineEstimator(GOOD.kind, GOOD.dt_ns, FAST)
    estimator.update(fast)
    before, u_before = values_and_u(now(estimator))
    blocks = estimator.update(later(slow, fast), new_segment=True)
    after, u_after = values_and_u(now(estimator))
    assert sum(block.excited for block in blocks) > FAST.memory_blocks  # time enough to forget everything
    assert u_after[0] < 0.4 * u_before[0]
    assert np.all(u_after[1:] <= u_before[1:])
    assert np.all(np.abs(after[1:] - before[1:]) < u_before[1:])
    assert now(estimator).accepted


def at_rest(n: int, plant: Plant, noise: float = 0.003) -> AlignedRecord:
    rng = np.random.default_rng(8)
    level = 3 + 0.02 * np.sin(np.arange(n) * 2 * np.pi / 4000)
    return AlignedRecord(np.arange(n) * plant.dt_ns, *(level + u * rng.normal(size=n) for u in (noise, 0.0003)))


def test_a_plant_at_rest_moves_nothing_at_all() -> None:
    fast, rest = GOOD.record(1500, seed=5), at_rest(2000, GOOD)
    estimator = OnlineEstimator(GOOD.kind, GOOD.dt_ns, FAST)
    estimator.update(fast)
    estimator.update(
        later(AlignedRecord(rest.t_ns[:9], rest.indication[:9], rest.reference[:9]), fast), new_segment=True
    )
    before, u_before = values_and_u(now(estimator))
    blocks = estimator.update(later(rest, fast), new_segment=True)
    after, u_after = values_and_u(now(estimator))
    assert not any(block.excited or block.rejected for block in blocks)
    assert np.array_equal(after, before)
    assert np.array_equal(u_after, u_before)


@pytest.mark.parametrize("plant", [THERMOCOUPLE, GOOD])
def test_a_record_that_is_not_enough_to_begin_says_so_parameter_by_parameter(plant: Plant) -> None:
    rest = at_rest(4000, plant)
    estimator = OnlineEstimator(plant.kind, plant.dt_ns, FAST)
    estimator.update(rest)
    found = now(estimator)
    assert found.verdict is Verdict.NOT_EXCITED
    assert "it determines gain to 0.00" in found.detail
    for name in model_of(plant.kind).names:
        assert f"{name} " in found.detail
    estimator.update(later(replace(plant, u_reference_noise=0.0003).record(2000, seed=6), rest), new_segment=True)
    assert now(estimator).accepted


def shocks(plant: Plant, n: int) -> AlignedRecord:
    """Half sines between which the reference repeats itself exactly, as that of a shock calibrator does."""
    t_ns = np.arange(n, dtype=np.int64) * plant.dt_ns
    r = np.zeros(n)
    for begin in range(100, n, 250):
        r[begin : begin + 20] = np.sin(np.pi * np.arange(20) / 20)
    y = model_of(plant.kind).simulate(np.array(plant.theta), t_ns, r)
    return AlignedRecord(t_ns, y + 0.003 * np.random.default_rng(1).normal(size=n), r)


def test_shocks_that_are_sampled_too_seldom_say_what_to_state() -> None:
    plant = replace(PRESSURE, rate_hz=2 * np.pi * PRESSURE.theta[2] / 0.2)
    record = shocks(plant, 3000)
    asking, told = OnlineEstimator(plant.kind, plant.dt_ns), OnlineEstimator(plant.kind, plant.dt_ns, FAST)
    asking.update(record)
    assert now(asking).verdict is Verdict.NOT_EXCITED
    assert "at intervals of 20 % of the sensor's shortest time" in now(asking).detail
    assert "state Likelihood.INNOVATIONS" in now(asking).detail
    told.update(record)
    assert now(told).accepted


@pytest.mark.parametrize("likelihood", [Likelihood.AUTO, Likelihood.KALMAN])
def test_a_record_that_is_too_short_for_the_full_likelihood_says_by_how_much(likelihood: Likelihood) -> None:
    record = THERMOCOUPLE.record(120, seed=7)
    estimator = OnlineEstimator(THERMOCOUPLE.kind, THERMOCOUPLE.dt_ns, OnlineSettings(likelihood=likelihood))
    estimator.update(record)
    assert now(estimator).verdict is Verdict.NOT_EXCITED
    assert "of 144 samples" in now(estimator).detail


@pytest.mark.parametrize("n", [200, 400, 900])
def test_a_measurand_that_hardly_moves_is_not_taken_for_a_swapped_pair(n: int) -> None:
    plant = replace(THERMOCOUPLE, band_hz=0.002, u_reference_noise=0.0003, mean=3.0)
    for record in (plant.record(n, seed=6), at_rest(n, plant, noise=0.01)):
        estimator = OnlineEstimator(plant.kind, plant.dt_ns, FAST)
        estimator.update(record)
        found = estimator.estimate
        assert found is None or found.verdict in (Verdict.ACCEPTED, Verdict.NOT_EXCITED), found.detail

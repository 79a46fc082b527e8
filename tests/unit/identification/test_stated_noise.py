from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dyncal.domain.calibration import Verdict
from dyncal.identification import OnlineEstimator, OnlineSettings
from dyncal.identification.stated_noise import contradiction
from tests.unit.identification.plant import ACCELEROMETER, PRESSURE, THERMOCOUPLE, THERMOWELL, Plant

PLANTS = [THERMOCOUPLE, THERMOWELL, PRESSURE, ACCELEROMETER]


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.kind + f"-{plant.rate_hz:g}")
@pytest.mark.parametrize("noise", [0.0003, 0.01, 0.3])
def test_a_noise_that_is_stated_as_it_is_or_half_of_it_or_twice_is_not_contradicted(plant: Plant, noise: float) -> None:
    reference = replace(plant, u_reference_noise=noise).record(1000, seed=2).reference
    for factor in (0.1, 0.5, 1.0, 2.0):
        assert contradiction(reference, factor * noise) == ""


def test_chance_does_not_contradict_what_is_stated_rightly() -> None:
    rng = np.random.default_rng(0)
    assert not any(contradiction(rng.normal(size=n), 1.0) for n in (32, 40, 100) for _ in range(500))


@pytest.mark.parametrize("factor", [10.0, 1000.0])
def test_a_noise_that_is_stated_far_too_large_is_named_with_what_it_can_be_at_most(factor: float) -> None:
    rng = np.random.default_rng(1)
    reference = np.cumsum(0.01 * rng.normal(size=200)) + 0.05 * rng.normal(size=200)
    reference[[20, 50]] = np.nan
    text = contradiction(reference, 0.05 * factor)
    assert f"stated as {0.05 * factor:.3g}" in text
    assert 0.04 < float(text.rpartition("noise of ")[2].split()[0]) < 0.06


def test_a_step_of_a_coarse_converter_may_hide_the_noise() -> None:
    rng = np.random.default_rng(1)
    coarse = np.round(3 * np.sin(np.arange(300) / 9) + 0.05 * rng.normal(size=300), 0)
    fine = np.round(3 * np.sin(np.arange(300) / 9) + 0.05 * rng.normal(size=300), 1)
    assert contradiction(coarse, 5.0) == ""  # it mostly repeats itself: nothing is said
    assert contradiction(fine, 0.2) == ""
    assert "stated" in contradiction(fine, 2.0)


@pytest.mark.parametrize("u_noise", [0.0, 1e9])
def test_nothing_is_said_of_few_samples_or_of_nothing_stated(u_noise: float) -> None:
    assert contradiction(np.arange(31.0), u_noise) == ""
    assert contradiction(np.full(100, np.nan), u_noise) == ""
    assert contradiction(np.ones(100), u_noise) == ""
    assert contradiction(np.random.default_rng(0).normal(size=100), 0.0) == ""


def test_the_online_estimator_refuses_what_the_reference_contradicts_and_says_so() -> None:
    record = THERMOCOUPLE.record(2000, seed=1)
    wrong, right = (
        OnlineEstimator(THERMOCOUPLE.kind, THERMOCOUPLE.dt_ns, OnlineSettings(u_reference_noise=noise))
        for noise in (10.0, 0.01)
    )
    for estimator in (wrong, right):
        estimator.update(record)
    assert wrong.estimate is not None
    assert wrong.estimate.verdict is Verdict.INCONSISTENT
    assert "noise is stated as 10" in wrong.estimate.detail
    assert right.estimate is not None
    assert right.estimate.accepted

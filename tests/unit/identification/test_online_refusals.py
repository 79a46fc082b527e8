"""Offsets of zero and clock, and values that were not measured: the online estimator says what a record fit says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dyncal.domain.calibration import Verdict
from dyncal.domain.samples import FloatArray
from dyncal.identification import AlignedRecord, OnlineEstimator, OnlineSettings
from dyncal.identification.online.renewal import JUMP, QUIET
from dyncal.identification.online.shifts import allowed_for, shifts, u_bend, u_course, unstated, weigh_shifts
from dyncal.identification.records import BlockOutcome, Estimate
from dyncal.identification.settings import Likelihood
from tests.unit.identification.plant import PRESSURE, THERMOCOUPLE, THERMOWELL, Plant, changed, part

WARM = replace(THERMOCOUPLE, mean=3.0)
N = 2000
BOTH = [Likelihood.INNOVATIONS, Likelihood.KALMAN]


def followed(
    plant: Plant, record: AlignedRecord, settings: OnlineSettings, begin: int = 0
) -> tuple[Estimate, list[BlockOutcome]]:
    """Return the last estimate, and the blocks that end after sample `begin`."""
    estimator = OnlineEstimator(plant.kind, plant.dt_ns, settings)
    outcomes: list[BlockOutcome] = []
    for at in range(0, len(record), 200):
        outcomes += estimator.update(part(record, at, at + 200))
    assert estimator.estimate is not None
    return estimator.estimate, [each for each in outcomes if each.to_ns > record.t_ns[begin]]


def late(record: AlignedRecord, samples: int, begin: int = 0) -> AlignedRecord:
    """Return a record whose indication comes later by some samples, from sample `begin` on."""
    y = record.indication.copy()
    y[begin + samples :] = record.indication[begin:-samples]
    return part(changed(record, y=y), samples, len(record))


def held(values: FloatArray, times: int, begin: int = 0) -> FloatArray:
    """Return a channel that gives each value several times, from sample `begin` on."""
    slow = np.repeat(values[begin::times], times)[: values.size - begin]
    return np.concatenate([values[:begin], slow])


@pytest.mark.parametrize("likelihood", BOTH)
@pytest.mark.parametrize("plant", [WARM, replace(PRESSURE, mean=3.0)])
def test_a_zero_offset_that_nothing_allows_for_is_named_with_its_size(plant: Plant, likelihood: Likelihood) -> None:
    record = plant.record(N, seed=1)
    record = changed(record, y=record.indication + 0.1)
    found, blocks = followed(plant, record, OnlineSettings(likelihood=likelihood), begin=1000)
    assert found.verdict is Verdict.INCONSISTENT
    assert "the reference reads too low by" in found.detail
    assert float(found.detail.split("too low by ")[1].split()[0]) == pytest.approx(0.1, rel=1.0)
    assert blocks
    assert not any(block.excited for block in blocks)


@pytest.mark.parametrize("likelihood", BOTH)
def test_what_is_stated_of_the_reference_is_no_reason_to_refuse(likelihood: Likelihood) -> None:
    record = WARM.record(N, seed=1)
    for settings, given in (
        (OnlineSettings(likelihood=likelihood, u_reference=0.05), changed(record, y=record.indication + 0.1)),
        (OnlineSettings(likelihood=likelihood, u_clock_s=0.05), late(record, 2)),
        (OnlineSettings(likelihood=likelihood), record),
    ):
        found, blocks = followed(WARM, given, settings)
        assert found.accepted, found.detail
        assert any(block.excited for block in blocks)


@pytest.mark.parametrize("likelihood", BOTH)
@pytest.mark.parametrize("samples", [1, 2, 3])
def test_a_channel_that_is_late_is_named_with_its_size(samples: int, likelihood: Likelihood) -> None:
    record = late(THERMOCOUPLE.record(N, seed=2), samples)
    found, _ = followed(THERMOCOUPLE, record, OnlineSettings(likelihood=likelihood))
    assert found.verdict is Verdict.INCONSISTENT
    assert "the sensor seems" in found.detail
    assert float(found.detail.split("seems ")[1].split()[0]) == pytest.approx(0.05 * samples, rel=1.0)


@pytest.mark.parametrize("likelihood", BOTH)
@pytest.mark.parametrize("which", ["reference", "indication"])
@pytest.mark.parametrize("times", [2, 5, 20])
def test_a_channel_that_repeats_each_value_is_no_first_record(times: int, which: str, likelihood: Likelihood) -> None:
    record = THERMOCOUPLE.record(N // 2, seed=3)
    y, r = record.indication, record.reference
    record = changed(record, r=held(r, times)) if which == "reference" else changed(record, y=held(y, times))
    found, blocks = followed(THERMOCOUPLE, record, OnlineSettings(likelihood=likelihood))
    assert not found.accepted
    assert found.parameters is None
    assert not blocks
    if found.verdict is not Verdict.NOT_EXCITED:  # what is held so long shows little of the dynamics
        assert found.verdict is Verdict.BAD_DATA
        assert f"the {which} repeats each value some {times} times" in found.detail


@pytest.mark.parametrize("likelihood", BOTH)
@pytest.mark.parametrize("fault", ["offset", "late", "held"])
def test_an_offset_that_appears_while_a_sensor_is_followed_is_no_drift_of_it(
    fault: str, likelihood: Likelihood
) -> None:
    record = WARM.record(2 * N, seed=4)
    if fault == "late":
        given = late(record, 4, begin=N)
    elif fault == "held":
        given = changed(record, r=held(record.reference, 5, begin=N))
    else:
        given = changed(record, y=record.indication + np.where(np.arange(2 * N) < N, 0.0, 0.2))
    before, _ = followed(WARM, part(given, 0, N), OnlineSettings(likelihood=likelihood))
    assert before.accepted
    found, blocks = followed(WARM, given, OnlineSettings(likelihood=likelihood), begin=N + 1000)
    assert found.verdict is (Verdict.BAD_DATA if fault == "held" else Verdict.INCONSISTENT), found.detail
    assert not any(block.excited and not block.rejected for block in blocks)


@pytest.mark.parametrize("likelihood", BOTH)
def test_a_doubt_ends_where_the_offset_does_and_is_kept_in_a_snapshot(likelihood: Likelihood) -> None:
    record = WARM.record(3 * N, seed=5)
    offset = np.where(np.arange(3 * N) < N, 0.3, 0.0)
    record = changed(record, y=record.indication + offset)
    estimator = OnlineEstimator(WARM.kind, WARM.dt_ns, OnlineSettings(likelihood=likelihood))
    estimator.update(part(record, 0, N))
    assert estimator.estimate is not None
    assert estimator.estimate.verdict is Verdict.INCONSISTENT
    again = OnlineEstimator.restore(estimator.snapshot())
    assert again.estimate is not None
    assert again.estimate.detail == estimator.estimate.detail
    again.update(part(record, N, 3 * N))
    assert again.estimate.accepted, again.estimate.detail
    estimator.update(part(record, N, 3 * N))
    assert again.snapshot() == estimator.snapshot()


@pytest.mark.parametrize(("likelihood", "seed"), [(Likelihood.INNOVATIONS, 0), (Likelihood.AUTO, 12)])
def test_an_offset_that_comes_while_a_sensor_is_followed_stays_refused(likelihood: Likelihood, seed: int) -> None:
    # a gain 6 % larger explains its mean, and the noise that the form takes for the measurand's most of the rest
    plant = replace(THERMOCOUPLE, mean=8.0)
    record = plant.record(2200, seed)
    record = changed(record, y=record.indication + np.where(np.arange(2200) < 1000, 0.0, 0.5))
    estimator = OnlineEstimator(plant.kind, plant.dt_ns, OnlineSettings(likelihood=likelihood))
    verdicts = []
    for at in range(0, 2200, 200):
        estimator.update(part(record, at, at + 200))
        assert estimator.estimate is not None
        verdicts.append(estimator.estimate.verdict)
    assert verdicts[4] is Verdict.ACCEPTED
    assert Verdict.ACCEPTED not in verdicts[-3:]


@pytest.mark.parametrize(
    ("likelihood", "seed"),
    [(Likelihood.AUTO, 9), (Likelihood.AUTO, 19), (Likelihood.INNOVATIONS, 21), (Likelihood.INNOVATIONS, 25)],
)
def test_an_offset_that_comes_is_not_even_for_a_while_a_gain(likelihood: Likelihood, seed: int) -> None:
    plant = replace(THERMOCOUPLE, mean=8.0)
    record = plant.record(2200, seed)
    record = changed(record, y=record.indication + np.where(np.arange(2200) < 1000, 0.0, 0.5))
    estimator = OnlineEstimator(plant.kind, plant.dt_ns, OnlineSettings(likelihood=likelihood))
    estimator.update(part(record, 0, 1000))
    assert estimator.estimate is not None
    assert estimator.estimate.accepted
    for at in range(1000, 2200, 50):
        estimator.update(part(record, at, at + 50))
        assert at < 1100 or not estimator.estimate.accepted, (at, estimator.estimate)


@pytest.mark.parametrize("likelihood", BOTH)
@pytest.mark.parametrize("which", ["reference", "indication"])
def test_a_stretch_that_stands_still_moves_no_parameter(which: str, likelihood: Likelihood) -> None:
    record = THERMOCOUPLE.record(N, seed=6)
    settings = OnlineSettings(likelihood=likelihood)
    sound, _ = followed(THERMOCOUPLE, record, settings)
    for length in (20, 60):
        frozen = (record.reference if which == "reference" else record.indication).copy()
        frozen[1200 : 1200 + length] = frozen[1200]
        given = changed(record, r=frozen) if which == "reference" else changed(record, y=frozen)
        found, blocks = followed(THERMOCOUPLE, given, settings)
        assert found.accepted, found.detail
        assert found.parameters is not None
        assert sound.parameters is not None
        assert np.all(np.abs(found.parameters.values - sound.parameters.values) < 2 * sound.parameters.u)
        assert any(block.rejected for block in blocks) or not any(block.reset for block in blocks)


def test_evidence_of_shifts_is_that_of_all_blocks_solved_at_once() -> None:
    rng = np.random.default_rng(7)
    m, n_blocks, variance = 3, 6, 0.7
    truth = np.array([0.4, -0.2])
    blocks = []
    for _ in range(n_blocks):
        design = rng.normal(size=(30, m + 2))
        blocks.append((design, design[:, m:] @ truth + np.sqrt(variance) * rng.normal(size=30)))
    information, considered, h = 1e-6 * np.eye(m)[None], np.zeros((1, m, 2)), np.zeros(m)
    weight, score, motion = np.zeros((1, 2, 2)), np.zeros((1, 2)), np.zeros((1, 3))
    told = np.zeros(1, dtype=np.int64)
    for design, y in blocks:
        psi, psi_u = design[:, :m], design[:, m:]
        a, cross, own = psi.T @ psi, psi.T @ psi_u, psi_u.T @ psi_u
        after = information[0] + a / variance
        step = np.linalg.solve(after, psi.T @ (y - psi @ h) / variance)
        h = h + step
        e = y - psi @ h
        before = considered.copy()
        considered = np.linalg.solve(after, information[0] @ before[0] - cross / variance)[None]
        information = after[None]
        weigh_shifts(
            m, a[None], (psi.T @ e)[None], cross[None], own[None], (psi_u.T @ e)[None], np.array([variance]),
            np.array([variance]), np.ones(1), np.zeros(1), np.array([QUIET]), information, before, considered,
            np.ones((1, 3)), weight, score, motion, told, np.empty((1, 2)),
        )  # fmt: skip
    whole, y = np.concatenate([design for design, _ in blocks]), np.concatenate([y for _, y in blocks])
    normal = whole.T @ whole / variance + np.diag([1e-6] * m + [0.0] * 2)
    solved = np.linalg.solve(normal, whole.T @ y / variance)
    assert_allclose(weight[0], np.linalg.inv(np.linalg.inv(normal)[m:, m:]), rtol=1e-8)
    assert_allclose(np.linalg.solve(weight[0], score[0]), solved[m:], rtol=1e-7)
    assert_allclose(motion[0], n_blocks)
    assert_allclose(h + considered[0] @ solved[m:], solved[:m], rtol=1e-6)
    assert told[0] == 1


def test_nothing_is_remembered_from_before_a_jump() -> None:
    one, two = np.ones((1, 1, 1)), np.ones((1, 1, 2))
    weight, score, motion = 1e6 * np.eye(2)[None], np.array([[1e6, 1e6]]), np.full((1, 3), 1e6)
    weigh_shifts(
        1, one, np.zeros((1, 1)), 0 * two, np.eye(2)[None], np.array([[0.5, 0.25]]), np.ones(1), np.ones(1),
        np.ones(1), np.zeros(1), np.array([JUMP]), one, 0 * two, 0 * two,
        np.ones((1, 3)), weight, score, motion, np.zeros(1, dtype=np.int64), np.empty((1, 2)),
    )  # fmt: skip
    # and little of the block itself, in which the change falls
    assert_allclose(weight[0], 0.25 * np.eye(2))
    assert_allclose(score[0], 0.25 * np.array([0.5, 0.25]))
    assert_allclose(motion[0], 1.0)


def test_a_certain_shift_is_taken_from_what_contradicts_the_past() -> None:
    rng = np.random.default_rng(8)
    design = rng.normal(size=(40, 4))
    psi, psi_u = design[:, :2], design[:, 2:]
    value, considered = np.array([0.3, -0.1]), rng.normal(size=(2, 2))
    e = (psi_u + psi @ considered) @ value  # nothing else is wrong
    a, b, cross = psi.T @ psi, psi.T @ e, psi.T @ psi_u
    for scale, left in ((1e8, 0.0), (1.0, 1.0)):
        weight = scale * np.array([[2.0, 0.5], [0.5, 1.0]])
        there = b[None].copy()
        allowed_for(a[None], there, cross[None], considered[None], weight[None], (weight @ value)[None])
        assert_allclose(there[0], left * b, atol=1e-9 * np.abs(b).max())


def test_shifts_alone_and_together() -> None:
    weight, considered, cov = np.array([[100.0, 90.0], [90.0, 100.0]]), np.array([[1.0, 0.0], [0.0, 2.0]]), np.eye(2)
    alone, together = shifts(weight, weight @ np.array([3.0, 0.0]), considered, cov, 0.0, 1.0)
    assert [each.value for each in alone] == pytest.approx([3.0, 2.7])
    assert [each.value for each in together] == pytest.approx([3.0, 0.0], abs=1e-12)
    assert [each.clock for each in together] == [False, True]
    assert together[0].moved == pytest.approx(3.0)
    said = unstated(alone, together, 0.0, 0.0)
    assert said is not None
    assert not said.clock
    assert unstated(alone, together, 1.0, 1.0) is None


def moves(r: FloatArray) -> FloatArray:
    """Return Σ|Δr|, Σ(Δr)², Σ(Δ²r)²."""
    steps = np.diff(r)
    return np.array([np.abs(steps).sum(), (steps**2).sum(), (np.diff(steps) ** 2).sum()])


def test_when_a_step_took_place_is_known_to_an_interval() -> None:
    steps = moves(np.repeat(np.array([0.0, 1.0, 0.0, 1.0, 0.0]), 50))
    assert u_course(steps, 0.1) == pytest.approx(0.1 / np.sqrt(12 * 4))
    assert u_course(moves(np.sin(np.arange(200) / 50)), 0.1) < 1e-4
    assert u_course(np.zeros(3), 0.1) == 0.0


def test_a_bend_between_samples_can_pass_for_a_shift() -> None:
    # Ts²/12 r'' against Δ r', for a sine of 0.02 rad a sample
    assert u_bend(moves(np.sin(np.arange(31_416) / 50)), 0.1) == pytest.approx(0.1 / 12 * 0.02, rel=1e-3)
    assert u_bend(moves(np.repeat(np.array([0.0, 1.0, 0.0, 1.0, 0.0]), 50)), 0.1) == 0.0
    assert u_bend(np.zeros(3), 0.1) == 0.0


@pytest.mark.parametrize("seed", [2, 11, 12])
def test_what_is_between_samples_is_not_taken_for_clocks_that_are_apart(seed: int) -> None:
    plant = replace(THERMOWELL, snr_db=40.0, u_reference_noise=0.0003, mean=3.0)
    settings = OnlineSettings(likelihood=Likelihood.INNOVATIONS, u_reference_noise=0.0003)
    found, _ = followed(plant, plant.record(N, seed), settings)
    assert found.verdict is Verdict.ACCEPTED

"""Record fits over windows, one after another."""

from __future__ import annotations

import dataclasses
import itertools
from functools import lru_cache

import numpy as np
import pytest

from dyncal.domain.calibration import Verdict
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.records import AlignedRecord, BlockOutcome
from dyncal.identification.settings import OnlineSettings
from dyncal.models import paired_model
from services.calibrate.windowed import FEWEST, MOST, WindowedEstimator

from .plant import Plant

TRUTH = np.array([1.0, 0.4, 0.23])
QUIET = OnlineSettings()


@lru_cache(maxsize=4)
def plant(tau_later: float = 0.4, seed: int = 3) -> Plant:
    theta: list[tuple[float, tuple[float, ...]]] = [(0.0, (1.0, 0.4, 0.23)), (60.0, (1.0, tau_later, 0.23))]
    return Plant(ModelKind.FIRST_ORDER, theta, 0.05, 1.5, 120.0, seed=seed, dead_time=True)


def record_of(p: Plant, *, still: bool = False) -> AlignedRecord:
    if not still:
        return AlignedRecord(p.t_ns, p.raw, p.reference)
    rng = np.random.default_rng(0)
    return AlignedRecord(p.t_ns, 0.01 * rng.standard_normal(p.t_ns.size), 0.002 * rng.standard_normal(p.t_ns.size))


def estimator(settings: OnlineSettings = QUIET) -> WindowedEstimator:
    return WindowedEstimator(paired_model(plant().pairing), plant().dt_ns, settings)


def flat(outcomes: list[BlockOutcome]) -> list[bytes]:
    return [
        o.theta.tobytes() + o.information.tobytes() + bytes(str((o.from_ns, o.to_ns, o.n)), "ascii") for o in outcomes
    ]


def parameters(found: WindowedEstimator) -> tuple[FloatArray, FloatArray]:
    estimate = found.estimate
    assert estimate is not None
    assert estimate.accepted
    assert estimate.parameters is not None
    return estimate.parameters.values, estimate.parameters.u


def test_windows_follow_one_another_and_their_estimates_grow_together() -> None:
    found = estimator()
    assert found.estimate is None
    first = found.update(record_of(plant()), new_segment=True)
    assert [o.n for o in first] == [FEWEST] * 6
    assert all(o.excited and not o.reset and not o.rejected for o in first)
    assert all(a.to_ns < b.from_ns for a, b in itertools.pairwise(first))
    values, u = parameters(found)
    assert np.all(np.abs(values - TRUTH) < 4 * u)
    alone = np.sqrt(np.diag(np.linalg.inv(first[-1].information)))
    assert np.all(u < 0.6 * alone)
    own = first[-1].theta + np.linalg.inv(first[-1].information) @ first[-1].score
    assert np.all(np.abs(own - TRUTH) < 4 * alone)


def test_the_result_does_not_depend_on_how_the_stream_is_cut() -> None:
    record, at_once, in_pieces = record_of(plant()), estimator(), estimator()
    expected = at_once.update(record, new_segment=True)
    outcomes: list[BlockOutcome] = []
    for a in range(0, len(record), 37):
        piece = AlignedRecord(*(getattr(record, f.name)[a : a + 37] for f in dataclasses.fields(record)))
        outcomes += in_pieces.update(piece, new_segment=a == 0)
        in_pieces = WindowedEstimator.restore(in_pieces.snapshot(), in_pieces.model, QUIET)
    assert flat(outcomes) == flat(expected)
    assert in_pieces.snapshot() == at_once.snapshot()


def test_a_sensor_that_changes_at_once_begins_anew() -> None:
    found = estimator()
    outcomes = found.update(record_of(plant(0.5)), new_segment=True)
    assert [o.reset for o in outcomes] == [False, False, False, True, False, False]
    values, u = parameters(found)
    assert abs(values[1] - 0.5) < 4 * u[1]


@pytest.mark.parametrize(
    ("settings", "name", "least"),
    [
        (OnlineSettings(u_reference_gain=0.01), 0, 0.01),
        (OnlineSettings(u_reference=0.05), 0, 0.0),
        (OnlineSettings(u_clock_s=0.01), 2, 0.01),
    ],
    ids=["gain", "offset", "clock"],
)
def test_what_the_reference_contributes_does_not_average_out(settings: OnlineSettings, name: int, least: float) -> None:
    plain, widened = estimator(), estimator(settings)
    for each in (plain, widened):
        each.update(record_of(plant()), new_segment=True)
    (_, u), (_, wide) = parameters(plain), parameters(widened)
    assert wide[name] > u[name]
    assert wide[name] >= 0.999 * least


def test_a_clock_without_dead_time_moves_all_lags() -> None:
    third = Plant(ModelKind.RATIONAL, [(0, (1.0, 0.590986, 0.101722, 0.010132))], 0.05, 1.5, 30.0, n_poles=3)
    found = {}
    for u_clock_s in (0.0, 0.01):
        each = WindowedEstimator(paired_model(third.pairing), third.dt_ns, OnlineSettings(u_clock_s=u_clock_s))
        each.update(record_of(third), new_segment=True)
        found[u_clock_s] = parameters(each)[1]
    # a clock offset is taken for a change of the sum of the lags, a1, about one to one
    assert found[0.01][1] == pytest.approx(0.01, rel=0.5)
    assert found[0.01][1] > 2 * found[0.0][1]


def test_while_nothing_moves_nothing_is_learnt_and_memory_is_bounded() -> None:
    p = Plant(ModelKind.FIRST_ORDER, [(0, (1.0, 0.4, 0.23))], 0.05, 1.5, 400.0, dead_time=True)
    found = estimator()
    outcomes = found.update(record_of(p, still=True), new_segment=True)
    assert not any(o.excited for o in outcomes)
    estimate = found.estimate
    assert estimate is not None
    assert estimate.verdict is not Verdict.ACCEPTED
    assert estimate.detail
    assert len(found.snapshot()) < 24 * MOST + 2000


def test_what_contradicts_the_model_is_named_and_the_last_good_parameters_stay() -> None:
    found, p = estimator(), plant()
    found.update(record_of(p), new_segment=True)
    good, _ = parameters(found)
    later = Plant(ModelKind.FIRST_ORDER, [(0, (1.0, 0.4, 0.23))], 0.05, 1.5, 120.0, seed=9, dead_time=True)
    wrong = AlignedRecord(later.t_ns + 120_000_000_000, -later.raw, later.reference)
    outcomes = found.update(wrong)
    assert sum(o.rejected for o in outcomes) == 4  # ever more rarely
    estimate = found.estimate
    assert estimate is not None
    assert estimate.parameters is not None
    assert not estimate.accepted
    assert "last good" in estimate.detail
    np.testing.assert_array_equal(estimate.parameters.values, good)


@pytest.mark.parametrize("cut", [0, 1, 40, 400])
def test_a_damaged_snapshot_is_refused(cut: int) -> None:
    found = estimator()
    found.update(record_of(plant()), new_segment=True)
    data = found.snapshot()
    with pytest.raises(InvalidData):
        WindowedEstimator.restore(data[:cut], found.model, QUIET)
    with pytest.raises(InvalidData, match="of a model with"):
        WindowedEstimator.restore(data, paired_model(dataclasses.replace(plant().pairing, dead_time=False)), QUIET)


def test_a_reference_that_cannot_be_as_noisy_as_stated_is_named() -> None:
    found = estimator(OnlineSettings(u_reference_noise=2.0))  # a thousand times what it is
    found.update(record_of(plant()))
    estimate = found.estimate
    assert estimate is not None
    assert estimate.verdict is Verdict.INCONSISTENT
    assert "noise is stated as 2" in estimate.detail


def test_a_clock_that_is_set_back_is_not_waited_for() -> None:
    found, record = estimator(), record_of(plant())
    half = record.t_ns.size // 2
    first = AlignedRecord(record.t_ns[:half], record.indication[:half], record.reference[:half])
    back_ns = 86_400_000_000_000
    later = AlignedRecord(record.t_ns[half:] - back_ns, record.indication[half:], record.reference[half:])
    before = found.update(first)
    after = found.update(later)
    assert [o.excited for o in before[:1] + after[:1]] == [True, True]
    assert after[0].from_ns >= later.t_ns[0]
    assert after[0].to_ns <= later.t_ns[0] + 40_000_000_000


def test_samples_that_make_no_record_cost_their_window_only(monkeypatch: pytest.MonkeyPatch) -> None:
    found, record = estimator(), record_of(plant())

    def broken() -> list[AlignedRecord]:
        raise InvalidData("instants must increase")

    monkeypatch.setattr(found._gathered, "records", broken)
    rejected = found.update(AlignedRecord(record.t_ns[:600], record.indication[:600], record.reference[:600]))
    assert [o.rejected for o in rejected] == [True]
    assert found.estimate is not None
    assert found.estimate.detail == "instants must increase"
    monkeypatch.undo()
    found.update(AlignedRecord(record.t_ns[600:], record.indication[600:], record.reference[600:]))
    parameters(found)

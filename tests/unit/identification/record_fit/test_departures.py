"""A sensor that changes in the middle of its record, or has play, never gives parameters silently."""

from __future__ import annotations

import re

import numpy as np
import pytest

from dyncal.domain.calibration import Verdict
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord
from dyncal.identification.record_fit import Method, RecordSettings, fit_record
from dyncal.models import model_of
from tests.unit.identification.record_fit.records import THETA, instants, random_record

KINDS = (ModelKind.FIRST_ORDER, ModelKind.SECOND_ORDER)
DT_S = {ModelKind.FIRST_ORDER: 0.05, ModelKind.SECOND_ORDER: 0.005}
SMOOTH_HZ = {ModelKind.FIRST_ORDER: 0.4, ModelKind.SECOND_ORDER: 4.0}
N = 3000


def _smooth(
    kind: ModelKind,
    seed: int,
    *,
    play: float = 0.0,
    after: FloatArray | None = None,
    noise: float = 0.01,
    lag_s: float = 0.0,
    late_s: float = 0.0,
) -> AlignedRecord:
    """A smooth measurand by its exact response, play in units of its spread; θ is `after` from the middle on."""
    rng = np.random.default_rng(seed)
    t_ns = instants(N, DT_S[kind])
    t = (t_ns - t_ns[0]) * 1e-9
    f_hz = SMOOTH_HZ[kind] * np.exp(rng.uniform(np.log(0.02), np.log(4.0), 200))
    weight = f_hz / (1 + (f_hz / SMOOTH_HZ[kind]) ** 6)
    turn = np.exp(2j * np.pi * (np.outer(t, f_hz) + rng.uniform(0, 1, 200))) * np.sqrt(2 * weight / weight.sum())
    model = model_of(kind)
    y: FloatArray = (turn @ model.frequency_response(THETA[kind], f_hz)).real
    if after is not None:
        y[N // 2 :] = (turn @ model.frequency_response(after, f_hz)).real[N // 2 :]
    lagging: FloatArray = (turn @ (np.exp(-2j * np.pi * f_hz * late_s) / (1 + 2j * np.pi * f_hz * lag_s))).real
    return AlignedRecord(t_ns, _with_play(y, play) + noise * rng.normal(size=N), lagging)


def _with_play(y: FloatArray, width: float) -> FloatArray:
    """What moves with an element within a play of this width (Prandtl's operator)."""
    moved = y.copy()
    for k in range(1, y.size):
        moved[k] = np.clip(moved[k - 1], y[k] - width / 2, y[k] + width / 2)
    return moved


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("play", [0.01, 0.1])
def test_play_is_named_from_the_size_of_the_noise_on(kind: ModelKind, play: float) -> None:
    fit = fit_record(_smooth(kind, 1, play=play), kind)
    assert fit.verdict is Verdict.INCONSISTENT
    assert "lower while they rise" in fit.detail
    # what a fit finds of it: parameters have taken over a part
    size = re.search(r"lie ([0-9.]+) \(u", fit.detail)
    assert size is not None
    assert 0.3 * play < float(size[1]) < 1.1 * play


def test_what_leads_has_no_play() -> None:
    record = _smooth(ModelKind.FIRST_ORDER, 3)
    lag = np.gradient(_smooth(ModelKind.FIRST_ORDER, 3, noise=0.0).indication)
    leads = AlignedRecord(record.t_ns, record.indication + 0.02 * np.sign(lag), record.reference)
    assert "lower while they rise" not in fit_record(leads, ModelKind.FIRST_ORDER).detail


@pytest.mark.parametrize(("kind", "factor"), [(ModelKind.FIRST_ORDER, 2.0), (ModelKind.SECOND_ORDER, 1.03)])
def test_a_change_in_the_middle_is_named(kind: ModelKind, factor: float) -> None:
    after = THETA[kind].copy()
    after[1] *= factor
    record = _smooth(kind, 1, after=after)
    fit = fit_record(record, kind)
    assert fit.verdict is Verdict.INCONSISTENT
    said = re.search(r"changes within the record: (\w+) is ([0-9.]+) before, ([0-9.]+) after (\d+) ns", fit.detail)
    assert said is not None, fit.detail
    assert said[1] == model_of(kind).names[1]
    assert abs(float(said[2]) / THETA[kind][1] - 1) < 0.02
    assert abs(float(said[3]) / after[1] - 1) < 0.04
    assert abs(int(said[4]) - record.t_ns[N // 2]) < 0.04 * (record.t_ns[-1] - record.t_ns[0])


def test_a_change_between_two_runs_is_named() -> None:
    kind = ModelKind.FIRST_ORDER
    other = np.array([1.0, 0.55])
    runs = [random_record(kind, 2000, 40, 1), random_record(kind, 2000, 40, 2, theta=other)]
    runs[1] = AlignedRecord(runs[1].t_ns + 10**12, runs[1].indication, runs[1].reference)
    fit = fit_record(runs, kind)
    assert fit.verdict is Verdict.INCONSISTENT
    assert "changes within the record: tau_s" in fit.detail
    again = AlignedRecord(runs[0].t_ns + 10**12, runs[0].indication, runs[0].reference + 1e-9)
    assert fit_record([runs[0], again], kind).accepted


def test_a_change_that_the_stated_u_allows_for_is_none() -> None:
    kind = ModelKind.FIRST_ORDER
    record = _smooth(kind, 1, after=np.array([1.005, 0.5]))
    assert "gain" in fit_record(record, kind).detail
    assert fit_record(record, kind, settings=RecordSettings(u_reference_gain=0.01)).accepted


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(2))
def test_a_sound_record_is_accepted(kind: ModelKind, seed: int) -> None:
    fit = fit_record(_smooth(kind, seed), kind)
    assert fit.accepted, fit.detail


@pytest.mark.parametrize("seed", [1, 6])
def test_a_noisy_reference_looks_like_no_change(seed: int) -> None:
    """Its noise colours residuals, and parts of such a record that are too short to show it are not believed."""
    record = _smooth(ModelKind.FIRST_ORDER, seed)
    rng = np.random.default_rng(seed)
    noisy = AlignedRecord(record.t_ns, record.indication, record.reference + 0.03 * rng.normal(size=N))
    fit = fit_record(noisy, ModelKind.FIRST_ORDER, settings=RecordSettings(u_reference_noise=0.03))
    assert fit.method is Method.KALMAN
    assert fit.accepted, fit.detail


def test_parts_too_short_for_what_clocks_may_be_apart_end_in_a_verdict() -> None:
    record = random_record(ModelKind.FIRST_ORDER, 200, 40, 1)
    assert not fit_record(record, ModelKind.FIRST_ORDER, settings=RecordSettings(u_clock_s=0.12)).accepted


@pytest.mark.parametrize(
    ("kind", "lag_s"),
    [(ModelKind.FIRST_ORDER, 0.05), (ModelKind.FIRST_ORDER, 0.2), (ModelKind.SECOND_ORDER, 0.01)],
)
def test_a_reference_that_lags_is_told_as_that(kind: ModelKind, lag_s: float) -> None:
    fit = fit_record(_smooth(kind, 1, lag_s=lag_s), kind)
    assert fit.verdict is Verdict.INCONSISTENT
    said = re.match(r"the reference lags the measurand, with a time constant of about ([0-9.]+) s", fit.detail)
    assert said is not None, fit.detail
    assert abs(float(said[1]) / lag_s - 1) < 0.05


@pytest.mark.parametrize("late_s", [0.01, 0.05])
def test_a_late_clock_is_no_lag_of_the_reference(late_s: float) -> None:
    fit = fit_record(_smooth(ModelKind.FIRST_ORDER, 1, late_s=late_s), ModelKind.FIRST_ORDER)
    assert fit.verdict is Verdict.INCONSISTENT
    assert "the reference lags" not in fit.detail

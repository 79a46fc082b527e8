"""Two sensors without a reference: right numbers, or a verdict that names the trouble."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from dyncal.domain.calibration import Verdict
from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind
from dyncal.identification.in_situ import CrossRelationSettings, PairRecord, fit_cross_relation
from tests.unit.identification.in_situ.pairs import pair

FIRST, SECOND = ModelKind.FIRST_ORDER, ModelKind.SECOND_ORDER
THETA = (1.0, 0.2), (1.05, 0.5)


@pytest.mark.parametrize(
    ("kinds", "theta"),
    [
        ((FIRST, FIRST), THETA),
        ((FIRST, FIRST), (THETA[1], THETA[0])),
        ((SECOND, SECOND), ((1.0, 0.3, 5.0), (0.9, 0.4, 8.0))),
        ((FIRST, SECOND), ((1.0, 0.1), (1.0, 0.3, 5.0))),
    ],
)
def test_both_sensors_are_found(
    kinds: tuple[ModelKind, ModelKind], theta: tuple[tuple[float, ...], tuple[float, ...]]
) -> None:
    stated = theta[0][0]
    fit = fit_cross_relation(pair(1, kinds, theta), *kinds, CrossRelationSettings(gain_first=stated))
    assert fit.accepted, fit.detail
    assert fit.first is not None
    assert fit.second is not None
    assert fit.cov is not None
    error = np.concatenate([fit.first.values, fit.second.values]) - np.concatenate(theta)
    u = np.sqrt(np.diag(fit.cov))
    assert error[0] == 0 == u[0]
    assert np.all(np.abs(error[1:]) < 4 * u[1:])
    assert np.all(u[1:] < 0.01 * np.concatenate(theta)[1:])


def test_the_noise_is_split_between_the_sensors() -> None:
    record = pair(2, (FIRST, FIRST), THETA, snr_db=20)
    noisier = replace(record, second=record.second + 0.2 * np.random.default_rng(3).normal(size=len(record)))
    fit = fit_cross_relation(noisier, FIRST, FIRST)
    true = [0.1 * record.first.std(), np.hypot(0.1 * record.second.std(), 0.2)]
    assert fit.noise_std == pytest.approx(true, rel=0.1)
    known = fit_cross_relation(noisier, FIRST, FIRST, CrossRelationSettings(noise_std=(true[0], true[1])))
    assert known.accepted
    assert known.reduced_chi2 == pytest.approx(1, abs=0.1)


def test_segments_add_up() -> None:
    record = pair(4, (FIRST, FIRST), THETA)
    halves = [
        PairRecord(record.t_ns[part], record.first[part], record.second[part])
        for part in (slice(0, 2500), slice(3000, 6000))
    ]
    whole, cut = fit_cross_relation(record, FIRST, FIRST), fit_cross_relation(halves, FIRST, FIRST)
    assert cut.accepted
    assert cut.n_samples == 5500
    assert whole.first is not None
    assert cut.first is not None
    assert cut.first.values[1] == pytest.approx(whole.first.values[1], rel=0.01)


def test_an_offset_between_the_sensors_does_not_matter() -> None:
    record = pair(5, (FIRST, FIRST), THETA)
    one, other = (
        fit_cross_relation(record, FIRST, FIRST),
        fit_cross_relation(replace(record, second=record.second + 7), FIRST, FIRST),
    )
    assert one.first is not None
    assert other.first is not None
    assert other.first.values == pytest.approx(one.first.values, rel=1e-9)


def test_a_stated_gain_and_clock_widen_the_covariance() -> None:
    record = pair(6, (FIRST, FIRST), THETA)
    plain = fit_cross_relation(record, FIRST, FIRST)
    wide = fit_cross_relation(record, FIRST, FIRST, CrossRelationSettings(u_gain_first=0.02, u_clock_s=1e-3))
    assert plain.cov is not None
    assert wide.cov is not None
    assert wide.second is not None
    assert np.sqrt(wide.cov[0, 0]) == pytest.approx(0.02)
    assert wide.second.u[0] == pytest.approx(0.02 * wide.second.values[0], rel=0.02)
    # a clock 1 ms off looks like a lag 1 ms longer, in one sensor or the other
    assert np.sqrt(wide.cov[3, 3]) > 3 * np.sqrt(plain.cov[3, 3])


def test_clock_uncertainty_is_what_a_small_offset_does() -> None:
    record = pair(7, (FIRST, FIRST), THETA, dt_s=0.005, n=8000)
    offset_s = 2e-4
    late = np.interp(record.t_ns - offset_s * 1e9, record.t_ns, record.second)
    plain = fit_cross_relation(record, FIRST, FIRST, CrossRelationSettings(u_clock_s=offset_s))
    alone = fit_cross_relation(record, FIRST, FIRST)
    moved = fit_cross_relation(replace(record, second=late), FIRST, FIRST)
    assert plain.cov is not None
    assert alone.cov is not None
    assert moved.first is not None
    assert moved.second is not None
    assert plain.first is not None
    assert plain.second is not None
    shift = np.array([moved.first.values[1] - plain.first.values[1], moved.second.values[1] - plain.second.values[1]])
    predicted = np.sqrt(np.diag(plain.cov - alone.cov))[[1, 3]]
    assert np.abs(shift) == pytest.approx(predicted, rel=0.15)


@pytest.mark.parametrize("snr_db", [20.0, 40.0, 60.0])
def test_sensors_that_respond_alike_tell_nothing(snr_db: float) -> None:
    fit = fit_cross_relation(pair(8, (FIRST, FIRST), ((1.0, 0.2), (1.1, 0.2)), snr_db=snr_db), FIRST, FIRST)
    assert fit.verdict is Verdict.NOT_IDENTIFIABLE
    assert "alike" in fit.detail
    assert fit.first is None is fit.second


def test_a_slow_measurand_tells_nothing() -> None:
    record = pair(9, (FIRST, FIRST), ((1.0, 0.02), (1.0, 0.03)), correlation_s=500.0, snr_db=30)
    fit = fit_cross_relation(record, FIRST, FIRST)
    assert fit.verdict is Verdict.NOT_IDENTIFIABLE


def test_a_lead_lag_sensor_is_refused_by_reason() -> None:
    fit = fit_cross_relation(pair(10, (FIRST, FIRST), THETA), FIRST, ModelKind.LEAD_LAG)
    assert fit.verdict is Verdict.NOT_IDENTIFIABLE
    assert "zero" in fit.detail


def test_two_measurands_are_found_out() -> None:
    ours, theirs = pair(11, (FIRST, FIRST), THETA), pair(12, (FIRST, FIRST), THETA)
    mixed = replace(ours, second=0.7 * ours.second + 0.3 * theirs.second)
    fit = fit_cross_relation(mixed, FIRST, FIRST)
    assert fit.verdict is not Verdict.ACCEPTED


def test_the_wrong_model_is_found_out() -> None:
    fit = fit_cross_relation(pair(13, (FIRST, SECOND), ((1.0, 0.1), (1.0, 0.3, 5.0)), snr_db=50), FIRST, FIRST)
    assert fit.verdict is not Verdict.ACCEPTED


def test_wrong_sign_and_wrong_unit_are_named() -> None:
    record = pair(14, (FIRST, FIRST), THETA)
    signed = fit_cross_relation(replace(record, second=-record.second), FIRST, FIRST)
    assert signed.verdict is Verdict.INCONSISTENT
    assert "sign" in signed.detail
    scaled = fit_cross_relation(replace(record, second=1000 * record.second), FIRST, FIRST)
    assert scaled.verdict is Verdict.INCONSISTENT
    assert "unit" in scaled.detail


def test_what_is_no_record_is_refused() -> None:
    record = pair(15, (FIRST, FIRST), THETA, n=400)
    holed = record.first.copy()
    holed[7] = np.nan
    jumped = record.t_ns.copy()
    jumped[200:] += 5_000_000
    cases: list[tuple[Callable[[], PairRecord], str]] = [
        (lambda: replace(record, first=holed), "not finite"),
        (lambda: replace(record, first=np.full(400, 2.0)), "constant"),
        (lambda: replace(record, second=np.minimum(record.second, record.second.mean())), "saturated"),
        (lambda: replace(record, t_ns=jumped), "evenly"),
        (lambda: replace(record, t_ns=record.t_ns[::-1].copy()), "increase"),
        (lambda: replace(record, t_ns=np.zeros(400, dtype=np.int64)), "increase"),
        (lambda: PairRecord(record.t_ns[:100], record.first[:100], record.second[:100]), "too short"),
        (lambda: PairRecord(record.t_ns, record.first[:-1], record.second), "one length"),
    ]
    for make, says in cases:
        with pytest.raises(InvalidData, match=says):
            fit_cross_relation(make(), FIRST, FIRST)
    with pytest.raises(InvalidData, match="no record"):
        fit_cross_relation([], FIRST, FIRST)
    with pytest.raises(InvalidData, match="rational"):
        fit_cross_relation(record, FIRST, ModelKind.RATIONAL)


@pytest.mark.parametrize(
    "bad",
    [
        {"gain_first": 0.0},
        {"u_gain_first": -1.0},
        {"noise_std": (0.0, 1.0)},
        {"u_clock_s": np.nan},
        {"max_relative_u": 0.0},
    ],
)
def test_settings_that_cannot_be_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(InvalidData):
        CrossRelationSettings(**bad)  # type: ignore[arg-type]

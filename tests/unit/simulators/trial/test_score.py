from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from dyncal.domain.samples import FloatArray
from dyncal.domain.time import DurationNs, InstantNs, Int64Array
from simulators.trial.score import Evidence, Stored, delivery, failures, score

T0 = 1_790_000_000_000_000_000
DT = 10_000_000
N = 4000
T: Int64Array = T0 + DT * np.arange(N, dtype=np.int64)
APPLIED = InstantNs(T0 + 1000 * DT)
DRIFT = InstantNs(T0 + 2000 * DT)
TRUTH: FloatArray = 10 * np.sin(np.arange(N) / 30)


def stored(raw: FloatArray, corrected: FloatArray | None = None, u: float = 0.1) -> Stored:
    if corrected is None:
        corrected = np.full(N, np.nan)
    return Stored(T, raw, corrected, np.where(np.isfinite(corrected), u, np.nan), T, raw)


def evidence(**changes: Any) -> Evidence:
    rng = np.random.default_rng(1)
    raw = TRUTH + rng.standard_normal(N)
    corrected = np.where(np.arange(N) >= 1000, TRUTH + 0.1 * rng.standard_normal(N), np.nan)
    good = Evidence(
        id="A",
        conclusion="healthy",
        min_gain=5.0,
        sensor=stored(raw, corrected),
        reference=stored(TRUTH),
        truth=TRUTH,
        applied_ns=APPLIED,
        n_applied=2,
        settle_ns=DurationNs(10 * DT),
        end_ns=InstantNs(int(T[-1])),
        drift_from_ns=None,
        drift_alarms_ns=(),
        last_sequence=(99, 98),
        committed=(99, 98),
    )
    return dataclasses.replace(good, **changes)


def with_corrected(corrected: FloatArray) -> Stored:
    return dataclasses.replace(evidence().sensor, corrected=corrected)


def test_a_good_sensor_passes_with_the_figures_it_has() -> None:
    result = score(evidence())
    assert result.failed == ()
    assert result.n_scored == 2990
    assert result.rms_raw == pytest.approx(1.0, rel=0.05)
    assert result.rms_corrected == pytest.approx(0.1, rel=0.05)
    assert result.gain == pytest.approx(10, rel=0.1)
    assert result.covered == 1.0
    assert result.within_2u == pytest.approx(0.954, abs=0.02)
    assert result.blocks == result.blocks_committed == (100, 99)


CORRECTED = evidence().sensor.corrected
MADE = evidence().sensor


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        pytest.param({"applied_ns": None}, {"set_applied", "gain", "corrected_covered"}, id="no report"),
        pytest.param({"min_gain": 20.0}, {"gain"}, id="too little gain"),
        pytest.param({"sensor": with_corrected(np.full(N, np.nan))}, {"gain", "corrected_covered"}, id="nothing"),
        pytest.param(
            {"sensor": with_corrected(np.where(np.arange(N) % 5 == 0, np.nan, CORRECTED))},
            {"corrected_covered"},
            id="holes in the correction",
        ),
        pytest.param({"sensor": with_corrected(CORRECTED + 1.0)}, {"gain"}, id="bias counts"),
        pytest.param({"drift_alarms_ns": (DRIFT,)}, {"no_false_drift_alarm"}, id="false alarm"),
        pytest.param({"conclusion": "drift", "drift_from_ns": DRIFT}, {"drift_alarm"}, id="missed drift"),
        pytest.param(
            {"conclusion": "drift", "drift_from_ns": DRIFT, "drift_alarms_ns": (InstantNs(DRIFT - 1),)},
            {"drift_alarm"},
            id="alarm before the drift",
        ),
        pytest.param({"committed": (98, 98)}, {"blocks_stored"}, id="sensor block not committed"),
        pytest.param({"committed": (99, 97)}, {"blocks_stored"}, id="reference block not committed"),
        pytest.param({"last_sequence": (99, -1), "committed": (99, -1)}, {"blocks_stored"}, id="no block"),
    ],
)
def test_each_check_fails_alone_and_by_name(changes: dict[str, Any], failed: set[str]) -> None:
    result = score(evidence(**changes))
    assert set(result.failed) == failed
    assert failures([score(evidence()), result]) == [f"A: {name}" for name in result.failed]


def test_drift_alarm_after_the_drift_passes_and_its_delay_is_told() -> None:
    late = InstantNs(DRIFT + 3_000_000_000)
    result = score(evidence(conclusion="drift", drift_from_ns=DRIFT, drift_alarms_ns=(late,)))
    assert result.failed == ()
    assert result.drift_delay_s == 3.0


def test_values_before_the_first_set_has_settled_do_not_count() -> None:
    spoilt = CORRECTED.copy()
    spoilt[:1010] = 1e6
    assert score(evidence(sensor=with_corrected(spoilt))).failed == ()
    spoilt[1010] = 1e6
    assert score(evidence(sensor=with_corrected(spoilt))).failed == ("gain",)


def test_delivery_counts_missing_wrong_and_foreign_samples() -> None:
    made_t, made = T[:100], TRUTH[:100]
    t_ns, raw = T[:110].copy(), TRUTH[:110].copy()
    keep = np.ones(110, dtype=np.bool_)
    keep[:7] = False  # before the edge subscribed
    keep[[20, 21, 30]] = False
    raw[50] += 1e-12
    raw[60] = np.nan  # a row of bad quality
    nothing = np.full(int(keep.sum()), np.nan)
    found = delivery("A", Stored(t_ns[keep], raw[keep], nothing, nothing, made_t, made))
    assert (found.n_before, found.n_made) == (7, 93)
    assert (found.n_missing, found.n_wrong, found.n_foreign) == (4, 1, 10)
    assert not found.complete


def test_delivery_of_nothing_is_not_complete() -> None:
    empty = np.empty(0)
    found = delivery("A", Stored(np.empty(0, np.int64), empty, empty, empty, T, TRUTH))
    assert (found.n_before, found.n_made, found.complete) == (N, 0, False)

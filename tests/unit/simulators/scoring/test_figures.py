"""Figures of answers whose quality is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simulators.scoring.figures import MemberScore, Share, score
from simulators.scoring.plots import figure
from simulators.scoring.records import Answer, Outcome, answer_of, failed, record_of
from simulators.scoring.tables import markdown
from tests.unit.simulators.scoring import made


def estimates(n: int, scale: float, stated: float, shift: float = 0.0) -> list[Answer]:
    rng = np.random.default_rng(1)
    u = {"gain": 0.01 * stated, "tau_s": 0.1 * stated}
    return [
        Answer(
            Outcome.ANSWERED,
            values={"gain": 1 + 0.01 * (scale * rng.normal() + shift), "tau_s": 2 + 0.1 * scale * rng.normal()},
            u=u,
            seconds=0.4,
        )
        for _ in range(n)
    ]


def test_errors_as_large_as_the_bound_are_efficient_and_covered() -> None:
    got = score("m", made.estimation(4000), estimates(4000, 1.0, 1.0))
    for parameter in got.parameters.values():
        assert parameter.efficiency == pytest.approx(1.0, abs=0.05)
        assert parameter.typical == pytest.approx(1.0, abs=0.06)
        assert parameter.coverage is not None
        assert parameter.coverage.low < 0.95 < parameter.coverage.high
        assert abs(parameter.bias) < 3 * parameter.u_bias
    assert got.seconds_per_sample == pytest.approx(0.4 / made.N)


def test_twice_the_error_a_bias_and_a_small_u_are_seen() -> None:
    got = score("m", made.estimation(1000), estimates(1000, 2.0, 1.0, shift=3.0))
    gain = got.parameters["gain"]
    assert got.parameters["tau_s"].efficiency == pytest.approx(2.0, abs=0.15)
    assert gain.bias == pytest.approx(0.03, abs=0.003)
    assert gain.efficiency == pytest.approx(math.hypot(2, 3), abs=0.3)
    assert gain.coverage is not None
    assert gain.coverage.high < 0.5


def test_refusals_and_failures_are_counted_and_told() -> None:
    answers = [*estimates(2, 1.0, 1.0), Answer(Outcome.REFUSED, "not excited"), failed("exit")]
    got = score("m", made.estimation(4), answers)
    assert (got.n, got.refused, got.failed) == (4, 1, 1)
    assert got.reasons == ("not excited", "exit")


def test_faulty_records_are_refused_right_or_wrong() -> None:
    answers = [*estimates(1, 0.1, 1.0), *estimates(1, 100.0, 1.0), Answer(Outcome.REFUSED, "frozen"), failed("x")]
    got = score("m", made.estimation(4, "fault-made"), answers)
    assert got.faults is not None
    assert (got.faults.refused, got.faults.right, got.faults.wrong) == (1, 1, 1)


def test_correction_gain_coverage_and_optimum() -> None:
    rng = np.random.default_rng(2)
    member = made.correction(rng.normal(size=made.N))
    x = member.trials[0].measurand
    value = x + 0.1 * rng.normal(size=made.N)
    value[:5] = np.nan
    got = score("m", member, [Answer(Outcome.ANSWERED, value=value, u_value=np.full(made.N, 0.1))] * 3).correction
    assert got is not None
    assert got.gain == pytest.approx(10, rel=0.15)
    assert got.over_optimum == pytest.approx(2.0, rel=0.1)
    assert got.given == 1.0
    assert got.coverage is not None
    assert got.coverage.n == 120
    assert got.coverage.value > 0.85


def test_alarms_before_a_change_are_false_and_after_it_count() -> None:
    member = made.drift([20, 20, 10, None])
    alarms = [np.array(at, np.int64) * 10**9 for at in ([5, 25], [30], [], [7, 9])]
    got = score("m", member, [Answer(Outcome.ANSWERED, alarms_t_ns=at) for at in alarms]).drift
    assert got is not None
    assert got.n_false == 3
    assert got.arl0_s == pytest.approx((20 + 20 + 10 + 39.9) / 3)
    assert got.found is not None
    assert got.found.value == pytest.approx(2 / 3)
    assert got.found.n == 3
    assert got.delay_s == pytest.approx(7.5)
    assert got.arl0_interval_s[0] < got.arl0_s < got.arl0_interval_s[1]


def test_no_alarm_at_all_has_no_longest_interval() -> None:
    got = score("m", made.drift([None]), [Answer(Outcome.ANSWERED)]).drift
    assert got is not None
    assert got.arl0_interval_s[1] == math.inf
    assert got.found is None


def test_shares_have_clopper_pearson_intervals() -> None:
    share = Share.of(95, 100)
    assert share.low == pytest.approx(0.8872, abs=1e-4)
    assert share.high == pytest.approx(0.9836, abs=1e-4)
    assert Share.of(0, 0).n == 0
    assert Share.of(5, 5).high == 1.0


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "'values' is missing"),
        ({"values": {"gain": 1.0}}, "asked for are gain, tau_s"),
        ({"values": {"gain": 1.0, "tau_s": float("nan")}}, "not finite"),
        ({"values": {"gain": 1.0, "tau_s": 1.0}, "u": {"gain": -1.0, "tau_s": 1.0}}, "negative"),
        ({"values": 3}, "not an answer"),
    ],
)
def test_an_answer_that_is_none_has_failed_with_its_reason(given: dict[str, object], reason: str) -> None:
    member = made.estimation(1)
    got = answer_of(given, member, member.trials[0])
    assert got.outcome is Outcome.FAILED
    assert reason in got.reason


def test_alarms_outside_of_the_record_and_series_of_another_length_have_failed() -> None:
    drift, correction = made.drift([None]), made.correction(np.zeros(made.N))
    assert "outside" in answer_of({"alarms_t_ns": [-5]}, drift, drift.trials[0]).reason
    assert "400 samples" in answer_of({"value": [1.0]}, correction, correction.trials[0]).reason


def test_a_method_is_told_no_truth() -> None:
    for member in (made.estimation(1), made.correction(np.zeros(made.N)), made.drift([20])):
        assert not {"truth", "bound", "measurand", "from_ns", "is_drift"} & set(record_of(member, member.trials[0]))


def test_tables_say_where_dyncal_loses() -> None:
    member = made.estimation(100)
    scores = [score("dyncal x", member, estimates(100, 3.0, 1.0)), score("other", member, estimates(100, 1.0, 1.0))]
    text = "\n".join(markdown(scores))
    assert "trials or more: made (other" in text
    assert "nowhere" in "\n".join(markdown([scores[1], score("dyncal x", member, estimates(100, 1.0, 1.0))]))


def test_tables_say_where_dyncal_has_no_answer_but_not_where_it_takes_no_part() -> None:
    member = made.estimation(10)
    other = score("other", member, estimates(10, 1.0, 1.0))
    refused = score("dyncal x", member, [Answer(Outcome.REFUSED, "no")] * 10)
    assert "made (dyncal has no answer)" in "\n".join(markdown([refused, other]))
    assert "no answer" not in "\n".join(markdown([other]))


def test_scores_are_json_without_nan() -> None:
    got = score("m", made.estimation(1), estimates(1, 1.0, 1.0))
    assert isinstance(got, MemberScore)
    assert got.as_json()["parameters"]["gain"]["u_bias"] is None


def test_plots_stand_alone() -> None:
    drawn = [
        figure(made.estimation(20), {"m": estimates(20, 1.0, 1.0)}),
        figure(made.drift([20, 20]), {"m": [Answer(Outcome.ANSWERED, alarms_t_ns=np.array([25 * 10**9]))] * 2}),
        figure(made.correction(np.zeros(made.N)), {"m": [Answer(Outcome.ANSWERED, value=np.zeros(made.N))] * 3}),
    ]
    for svg in drawn:
        assert svg is not None
        assert b"http://www.w3.org/2000/svg" in svg
        assert b"<polyline" in svg
        assert b">m</text>" in svg

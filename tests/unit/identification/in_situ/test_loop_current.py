"""Loop-current step response: the plunge time constant of a thermometer that was never taken out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import lfilter

from dyncal.domain.calibration import Verdict
from dyncal.domain.errors import InvalidData
from dyncal.identification.in_situ import LoopCurrentSettings, StepRecord, fit_loop_current
from dyncal.identification.in_situ.conduction import Body, modes
from dyncal.identification.in_situ.onset import onset
from dyncal.identification.in_situ.plunge import body_time_constant, step_response, time_constant, unseen
from tests.unit.identification.in_situ.thermometer import cylinder, plunge_time_constant, transient


@pytest.mark.parametrize("biot", [0.5, 3.0, 30.0])
def test_the_plunge_is_predicted(biot: float) -> None:
    records = [transient(biot, seed=1), transient(biot, seed=2, rise=-0.7)]
    fit = fit_loop_current(records, LoopCurrentSettings(u_method=0.01))
    true = plunge_time_constant(biot, 5.0)
    assert fit.accepted, fit.detail
    assert fit.tau_s == pytest.approx(true, rel=0.04)
    assert abs(fit.tau_s - true) < 3 * fit.u_tau_s
    assert fit.noise_std == pytest.approx(0.01, rel=0.1)
    assert fit.amplitudes.shape[0] == 2


def test_the_method_itself_is_part_of_u() -> None:
    record = transient(3.0, seed=3)
    own, stated = (fit_loop_current(record, LoopCurrentSettings(u_method=u)) for u in (0.0, 0.058))
    assert stated.tau_s == own.tau_s
    assert stated.u_tau_s == pytest.approx(np.hypot(own.u_tau_s, 0.058 * own.tau_s))


def test_two_lumps_are_two_free_modes() -> None:
    t = np.arange(1, 4000) * 0.01
    y = 3 - 2 * np.exp(-t / 4) - np.exp(-t / 1.6) + 0.002 * np.random.default_rng(4).normal(size=t.size)
    fit = fit_loop_current(StepRecord((t * 1e9).astype(np.int64), y, 0))
    assert fit.structure == "2 free modes"
    assert fit.modes_s == pytest.approx([4, 1.6], rel=0.05)
    # nobody knows that there are no faster modes: the answer lies between two modes and all that a body may have
    assert fit.accepted
    assert time_constant(np.array([4.0, 1.6])) == pytest.approx(fit.tau_s, abs=2 * fit.u_tau_s)


def test_drift_of_the_process_is_taken_out() -> None:
    record = transient(3.0, seed=5)
    drifting = replace(record, indication=record.indication + record.t_ns * 1e-9 * 0.005)
    settings = LoopCurrentSettings(drift=True, u_method=0.02)
    fit, still = (fit_loop_current(each, settings) for each in (drifting, record))
    assert fit.tau_s == pytest.approx(still.tau_s, rel=1e-4)
    assert abs(fit.tau_s - plunge_time_constant(3.0, 5.0)) < 2 * fit.u_tau_s < 0.1 * fit.tau_s


def test_coloured_noise_widens_u() -> None:
    record = transient(3.0, seed=6, noise=0.0)
    white = np.random.default_rng(7).normal(size=len(record.t_ns))
    slow = np.zeros_like(white)
    for k in range(1, white.size):
        slow[k] = 0.97 * slow[k - 1] + white[k]
    settings = LoopCurrentSettings(u_method=0.0)
    coloured = fit_loop_current(replace(record, indication=record.indication + 0.01 * slow / slow.std()), settings)
    plain = fit_loop_current(replace(record, indication=record.indication + 0.01 * white), settings)
    assert coloured.correlation > 1.5
    assert coloured.u_tau_s > 1.5 * plain.u_tau_s


def test_a_quantised_response_may_settle() -> None:
    record = transient(3.0, seed=12, noise=0.0)
    coarse = replace(record, indication=np.round(record.indication / 0.01) * 0.01)
    fit = fit_loop_current(coarse, LoopCurrentSettings(u_method=0.02))
    assert fit.tau_s == pytest.approx(plunge_time_constant(3.0, 5.0), rel=0.06)


def test_an_electrical_transient_can_be_left_out() -> None:
    record = transient(3.0, seed=8, noise=0.003)
    spoilt = record.indication.copy()
    spoilt[:15] += 5 * np.exp(-np.arange(15) / 3)
    fit = fit_loop_current(replace(record, indication=spoilt), LoopCurrentSettings(skip_s=0.4))
    assert fit.tau_s == pytest.approx(plunge_time_constant(3.0, 5.0), rel=0.06)


def test_bodies_of_different_plunges_are_named() -> None:
    """Noise of 1 % hides what tells an element far out in a rod from one in a slab: 19 % off, and u says 13 %."""
    records = [transient(0.49, seed=376 + k, noise=0.0105, radius=0.335, n=1200, dt_s=0.03) for k in range(2)]
    fit = fit_loop_current(records)
    assert fit.verdict is Verdict.NOT_IDENTIFIABLE
    assert "differ" in fit.detail
    assert "cylinder" in fit.detail


def test_no_step_and_no_end_are_named() -> None:
    record = transient(3.0, seed=9)
    noise = 0.01 * np.random.default_rng(10).normal(size=len(record.t_ns))
    flat = fit_loop_current(replace(record, indication=20 + noise))
    assert flat.verdict is Verdict.NOT_EXCITED
    assert "noise" in flat.detail
    assert np.isnan(flat.tau_s)
    short = fit_loop_current(StepRecord(record.t_ns[:250], record.indication[:250], 0))
    assert short.verdict is not Verdict.ACCEPTED


def test_what_is_no_record_is_refused() -> None:
    record = transient(3.0, seed=11)
    holed = record.indication.copy()
    holed[100] = np.inf
    stopped = np.minimum(record.indication, 20.5)
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: fit_loop_current([]), "no record"),
        (lambda: fit_loop_current(replace(record, indication=holed)), "not finite"),
        (lambda: fit_loop_current(replace(record, indication=np.full(2000, 1.0))), "constant"),
        (lambda: fit_loop_current(replace(record, indication=stopped)), "saturated"),
        (lambda: fit_loop_current(replace(record, step_ns=int(record.t_ns[-10]))), "too few"),
        (lambda: StepRecord(record.t_ns[::-1].copy(), record.indication, 0), "increase"),
        (lambda: StepRecord(record.t_ns[:-1], record.indication, 0), "one length"),
        (lambda: LoopCurrentSettings(skip_s=-1), "skip_s"),
        (lambda: LoopCurrentSettings(max_modes=9), "max_modes"),
        (lambda: LoopCurrentSettings(max_relative_u=0), "max_relative_u"),
    ]
    for make, says in cases:
        with pytest.raises(InvalidData, match=says):
            make()


@pytest.mark.parametrize("biot", [0.05, 2.0, 200.0])
def test_a_cylinder_has_the_modes_of_the_classical_series(biot: float) -> None:
    tau, beta = cylinder(biot, 1.0)
    ratio, share = modes(Body.CYLINDER, np.log(biot), 0.4)
    from scipy.special import j0, j1

    weight = tau * j0(0.4 * beta) ** 2 / (j0(beta) ** 2 + j1(beta) ** 2)
    assert ratio == pytest.approx(tau[: ratio.size], rel=1e-6)
    assert share[:20] / share[0] == pytest.approx(weight[:20] / weight[0], rel=1e-4, abs=1e-9)


def test_bodies_end_where_a_film_no_longer_matters() -> None:
    squares = [1, 1 / 9, 1 / 25], [1, 0.18979, 0.07723], [1, 1 / 4, 1 / 9]
    for shape, expected in zip(Body, squares, strict=True):
        assert modes(shape, np.log(1000.0), 0.0)[0][:3] == pytest.approx(expected, rel=1e-3)


def test_the_plunge_of_a_body_is_the_classical_one() -> None:
    for biot in (0.5, 20.0):
        tau = modes(Body.CYLINDER, np.log(biot), 0.0)[0]
        assert body_time_constant(tau) == pytest.approx(plunge_time_constant(biot, 1.0), rel=1e-4)


def test_one_mode_and_equal_modes_have_their_closed_forms() -> None:
    assert time_constant(np.array([2.0])) == pytest.approx(2.0)
    equal = time_constant(np.array([1.0, 1.0]))
    assert 1 - (1 + equal) * np.exp(-equal) == pytest.approx(1 - np.exp(-1), abs=1e-5)
    t = np.array([0.0, 1.0])
    assert step_response(np.array([2.0, 1.0]), t)[1] == pytest.approx(1 - 2 * np.exp(-0.5) + np.exp(-1))


def test_what_cannot_be_seen_shrinks_with_every_mode_that_is() -> None:
    tau = cylinder(1000.0, 1.0)[0]
    most = [unseen(tau[:m]) for m in (1, 2, 3)]
    assert most[0] > most[1] > most[2] > 0
    assert most[0] == pytest.approx(time_constant(tau[:60]) - 1, rel=0.05)


def _with_lead(noise: float, lead: int = 300) -> StepRecord:
    """A record that begins before the step."""
    after = transient(3.0, seed=13, noise=noise)
    before = 20 + noise * np.random.default_rng(14).normal(size=lead)
    t_ns = np.concatenate([np.arange(-lead, 0) * 20_000_000, after.t_ns])
    return StepRecord(t_ns, np.concatenate([before, after.indication]), 0)


@pytest.mark.parametrize("late_s", [-5.0, -1.0, 0.5, 5.0])
def test_a_wrong_instant_of_the_step_is_named(late_s: float) -> None:
    record = _with_lead(0.01)
    wrong = fit_loop_current(replace(record, step_ns=round(late_s * 1e9)))
    assert wrong.verdict is Verdict.INCONSISTENT
    said = re.fullmatch(
        r"the transient begins about (\S+) s (after|before) the stated instant of the step", wrong.detail
    )
    assert said is not None
    assert float(said[1]) == pytest.approx(abs(late_s), abs=0.2)  # a bin of 60 before the stated instant
    assert said[2] == ("before" if late_s > 0 else "after")
    assert np.isnan(wrong.tau_s)


@pytest.mark.parametrize("noise", [0.0, 0.001, 0.05])
def test_the_right_instant_is_believed(noise: float) -> None:
    assert fit_loop_current(_with_lead(noise)).accepted


def test_slow_noise_is_no_wrong_instant() -> None:
    record = _with_lead(0.0)
    for row in np.random.default_rng(15).normal(size=(20, record.t_ns.size)):
        slow = np.asarray(lfilter([np.sqrt(1 - 0.97**2)], [1.0, -0.97], row), dtype=np.float64)
        found = onset(
            np.asarray(record.t_ns * 1e-9, dtype=np.float64), record.indication + 0.01 * slow, 0.0, drift=False
        )
        assert not found.surely

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.identification import AlignedRecord
from dyncal.identification.kalman import Process
from dyncal.identification.kalman.block import (
    KalmanBlockProblem,
    KalmanData,
    KalmanForm,
    KalmanPass,
    KalmanState,
    begin,
)
from dyncal.models import SensorModel, model_of
from tests.unit.identification.kalman.cases import SENSORS, SPACINGS, H, coordinates, segment
from tests.unit.identification.plant import PRESSURE, part

FORMS = [
    KalmanForm(Process.ORNSTEIN_UHLENBECK, H),
    KalmanForm(Process.MATERN_32, H, 0.3),
    KalmanForm(Process.INTEGRATED_WIENER, H),
]


def setup(case: int, form: KalmanForm) -> tuple[SensorModel, FloatArray]:
    model = model_of(SENSORS[case][0])
    whole = coordinates(model, form.layout(model), SENSORS[case][1])
    return model, whole[form.positions(model)]


def data(spacing: str, begin_: int, end: int, *, fresh: bool, n: int = 120) -> KalmanData:
    whole = segment(spacing, n=n)
    return KalmanData(whole.t_ns[begin_:end], whole.z[begin_:end, 1].copy(), whole.z[begin_:end, 0].copy(), fresh)


def evaluated(problem: KalmanBlockProblem, h: FloatArray) -> KalmanPass:
    done = problem.evaluate(h)
    assert done is not None
    return done


def shifted(block: KalmanData, *, offset: float = 0.0) -> KalmanData:
    return KalmanData(block.t_ns, block.y, block.r + offset, block.fresh)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.process.value)
@pytest.mark.parametrize("case", [0, 1, 2])
def test_score_information_and_state_belong_to_the_cost(case: int, form: KalmanForm, spacing: str) -> None:
    model, h = setup(case, form)
    first = evaluated(KalmanBlockProblem(model, data(spacing, 0, 61, fresh=True), h, None, form=form), h)
    for problem in (
        KalmanBlockProblem(model, data(spacing, 0, 61, fresh=True), h, None, form=form),
        KalmanBlockProblem(model, data(spacing, 60, 120, fresh=False), h, first.end, form=form),
    ):
        here = evaluated(problem, h)
        assert np.linalg.eigvalsh(here.a).min() > -1e-9 * np.linalg.eigvalsh(here.a).max()
        for i in range(h.size):
            step = np.zeros(h.size)
            step[i] = 1e-5
            up, down = (evaluated(problem, h + sign * step) for sign in (1, -1))
            assert_allclose(here.b[i], -(up.sse - down.sse) / 4e-5, rtol=1e-5, atol=2e-6 * abs(here.sse))
            # the best initial state of a fresh block is followed to what is expected of the residuals
            atol = 1e-3 if problem._start is None else 1e-7
            assert_allclose(here.end.s[i], (up.end.x - down.end.x) / 2e-5, rtol=1e-5, atol=atol)
            assert_allclose(here.end.dp[i], (up.end.p - down.end.p) / 2e-5, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_blocks_add_up_to_the_record(spacing: str) -> None:
    form = KalmanForm(Process.INTEGRATED_WIENER, H)  # a level does not matter to it
    model, h = setup(1, form)
    whole = evaluated(KalmanBlockProblem(model, data(spacing, 0, 120, fresh=True), h, None, form=form), h)
    # with the initial state solved out of the first block alone, the others differ by what they would have said of it
    total, state, information = 0.0, None, np.zeros((h.size, h.size))
    for begin_, end in ((0, 91), (90, 100), (99, 120)):
        block = data(spacing, begin_, end, fresh=state is None)
        done = evaluated(KalmanBlockProblem(model, block, h, state, form=form), h)
        total, state, information = total + done.sse, done.end, information + done.a
    assert_allclose(total, whole.sse, atol=1e-5 * abs(whole.sse))
    scale = np.sqrt(np.diag(whole.a))
    assert_allclose(information / np.outer(scale, scale), whole.a / np.outer(scale, scale), atol=1e-3)


def test_another_level_is_another_way_to_write_the_same_state() -> None:
    form = KalmanForm(Process.INTEGRATED_WIENER, H)
    model, h = setup(1, form)
    first = evaluated(KalmanBlockProblem(model, data("uniform", 0, 61, fresh=True), h, None, form=form), h)
    later = data("uniform", 60, 120, fresh=False)
    far = KalmanData(later.t_ns, later.y, np.where(np.arange(60) < 50, later.r, np.nan), fresh=False)
    seen = [
        evaluated(KalmanBlockProblem(model, far, h, start, form=form), h)
        for start in (first.end, KalmanState(first.end.x, first.end.s, first.end.p, first.end.dp, first.end.level))
    ]
    assert seen[0].end.level[0] != first.end.level[0]
    assert_allclose(seen[0].sse, seen[1].sse)
    # the same measurements about a level moved by hand
    blind = KalmanData(later.t_ns, later.y, np.full(60, np.nan), fresh=False)
    stays = evaluated(KalmanBlockProblem(model, blind, h, first.end, form=form), h)
    assert stays.end.level[0] == first.end.level[0]


def test_the_offset_of_the_reference_is_considered_with_the_right_sign() -> None:
    form = KalmanForm(Process.ORNSTEIN_UHLENBECK, H)
    model, h = setup(1, form)
    block = data("uniform", 0, 120, fresh=True)
    here = evaluated(KalmanBlockProblem(model, block, h, None, form=form), h)
    moved = evaluated(KalmanBlockProblem(model, shifted(block, offset=1e-4), h, None, form=form), h)
    # what is added to the reference moves the maximum by a⁻¹ db/d offset, and that is -a⁻¹ cross
    change = (moved.b - here.b) / 1e-4
    expected = -here.cross[:, 0]
    # the score's own dependence on the residuals has mean zero; the gain shows the rest
    assert np.sign(change[0]) == np.sign(expected[0])
    assert_allclose(change[0], expected[0], rtol=0.3)


def test_a_far_step_leaves_the_covariance_positive() -> None:
    form = KalmanForm(Process.MATERN_32, H)
    model, h = setup(1, form)
    first = evaluated(KalmanBlockProblem(model, data("uniform", 0, 61, fresh=True), h, None, form=form), h)
    for i in range(h.size):
        for far in (-5.0, 5.0):
            step = np.asarray(far * np.eye(h.size)[i], dtype=np.float64)
            moved = first.end.moved(step)
            scale = 1 / np.sqrt(np.diag(first.end.p))
            assert np.linalg.eigvalsh(moved.p * np.outer(scale, scale)).min() > 0


def test_a_block_without_sense_is_refused() -> None:
    form = FORMS[0]
    model, h = setup(1, form)
    with pytest.raises(InvalidData, match="fresh"):
        KalmanBlockProblem(model, data("uniform", 0, 60, fresh=False), h, None, form=form)
    problem = KalmanBlockProblem(model, data("uniform", 0, 60, fresh=True), h, None, form=form)
    for far in (np.nan, 1e4, -1e4):
        wild = h.copy()
        wild[1] = far
        assert problem.evaluate(wild) is None


def test_a_stream_fitted_block_by_block_ends_where_the_batch_does() -> None:
    record = PRESSURE.record(6000, seed=3)
    model = model_of(PRESSURE.kind)
    truth = np.array(PRESSURE.theta)
    begun = begin(model, part(record, 0, 1000), model.to_internal(1.3 * truth), u_reference_noise=0.01)
    assert begun is not None
    assert begun.form.process is not Process.ORNSTEIN_UHLENBECK  # this measurand is smooth
    h, information, state = begun.h, begun.prior_information, None
    for begin_ in range(0, 6000, 500):
        first = max(begin_ - 1, 0)
        stretch = part(record, first, begin_ + 500)
        block = KalmanData(stretch.t_ns, stretch.indication, stretch.reference, fresh=state is None)
        problem = KalmanBlockProblem(model, block, h, state, form=begun.form)
        prior_h, prior = h, information
        for _ in range(3):
            done = evaluated(problem, h)
            step = np.asarray(np.linalg.solve(done.a + prior, done.b - prior @ (h - prior_h)), dtype=np.float64)
            h = h + step
        state, information = done.end.moved(step), prior + done.a
    p = model.n_parameters
    u = np.sqrt(np.diag(np.linalg.inv(information)))[:p]
    assert np.all(np.abs(h[:p] - model.to_internal(truth)) < 4 * u)
    assert np.all(u < 0.005)


def test_a_record_of_nothing_does_not_begin() -> None:
    t = np.arange(100, dtype=np.int64) * 50_000_000
    record = AlignedRecord(t, np.zeros(100), np.sin(t / 1e9))
    model = model_of(SENSORS[0][0])
    assert begin(model, record, np.zeros(2), u_reference_noise=None) is None

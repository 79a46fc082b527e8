"""What holds for every model with internal coordinates: state space, discretisation, sensitivities."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import expm

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.models import Delayed, Hold, Rational, SensorModel, Static, model_of, named_model
from tests.unit.models.test_against_forty_digits import CASES

GENERAL = [(c[0], c[1], np.array(c[3])) for c in CASES if not isinstance(c[1], Delayed)]
F_HZ = np.array([0.0, 0.01, 3.0, 29.0, 70.0, 800.0])


@pytest.mark.parametrize(("model", "theta"), [c[1:] for c in GENERAL], ids=[c[0] for c in GENERAL])
def test_state_space_has_the_frequency_response_and_its_derivatives(model: SensorModel, theta: FloatArray) -> None:
    eta = model.to_internal(theta)
    system, n = model.state_space(eta), model.n_states
    assert (system.a.shape, system.b.shape, system.c.shape) == ((n, n), (n,), (n,))
    assert len(model.output) == max(2, n)
    assert_allclose(system.c, np.array(model.output)[:n])
    resolvent = np.linalg.inv(2j * np.pi * F_HZ[:, None, None] * np.eye(n) - system.a)
    response = np.einsum("i,fij,j->f", system.c, resolvent, system.b) + system.d
    assert_allclose(response, model.frequency_response(theta, F_HZ), rtol=1e-8, atol=1e-11)
    slope = np.einsum("i,fij,pjk,fkl,l->fp", system.c, resolvent, system.da, resolvent, system.b)
    slope = slope + np.einsum("i,fij,pj->fp", system.c, resolvent, system.db) + system.dd
    expected = model.jacobian(theta, F_HZ) @ model.internal_jacobian(eta)
    assert_allclose(slope, expected, atol=2e-7 * np.abs(expected).max())


@pytest.mark.parametrize(("model", "theta"), [c[1:] for c in GENERAL], ids=[c[0] for c in GENERAL])
def test_discretisation_solves_the_state_space(model: SensorModel, theta: FloatArray) -> None:
    eta = model.to_internal(theta)
    system, n = model.state_space(eta), model.n_states
    h = np.array([0.0, 1e-5, 4e-3]) if model.kind is ModelKind.RATIONAL else np.array([1e-5, 4e-3])
    parts = model.discretise(eta, h, Hold.FIRST)
    assert parts.phi.shape == (h.size, max(2, n), max(2, n))
    for k, step in enumerate(h.tolist()):
        whole = np.zeros((n + 2, n + 2))
        whole[:n, :n], whole[:n, n], whole[n, n + 1] = system.a * step, system.b * step, 1.0
        exact = expm(whole)
        assert_allclose(parts.phi[k, :n, :n], exact[:n, :n], atol=1e-9)
        jump = system.d * exact[:n, :n] @ system.c
        assert_allclose(parts.gamma[k, :n, 0], exact[:n, n] - exact[:n, n + 1] - jump, atol=1e-8)
        assert_allclose(parts.gamma[k, :n, 1], exact[:n, n + 1] + system.d * system.c, atol=1e-8)
        assert_allclose((np.eye(max(2, n)) - parts.phi[k]) @ model.rest(eta), parts.gamma[k].sum(axis=1), atol=1e-9)


@pytest.mark.parametrize("longest_s", [1e-5, 0.02, 30.0])
def test_very_many_intervals_are_as_exact_as_few(longest_s: float) -> None:
    model = Rational(2, 5)
    theta = next(c[3] for c in CASES if c[0] == "rational 1/5, scales 1e6 apart")
    eta = model.to_internal(np.array([*theta[:2], 1e-3, *theta[2:]]))
    for rate in (0.0, -12.0):  # the fast pair as it is (too stiff to interpolate), and slowed
        eta[-1] += rate
        h = np.random.default_rng(0).uniform(0.1, 1.0, 400) * longest_s
        whole = model.discretise(eta, h)
        for part in (slice(0, 200), slice(200, 400)):
            few = model.discretise(eta, h[part])
            for name in ("phi", "gamma", "dphi", "dgamma"):
                got, exact = getattr(whole, name)[part], getattr(few, name)
                assert_allclose(got, exact, atol=1e-12 * np.abs(exact).max())
    same = model.discretise(eta, np.full(300, longest_s))
    assert_allclose(same.phi[299], same.phi[0])


@pytest.mark.parametrize("exponent", [-40.0, 40.0])
def test_coordinates_beyond_reason_give_numbers_or_nan_and_no_crash(exponent: float) -> None:
    for model in (*(model_of(kind) for kind in list(ModelKind)[:3]), Rational(0, 3), Rational(2, 4)):
        eta = np.full(model.n_parameters, exponent)
        for hold in Hold:
            with np.errstate(all="ignore"):
                parts = model.discretise(eta, np.array([1e-3, 10.0]), hold)
            finite = np.isfinite(parts.phi).all(axis=(1, 2))
            assert np.abs(parts.phi[finite]).max(initial=0.0) <= 1e6


def test_a_delayed_model_hands_its_own_model_on() -> None:
    inner, theta = Rational(1, 3), np.array([1.0, 0.01, 0.03, 3e-4, 1e-6])
    model = Delayed(inner)
    eta = model.to_internal(np.append(theta, 0.02))
    assert model.dead_time(eta) == 0.02
    assert inner.dead_time(eta[:-1]) == 0.0
    parts, own = (m.discretise(e, np.array([0.01])) for m, e in ((model, eta), (inner, eta[:-1])))
    assert_allclose(parts.phi, own.phi)
    assert_allclose(parts.dgamma[:, :-1], own.dgamma)
    assert not parts.dgamma[:, -1].any()
    assert not parts.dphi[:, -1].any()
    system = model.state_space(eta)
    assert (system.da.shape, system.db.shape, system.dd.shape) == ((6, 3, 3), (6, 3), (6,))
    assert named_model(ModelKind.RATIONAL, model.names).n_states == 3
    run = model.run(eta, np.full(5, 10_000_000), np.ones(6), Hold.FIRST, derivatives=True)
    assert run.s.shape == (6, 6, 3)


def test_what_are_no_coordinates_or_no_record_is_refused() -> None:
    t_ns, u = np.array([0, 10, 30]), np.ones(3)
    for model in (model_of(ModelKind.SECOND_ORDER), Rational(1, 3), Delayed(Rational(0, 1))):
        eta = np.zeros(model.n_parameters)
        assert model.respond(eta, t_ns, u).dy.shape == (3, model.n_parameters)
        for bad in (eta[:-1], np.full_like(eta, np.nan), np.full_like(eta, np.inf)):
            with pytest.raises(InvalidData, match="coordinates"):
                model.respond(bad, t_ns, u)
        for instants, values in ((t_ns[::-1], u), (t_ns[[0, 1, 1]], u), (t_ns, u[:2]), (t_ns, u * np.nan)):
            with pytest.raises(InvalidData):
                model.respond(eta, instants, values)
        one = model.respond(eta, t_ns[:1], u[:1])
        assert_allclose(one.y, model.from_internal(eta)[0])


def test_logarithmic_sensitivities() -> None:
    model, theta = Delayed(model_of(ModelKind.FIRST_ORDER)), np.array([2.0, 0.1, 0.03])
    f_hz = np.array([0.1, 2.0])
    s = 2j * np.pi * f_hz
    expected = np.stack([np.full(2, -0.5), s / (1 + 0.1 * s), s], axis=1)
    assert_allclose(model.log_sensitivities(theta, f_hz), expected, rtol=1e-12)
    static = Static(1, (0.0, 1.0))
    assert static.log_sensitivities(np.array([0.0, 2.0]), f_hz).shape == (2, 2)


def test_many_different_fractions_of_a_dead_time_are_stepped_like_few(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Delayed(model_of(ModelKind.SECOND_ORDER))
    eta = model.to_internal(np.array([1.0, 0.3, 20.0, 0.0123]))
    rng = np.random.default_rng(5)
    t_ns, u = np.cumsum(rng.integers(1_000_000, 20_000_000, 12)), rng.normal(size=12)
    few = model.respond(eta, t_ns, u)
    monkeypatch.setattr("dyncal.models.delayed._FEW", 0)
    many = model.respond(eta, t_ns, u)
    assert_allclose(many.y, few.y, atol=1e-13)
    assert_allclose(many.dy, few.dy, atol=1e-12 * np.abs(few.dy).max())

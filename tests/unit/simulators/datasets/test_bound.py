"""The bound, from the simulators' own dynamics, against dyncal's analytic derivatives."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.samples import FloatArray
from dyncal.identification import AlignedRecord
from dyncal.identification.record_fit.problem import RecordProblem
from dyncal.identification.record_fit.segments import take
from dyncal.identification.record_fit.settings import InterSample
from dyncal.identification.record_fit.track import Reading
from dyncal.models import model_of
from simulators.datasets.bound import equation_error, points_bound, record_bound, response_of
from simulators.datasets.definitions import IdentificationSpec, LaboratorySpec, load_family
from simulators.datasets.exposure import answer, begin_of, measurand_of
from simulators.datasets.trials import make_trial

FAMILY = load_family(1)
SEED = FAMILY.seed.encode()


def analytic(spec: IdentificationSpec, k: int, between: InterSample) -> tuple[FloatArray, FloatArray]:
    trial = make_trial(spec, SEED, k)
    model = model_of(spec.sensor.model)
    theta = np.array(list(trial.truth["parameters"].values()))
    record = AlignedRecord(trial.t_ns, trial.channels["indication"], trial.channels["reference"])
    taken = take([record])
    problem = RecordProblem(model, [Reading(segment, between) for segment in taken.segments], taken.dt_s)
    begin = problem.begin(model.to_internal(theta))
    there = None if begin is None else problem.evaluate(begin)
    assert there is not None
    p = theta.size
    jacobian = model.internal_jacobian(there.at.h[:p])
    cov = jacobian @ np.linalg.inv(there.a[:p, :p] / trial.truth["noise_std"] ** 2) @ jacobian.T
    return np.sqrt(np.diag(cov)), np.array(list(trial.truth["bound"].values()))


@pytest.mark.parametrize(
    ("name", "between"),
    [
        ("first-noise-40db", InterSample.CUBIC),
        ("second-noise-40db", InterSample.CUBIC),
        ("second-irregular-30db", InterSample.LINEAR),
        ("first-step-40db", InterSample.ZERO),
        ("lead-lag-noise-50db", InterSample.CUBIC),
    ],
)
def test_it_is_that_of_analytic_derivatives(name: str, between: InterSample) -> None:
    spec = FAMILY.of("open")[name]
    assert isinstance(spec, IdentificationSpec)
    ours, bound = analytic(spec, 0, between)
    np.testing.assert_allclose(bound, ours, rtol=0.02)


def test_noise_of_the_reference_takes_information() -> None:
    spec = FAMILY.of("open")["first-noisy-reference-30db"]
    assert isinstance(spec, IdentificationSpec)
    t0_ns, theta = begin_of(spec, 0), np.array([1.0, 1.0])
    source = measurand_of(spec, np.random.default_rng(1), t0_ns)
    t_ns = t0_ns + spec.dt_ns * np.arange(400, dtype=np.int64)

    def at(values: FloatArray) -> FloatArray:
        return answer(source, spec.sensor, values, t_ns, spec.dt_ns)

    without, little, much = (record_bound(spec.sensor, theta, t_ns, at, 0.05, u) for u in (0.0, 1e-6, 0.1))
    np.testing.assert_allclose(little, without, rtol=1e-4)
    assert np.all(much > without)


def test_the_equation_errors_variance_is_that_of_both_noises() -> None:
    sensor = FAMILY.of("open")["first-noise-40db"].sensor
    covariance = equation_error(sensor, np.array([1.0, 0.5]), 0.02, 400, 0.1, 0.3)
    # white noise through g/(1 + τs), up to Nyquist: σ² (dt/τ) atan(π τ/dt)/π
    through = 0.3**2 * 0.02 / 0.5 * np.arctan(np.pi * 0.5 / 0.02) / np.pi
    assert covariance[0] == pytest.approx(0.1**2 + through, rel=1e-3)
    assert np.all(np.linalg.eigvalsh(covariance[np.abs(np.subtract.outer(np.arange(400), np.arange(400)))]) > 0)


def test_points_have_the_inverse_of_fisher_information() -> None:
    spec = FAMILY.of("open")["points-second-17"]
    assert isinstance(spec, LaboratorySpec)
    theta, f_hz = np.array([1.0, 0.05, 15e3]), np.geomspace(10, 1e4, 17)
    u = 0.003 * np.abs(response_of(spec.sensor, theta, f_hz))
    model = model_of(spec.sensor.model)
    eta = model.to_internal(theta)
    h = 1e-6
    columns = []
    for i in range(3):
        up, down = (model.frequency_response(model.from_internal(eta + s * h * np.eye(3)[i]), f_hz) for s in (1, -1))
        slope = (up - down) / (2 * h)
        columns.append(np.concatenate((slope.real / u, slope.imag / u)))
    j = np.stack(columns, axis=1) @ np.linalg.inv(model.internal_jacobian(eta))
    expected = np.sqrt(np.diag(np.linalg.inv(j.T @ j)))
    bound = points_bound(spec.sensor, theta, f_hz, u[:, None, None] ** 2 * np.eye(2))
    np.testing.assert_allclose(bound, expected, rtol=1e-5)
    common = points_bound(spec.sensor, theta, f_hz, u[:, None, None] ** 2 * np.eye(2), 0.01)
    assert common[0] > 0.0099
    np.testing.assert_allclose(common[1:], bound[1:], rtol=0.2)

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dyncal.correction.budget import budget, include_reference_gain
from dyncal.correction.streaming.record import correct, deviation
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind
from tests.unit.correction.examples import CASES, designed


def test_deviation_leaves_out_what_cannot_be_compared() -> None:
    value = np.array([np.nan, 1.0, 2.0, 3.0, np.nan])
    reference = np.array([0.0, 1.5, 2.0, np.nan, 1.0])
    found = deviation(value, np.array([np.nan, 0.1, 0.2, 0.1, np.nan]), reference, u_reference=0.3)
    assert found.n == 2
    assert found.rms == pytest.approx(np.sqrt(0.125))
    assert found.maximum == 0.5
    assert found.u == pytest.approx(np.sqrt(0.025 + 0.09))


def test_deviation_needs_something_in_common() -> None:
    with pytest.raises(InvalidData):
        deviation(np.array([np.nan, 1.0]), 0.1, np.array([1.0, np.nan]))
    with pytest.raises(InvalidData):
        deviation(np.ones(3), 0.1, np.ones(4))


@pytest.mark.parametrize("n", [0, 1, 5, 41])
def test_short_records_say_nothing(n: int) -> None:
    value, u = correct(designed("thermocouple").filter, CASES["thermocouple"].parameters, np.ones(n))
    assert value.shape == u.shape == (n,)
    assert np.isnan(value).all()
    assert np.isnan(u).all()


@pytest.mark.parametrize("name", CASES)
def test_the_budget_adds_up_to_u(name: str) -> None:
    case, f = CASES[name], designed(name).filter
    _, y = case.simulate(np.random.default_rng(1), 2000)
    u_t, u_gain = 0.1 * case.dt_s, 0.01
    found = budget(f, case.parameters, y, u_t_s=u_t, u_reference_gain=u_gain)
    value, u = correct(f, case.parameters, y, u_t_s=u_t)
    np.testing.assert_array_equal(found.value, value)
    np.testing.assert_allclose(found.u, np.hypot(u, u_gain * np.abs(value)), rtol=1e-6)
    # The parameters are uncorrelated here, so that they add up one by one as well.
    alone = sum(found[f"parameter:{parameter}"] ** 2 for parameter in case.parameters.names)
    np.testing.assert_allclose(found["parameters"] ** 2, alone, rtol=1e-6, atol=1e-6 * f.u_noise**2)
    gain = found["parameter:gain"]
    ok = np.isfinite(value)
    expected = np.abs(value) * case.parameters.u[0] / case.theta[0]
    np.testing.assert_allclose(gain[ok], expected[ok], rtol=1e-4, atol=1e-5 * f.u_noise)
    without = correct(f, case.parameters, y)[1]
    np.testing.assert_allclose(found["time"] ** 2, u**2 - without**2, rtol=1e-4, atol=1e-6 * f.u_noise**2)
    assert np.nanmax(found["time"]) > f.u_noise / 10
    with pytest.raises(KeyError):
        found["nothing"]


def test_the_reference_gain_can_go_into_the_covariance() -> None:
    case, f = CASES["thermocouple"], designed("thermocouple").filter
    _, y = case.simulate(np.random.default_rng(1), 2000)
    inside = correct(f, include_reference_gain(case.parameters, 0.01), y)[1]
    np.testing.assert_allclose(inside, budget(f, case.parameters, y, u_reference_gain=0.01).u, rtol=1e-6)
    with pytest.raises(InvalidData):
        include_reference_gain(case.parameters, -1.0)


def test_filter_and_parameters_must_fit() -> None:
    """Two biquads are no biquads of three parameters; of one parameter they would be a sum."""
    three = Parameters(ModelKind.SECOND_ORDER, ("gain", "damping", "f0_hz"), np.ones(3), np.eye(3))
    with pytest.raises(InvalidData):
        correct(designed("thermocouple").filter, three, np.ones(10))


@pytest.mark.parametrize(
    ("changes", "trouble"),
    [
        ({"u_noise": -1.0}, "u_noise"),
        ({"u_model": np.nan}, "u_model"),
        ({"fir": np.array([1.0, np.nan])}, "fir"),
        ({"sos": np.array([[1.0, 0.0, 0.0, 2.0, 0.1, 0.0]])}, "normalised"),
        ({"sos": np.array([[1.0, 0.0, 0.0, 1.0, -2.0, 1.0]])}, "radius 1"),
    ],
)
def test_a_filter_that_cannot_be_right_is_refused_by_name(changes: dict[str, object], trouble: str) -> None:
    f = replace(designed("thermocouple").filter, **changes)  # type: ignore[arg-type]  # values by name
    with pytest.raises(InvalidData, match=trouble):
        correct(f, CASES["thermocouple"].parameters, np.ones(100))


@pytest.mark.parametrize(
    "cov", [-np.eye(2), [[1.0, 3.0], [3.0, 1.0]], [[1.0, np.nan], [np.nan, 1.0]], [[1.0, 0.5], [0.0, 1.0]]]
)
def test_what_is_no_covariance_is_refused(cov: object) -> None:
    parameters = replace(CASES["thermocouple"].parameters, cov=np.asarray(cov, np.float64))
    with pytest.raises(InvalidData, match="covariance"):
        correct(designed("thermocouple").filter, parameters, np.ones(100))


@pytest.mark.parametrize("u_t_s", [-1.0, np.nan, np.inf])
def test_an_impossible_time_uncertainty_is_refused(u_t_s: float) -> None:
    with pytest.raises(InvalidData, match="u_t_s"):
        correct(designed("thermocouple").filter, CASES["thermocouple"].parameters, np.ones(100), u_t_s=u_t_s)


@pytest.mark.parametrize("raw", [np.ones((2, 50)), np.ones(100, np.complex128), ["x"]])
def test_what_is_no_record_is_refused(raw: Any) -> None:
    with pytest.raises(InvalidData, match="raw"):
        correct(designed("thermocouple").filter, CASES["thermocouple"].parameters, raw)


@pytest.mark.parametrize("missing", ["scipy", "numba"])
def test_the_edge_runs_without(missing: str) -> None:
    """What the edge imports of the correction must run where scipy is not, and where numba is not.

    Models belong to it: a smoother is built from one (ADR 0019).
    """
    script = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "import dyncal.correction.streaming.stream, dyncal.correction.safety, dyncal.correction.streaming.record\n"
        "import dyncal.correction.forms\n"
        "heavy = ('dyncal.identification', 'dyncal.drift', 'dyncal.certificates')\n"
        "print([m for m in sys.modules if m.startswith(heavy)])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"

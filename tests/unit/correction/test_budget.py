from __future__ import annotations

import numpy as np
import pytest

from dyncal.correction.budget import budget
from dyncal.correction.design.wiener import Form, design
from dyncal.correction.streaming.record import correct
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import InvalidData
from tests.unit.correction.examples import ALL, CASES, designed


@pytest.mark.parametrize("name", ALL)
def test_all_terms_of_any_kind_add_up(name: str) -> None:
    case, made = ALL[name], designed(name)
    _, y = case.simulate(np.random.default_rng(1), 1500)
    found = budget(
        made.filter, case.parameters, y, u_t_s=1e-4, u_reference_gain=0.01, u_reference_offset=0.1,
        prediction=made.prediction,
    )  # fmt: skip
    value, u = correct(made.filter, case.parameters, y, u_t_s=1e-4)
    np.testing.assert_allclose(found.u, np.sqrt(u**2 + (0.01 * value) ** 2 + 0.01), rtol=1e-6)
    parts = [found[f"model:{part}"] ** 2 for part in ("lost", "response", "unexplained")]
    np.testing.assert_allclose(np.sum(parts, axis=0), found["model"] ** 2, rtol=1e-12)
    assert (np.isnan(found["reference_offset"]) == np.isnan(value)).all()


def test_the_second_order_is_a_line_of_its_own() -> None:
    case = CASES["thermocouple"]
    parameters = Parameters(case.kind, case.model.names, case.theta, np.diag((case.theta * [0.001, 0.2]) ** 2))
    wish = {"dt_ns": case.dt_ns, "noise_std": case.noise_std, "spectrum": case.spectrum}
    made = design(parameters, form=Form.RECURSIVE, **wish)  # type: ignore[arg-type]  # values by name
    _, y = case.simulate(np.random.default_rng(1), 1500)
    found = budget(made.filter, parameters, y, prediction=made.prediction)
    ok = np.isfinite(found.value)
    tau = found["parameter:tau_s"]
    first = np.sqrt(tau**2 - found["parameters:second_order"] ** 2)
    np.testing.assert_allclose(first[ok], tau[ok] / made.prediction.second_order, rtol=1e-6)
    assert np.max(found["parameters:second_order"][ok]) > 0.1 * np.max(first[ok])


@pytest.mark.parametrize(
    "changes",
    [
        {"u_t_s": -1.0},
        {"u_t_s": float("nan")},
        {"u_reference_gain": float("inf")},
        {"u_reference_offset": -0.1},
    ],
)
def test_impossible_uncertainties_are_refused(changes: dict[str, float]) -> None:
    case = CASES["thermocouple"]
    with pytest.raises(InvalidData):
        budget(designed("thermocouple").filter, case.parameters, np.ones(100), **changes)  # type: ignore[arg-type]  # values by name


def test_bad_samples_are_nan_in_every_line() -> None:
    case = CASES["thermocouple"]
    y = np.random.default_rng(1).normal(size=300)
    y[150] = np.nan
    found = budget(designed("thermocouple").filter, case.parameters, y, u_reference_gain=0.01)
    missing = np.isnan(found.value)
    assert missing[150]
    for contribution in found.contributions:
        assert (np.isnan(contribution.u) == missing).all(), contribution.name
    assert np.isnan(budget(designed("thermocouple").filter, case.parameters, np.empty(0)).u).all()

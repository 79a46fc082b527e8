"""The Monte Carlo of a smoother, against the u of the stream and what is known without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dyncal.correction.budget import budget
from dyncal.correction.forms import correct_at
from dyncal.correction.monte_carlo import CorrectedMonteCarlo, correction_monte_carlo
from dyncal.domain.coefficients import CorrectionSmoother
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array
from dyncal.uncertainty import MonteCarloSettings
from tests.unit.correction.examples import ALL, Case
from tests.unit.correction.smoother.test_account import record, smoother_of

N, SETTLED, DRAWS = 160, 60, 1000
CLOSE = 4.5 / np.sqrt(2 * DRAWS)


def known(case: Case, share: float) -> Case:
    return replace(case, u_relative=share * case.u_relative)


def run(
    case: Case, correction: CorrectionSmoother, t: Int64Array, y: FloatArray, **options: float
) -> CorrectedMonteCarlo:
    settings = MonteCarloSettings(n_draws=DRAWS)
    return correction_monte_carlo(
        correction, case.parameters, case.model, y, t_ns=t, seed=1, settings=settings, **options
    )


def test_noise_and_measurand_alone_are_the_budgets() -> None:
    case = known(ALL["thermocouple"], 0.0)
    correction, (t, y) = smoother_of(case), record(case, N)
    found = run(case, correction, t, y)
    lines = budget(correction, case.parameters, y, t_ns=t)
    np.testing.assert_allclose(found.corrected, lines.value[found.span], atol=1e-12)
    assert np.isnan(lines.value[found.span.stop :]).all()
    np.testing.assert_allclose(found.result.u, lines.u[found.span], rtol=1.3 * CLOSE)
    more = run(case, correction, t, y, noise_std=3 * correction.noise_std)
    expected = np.hypot(3 * lines["noise"], lines["model"])[found.span]
    np.testing.assert_allclose(more.result.u, expected, rtol=1.3 * CLOSE)


def test_the_gain_alone_scales() -> None:
    case = ALL["thermocouple"]
    correction, (t, y) = smoother_of(case), record(case, N)
    cov = np.diag([0.02**2, 0.0])
    alone = replace(case.parameters, cov=cov)
    settings = MonteCarloSettings(n_draws=DRAWS)
    found = correction_monte_carlo(
        correction, alone, case.model, 100 + y, t_ns=t, noise_std=0.0, seed=1, settings=settings
    )
    model = budget(correction, alone, 100 + y, t_ns=t)["model"][found.span]
    np.testing.assert_allclose(found.result.u, np.hypot(0.02 * found.corrected, model), rtol=1.3 * CLOSE)


@pytest.mark.parametrize("name", ["thermocouple", "dead_time", "thermowell"])
def test_the_streams_u_is_validated(name: str) -> None:
    """Parameters well known, a clock that is off: clause 8, one digit."""
    case = known(ALL[name], 0.25)
    correction, (t, y) = smoother_of(case), record(case, N)
    u_t_s = 0.02 * case.dt_s
    value, u = correct_at(correction, case.parameters, t, y, u_t_s=u_t_s)
    found = run(case, correction, t, y, u_t_s=u_t_s)
    u[:SETTLED] = np.nan
    judged = u[found.span][SETTLED:]
    ratio = np.sqrt(np.mean(judged**2) / np.mean(found.result.u[SETTLED:] ** 2))
    assert ratio == pytest.approx(1.0, abs=0.02)
    verdict = found.validated(value, u)
    scatter = 4.5 * 2.68 * u[np.isfinite(u)] / np.sqrt(DRAWS)  # of an end that so many draws tell
    assert np.all(np.maximum(verdict.d_low, verdict.d_high) < verdict.delta + scatter)
    assert found.validated(value, 2 * u).passed_each.mean() < 0.1


def test_the_adaptive_procedure_stops() -> None:
    case = replace(ALL["thermocouple"], theta=np.array([1.0, 0.01]), u_relative=0.01)  # it forgets soon
    correction, (t, y) = smoother_of(case), record(case, 40)
    settings = MonteCarloSettings(digits=1)
    found = correction_monte_carlo(correction, case.parameters, case.model, y, t_ns=t, seed=3, settings=settings).result
    assert found.stable
    assert found.n_blocks >= 2
    assert np.all(found.spread <= found.tolerance)


def test_trouble_is_named() -> None:
    case = ALL["thermocouple"]
    correction, (t, y) = smoother_of(case), record(case, N)
    for raw, at, words in (
        (y[:1], t[:1], "2 to 4096 samples"),
        (np.zeros(5000), None, "2 to 4096 samples"),
        (np.where(np.arange(N) == 7, np.nan, y), t, "1 samples of the record are not finite"),
        (y, t[::-1].copy(), "increase"),
        (y, t[:-1], "as many"),
        (y[:3], t[:3], "latency"),
        (y, t * np.where(np.arange(N) < N // 2, 1, 3), "at most"),
    ):
        with pytest.raises(InvalidData, match=words):
            correction_monte_carlo(correction, case.parameters, case.model, raw, t_ns=at, seed=1)
    indefinite = replace(case.parameters, cov=np.array([[1.0, 2.0], [2.0, 1.0]]))
    with pytest.raises(InvalidData, match="indefinite"):
        correction_monte_carlo(correction, indefinite, case.model, y, t_ns=t, seed=1)
    found = run(case, correction, t, y)
    with pytest.raises(InvalidData, match="judged"):
        found.validated(np.full(N, np.nan), np.full(N, np.nan))
    with pytest.raises(InvalidData, match="or more"):
        found.validated(np.zeros(3), np.zeros(3))

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.uncertainty import (
    Independent,
    Interval,
    MonteCarloResult,
    MonteCarloSettings,
    MultivariateNormal,
    Normal,
    Simulation,
    Trapezoidal,
    coverage_regions,
    monte_carlo,
    simulate,
    simulation_of,
)
from dyncal.uncertainty.accumulate import Accumulator, Frame

ROOT_3 = np.sqrt(3.0)


def total(x: FloatArray) -> FloatArray:
    return np.asarray(x.sum(axis=1))


def draws_of(name: str) -> Simulation:
    def simulation(rng: np.random.Generator, m: int) -> FloatArray:
        drawn = getattr(rng, name)(size=(3, m))
        return np.asarray(drawn * np.array([1.0, 1e-6, 1e6])[:, None] + 5.0)

    return simulation


def test_four_normal_quantities_added() -> None:
    """JCGM 101, 9.2.2: y = 0, u = 2.00, 95 % from -3.92 to 3.92."""
    found = monte_carlo(Independent(*[Normal(0.0, 1.0)] * 4), total, seed=1)
    assert found.stable
    tolerance = found.tolerance[0]
    assert tolerance == 0.05
    assert found.value[0] == pytest.approx(0.0, abs=tolerance)
    assert found.u[0] == pytest.approx(2.0, abs=tolerance)
    assert found.low[0] == pytest.approx(-3.92, abs=tolerance)
    assert found.high[0] == pytest.approx(3.92, abs=tolerance)
    assert np.all(found.spread <= tolerance)


def test_four_rectangular_quantities_added() -> None:
    """JCGM 101, 9.2.3: 95 % from -3.88 to 3.88, not ±3.92; 9.2.4: one dominates, ±17.0."""
    settings = MonteCarloSettings(n_draws=1_000_000)
    found = monte_carlo(Independent(*[Trapezoidal(-ROOT_3, ROOT_3)] * 4), total, seed=2, settings=settings)
    assert found.u[0] == pytest.approx(2.0, abs=0.005)
    assert found.low[0] == pytest.approx(-3.88, abs=0.01)
    assert found.high[0] == pytest.approx(3.88, abs=0.01)
    wide = Independent(*[Trapezoidal(-ROOT_3, ROOT_3)] * 3, Trapezoidal(-10 * ROOT_3, 10 * ROOT_3))
    found = monte_carlo(wide, total, seed=3, settings=settings)
    assert found.u[0] == pytest.approx(np.sqrt(103), abs=0.02)
    assert found.high[0] == pytest.approx(17.0, abs=0.05)


@pytest.mark.parametrize("x1", [0.0, 0.01, 0.05])
def test_comparison_loss_has_its_shortest_interval(x1: float) -> None:
    """JCGM 101, 9.4: δY = X1² + X2² is noncentral χ², and its interval is far from symmetric."""
    u = 0.005
    settings = MonteCarloSettings(n_draws=1_000_000, interval=Interval.SHORTEST)
    inputs = MultivariateNormal(np.array([x1, 0.0]), u**2 * np.eye(2))
    found = monte_carlo(inputs, lambda x: x[:, 0] ** 2 + x[:, 1] ** 2, seed=4, settings=settings)
    truth = stats.ncx2(2, (x1 / u) ** 2) if x1 else stats.chi2(2)
    assert found.value[0] == pytest.approx(u**2 * truth.mean(), rel=0.005)
    assert found.u[0] == pytest.approx(u**2 * truth.std(), rel=0.01)
    below = np.linspace(0, 0.05, 501)
    lows, highs = truth.ppf(below), truth.ppf(below + 0.95)
    best = np.argmin(highs - lows)
    assert found.high[0] - found.low[0] == pytest.approx(u**2 * (highs - lows)[best], rel=0.01)
    assert truth.cdf(found.high[0] / u**2) - truth.cdf(found.low[0] / u**2) == pytest.approx(0.95, abs=0.002)


@pytest.mark.parametrize("name", ["standard_normal", "random", "standard_exponential", "standard_cauchy"])
def test_histograms_give_the_quantiles_of_the_draws(name: str) -> None:
    """Against sorting, for outputs of very different scale; u of a quantile from 40 000 draws is far larger."""
    rng = np.random.default_rng(5)
    values = draws_of(name)(rng, 40_000)
    accumulator = Accumulator(Frame.of(values[:, :2000], 0.95), covariance=False)
    for part in np.array_split(values, 9, axis=1):
        accumulator.add(np.ascontiguousarray(part))
    shares = np.array([0.0, 0.025, 0.3, 0.5, 0.975, 1.0])
    expected = np.quantile(values, shares, axis=1)
    scale = np.quantile(values, 0.9, axis=1) - np.quantile(values, 0.1, axis=1)
    error = np.abs(accumulator.quantiles(shares) - expected) / scale
    assert np.all(error[1:-1] < 2e-3)
    np.testing.assert_allclose(error[[0, -1]], 0.0, atol=1e-12)


def same(first: MonteCarloResult, second: MonteCarloResult) -> None:
    for name in ("value", "u", "low", "high", "spread"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.n_draws == second.n_draws


def test_threads_do_not_change_the_result_and_seeds_do() -> None:
    def run(seed: int, threads: int, n_draws: int | None) -> MonteCarloResult:
        settings = MonteCarloSettings(n_draws=n_draws, digits=1, threads=threads)
        return simulate(draws_of("standard_normal"), seed=seed, settings=settings)

    for n_draws in (None, 12_345):
        same(run(6, 1, n_draws), run(6, 3, n_draws))
        assert np.all(run(7, 1, n_draws).value != run(6, 1, n_draws).value)
    assert run(6, 1, 12_345).n_draws == 12_345


def test_moments_and_covariance_are_those_of_all_draws() -> None:
    kept: list[FloatArray] = []

    def remembering(rng: np.random.Generator, m: int) -> FloatArray:
        drawn = rng.standard_normal((2, m))
        values = np.stack([1e6 + drawn[0], drawn[0] + drawn[1]])
        kept.append(values)
        return values

    found = simulate(remembering, seed=8, settings=MonteCarloSettings(n_draws=5000, covariance=True))
    values = np.concatenate(kept[2:], axis=1)  # without the probe and the pilot, which is drawn again
    assert values.shape[1] == found.n_draws == 5000
    np.testing.assert_allclose(found.value, values.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.u, values.std(axis=1, ddof=1), rtol=1e-10)
    assert found.cov is not None
    np.testing.assert_allclose(found.cov, np.cov(values), rtol=1e-9)


def test_what_does_not_vary_has_no_uncertainty() -> None:
    found = monte_carlo(Normal(1.0, 0.1), lambda x: np.column_stack([x[:, 0], np.full(len(x), 7.25)]), seed=9)
    assert found.stable
    assert (found.u[1], found.value[1], found.low[1], found.high[1]) == (0.0, 7.25, 7.25, 7.25)


def test_regions_of_a_normal_pair() -> None:
    """JCGM 102, 7.7: √χ²(2, 0.95) for the ellipsoid; for independent outputs both within ±k with 0.95."""
    cov = np.diag([4.0, 0.01])
    inputs = MultivariateNormal(np.array([1.0, -1.0]), cov)
    settings = MonteCarloSettings(n_draws=200_000, covariance=True)
    simulation = simulation_of(inputs, lambda x: x)
    found = simulate(simulation, seed=10, settings=settings)
    regions = coverage_regions(simulation, found)
    assert regions.k_ellipsoid == pytest.approx(np.sqrt(stats.chi2.ppf(0.95, 2)), rel=0.005)
    assert regions.k_rectangle == pytest.approx(stats.norm.ppf((1 + np.sqrt(0.95)) / 2), rel=0.005)
    fresh = inputs.draw(np.random.default_rng(11), 100_000)
    assert np.mean(regions.in_ellipsoid(fresh)) == pytest.approx(0.95, abs=0.004)
    assert np.mean(regions.in_rectangle(fresh)) == pytest.approx(0.95, abs=0.004)


def test_regions_that_cannot_be_are_refused() -> None:
    settings = MonteCarloSettings(n_draws=1000, covariance=True)
    for model, words in (
        (lambda x: np.column_stack([x, 2 * x]), "linearly"),
        (lambda x: np.column_stack([x, 0 * x]), "does not vary"),
    ):
        simulation = simulation_of(Normal(0.0, 1.0), model)
        with pytest.raises(InvalidData, match=words):
            coverage_regions(simulation, simulate(simulation, seed=1, settings=settings))
    simulation = simulation_of(Normal(0.0, 1.0), lambda x: x)
    with pytest.raises(InvalidData, match="covariance"):
        coverage_regions(simulation, simulate(simulation, seed=1, settings=MonteCarloSettings(n_draws=1000)))


def test_numbers_that_are_none_are_refused_or_counted() -> None:
    def root(x: FloatArray) -> FloatArray:
        return np.sqrt(np.where(x > 0, x, np.nan))

    inputs = Normal(2.0, 1.0)
    with pytest.raises(InvalidData, match="no finite numbers for"):
        monte_carlo(inputs, root, seed=12)
    settings = MonteCarloSettings(n_draws=20_000, max_invalid_share=0.05)
    found = monte_carlo(inputs, root, seed=12, settings=settings)
    assert found.n_invalid == pytest.approx(20_000 * stats.norm.cdf(-2), abs=5 * np.sqrt(455))
    assert found.n_draws + found.n_invalid == 20_000
    with pytest.raises(InvalidData, match="no finite numbers"):
        monte_carlo(inputs, lambda x: x * np.nan, seed=12, settings=settings)


def test_an_end_that_does_not_come_is_said() -> None:
    settings = MonteCarloSettings(digits=3, max_draws=30_000)
    found = monte_carlo(Normal(0.0, 1.0), lambda x: x, seed=13, settings=settings)
    assert not found.stable
    assert found.n_draws == 30_000


@pytest.mark.parametrize(
    "changes",
    [
        {"n_draws": 10},
        {"digits": 0},
        {"tolerance_share": 0.0},
        {"coverage": 1.0},
        {"max_draws": 100},
        {"threads": 0},
        {"max_invalid_share": 1.0},
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(InvalidData):
        MonteCarloSettings(**changes)  # type: ignore[arg-type]


def test_models_of_another_shape_are_refused() -> None:
    for model in (lambda x: x[:3, 0], lambda x: np.zeros((len(x), 2, 2)), lambda x: np.zeros((len(x), 0))):
        with pytest.raises(InvalidData):
            monte_carlo(Normal(0.0, 1.0), model, seed=1)
    with pytest.raises(InvalidData, match="seed"):
        monte_carlo(Normal(0.0, 1.0), lambda x: x, seed=-1)
    settings = MonteCarloSettings(covariance=True)
    with pytest.raises(InvalidData, match="too large"):
        monte_carlo(Normal(0.0, 1.0), lambda x: np.repeat(x, 5000, axis=1), seed=1, settings=settings)

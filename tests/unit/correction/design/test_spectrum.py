from __future__ import annotations

import numpy as np
import pytest

from dyncal.correction.design.spectrum import MeasurandSpectrum, fit_spectrum, from_bandwidth
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from tests.unit.correction.examples import ALL, CASES


def test_variance_is_the_integral() -> None:
    for order in (1.0, 1.5, 4.0, 8.0):
        spectrum = MeasurandSpectrum(3.0, 2.0, order)
        omega = np.sinh(np.linspace(0, 20, 400_001))  # far out, for the heavy tail of order 1
        assert np.trapezoid(spectrum.at(omega), omega) / np.pi == pytest.approx(spectrum.variance, rel=1e-5)


def test_from_bandwidth_has_the_variance_and_the_band() -> None:
    spectrum = from_bandwidth(5.0, 7.0)
    assert spectrum.variance == pytest.approx(7.0)
    assert spectrum.band_hz == pytest.approx(5.0)
    assert spectrum.corner_rad_s == pytest.approx(1.2 * 2 * np.pi * 5.0)
    assert spectrum.order == 8


@pytest.mark.parametrize(
    ("name", "known", "scale"),
    [
        ("pressure_line", True, 1.0),
        ("pressure_line", False, 1e-6),
        ("accelerometer", True, 1e6),
        ("accelerometer", False, 1.0),
        ("thermowell", True, 1.0),
        ("thermowell", False, 1.0),
    ],
)
def test_finds_what_was_put_in(name: str, known: bool, scale: float) -> None:
    case = CASES[name]
    _, y = case.simulate(np.random.default_rng(5), 16_384)
    found = fit_spectrum(
        scale * y + 1000 * scale, case.dt_s, case.kind, case.theta, case.noise_std * scale if known else None
    )
    assert found.noise_std == pytest.approx(case.noise_std * scale, rel=0.1)
    assert found.corner_rad_s == pytest.approx(case.spectrum.corner_rad_s, rel=0.05)
    assert found.variance == pytest.approx(case.spectrum.variance * scale**2, rel=0.2)


@pytest.mark.parametrize("noise_std", [None, 1.0])
@pytest.mark.parametrize("seed", range(20))
def test_noise_is_no_activity(noise_std: float | None, seed: int) -> None:
    """p < 1e-5 a trial by the limit on the likelihood ratio: 40 trials give no false one."""
    y = np.random.default_rng(seed).normal(size=4096)
    with pytest.raises(InvalidData, match="no activity"):
        fit_spectrum(y, 0.01, ModelKind.FIRST_ORDER, np.array([1.0, 0.5]), noise_std)


@pytest.mark.parametrize(
    ("y", "why"),
    [
        (np.full(1000, 5.0), "constant"),
        (np.zeros(1000), "constant"),
        (np.ones(100), "finite samples"),
        (np.append(np.random.default_rng(1).normal(size=999), np.nan), "finite samples"),
        (np.append(np.random.default_rng(1).normal(size=999), np.inf), "finite samples"),
        (np.ones((100, 100)), "one dimension"),
    ],
)
def test_unfit_records_are_refused(y: FloatArray, why: str) -> None:
    with pytest.raises(InvalidData, match=why):
        fit_spectrum(y, 0.01, ModelKind.FIRST_ORDER, np.array([1.0, 0.5]))


def test_slow_measurands_are_not_made_slower_than_the_record_shows() -> None:
    y = np.cumsum(np.random.default_rng(1).normal(size=4096))
    found = fit_spectrum(y, 0.01, ModelKind.FIRST_ORDER, np.array([1.0, 0.01]), 1e-3)
    assert found.corner_rad_s >= 3 * 2 * np.pi / (1024 * 0.01) * (1 - 1e-9)
    assert found.order < 2


@pytest.mark.parametrize("numbers", [(0.0, 1.0, 2.0), (1.0, -1.0, 2.0), (1.0, 1.0, 0.5), (float("nan"), 1.0, 2.0)])
def test_impossible_spectra_are_refused(numbers: tuple[float, float, float]) -> None:
    with pytest.raises(InvalidData):
        MeasurandSpectrum(*numbers)


@pytest.mark.parametrize(("band_hz", "variance"), [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (1.0, float("inf"))])
def test_impossible_bandwidths_are_refused(band_hz: float, variance: float) -> None:
    with pytest.raises(InvalidData):
        from_bandwidth(band_hz, variance)


@pytest.mark.parametrize("name", ["dead_time", "rational"])
def test_any_model_will_do(name: str) -> None:
    case = ALL[name]
    _, y = case.simulate(np.random.default_rng(5), 16_384)
    found = fit_spectrum(y, case.dt_s, case.model, case.theta, case.noise_std)
    assert found.corner_rad_s == pytest.approx(case.spectrum.corner_rad_s, rel=0.05)


@pytest.mark.parametrize(
    "changes",
    [
        {"dt_s": 0.0},
        {"dt_s": float("nan")},
        {"theta": np.array([1.0, -0.5])},
        {"theta": np.array([1.0, np.inf])},
        {"theta": np.array([1.0, 0.5, 0.1])},
        {"noise_std": -1.0},
        {"noise_std": float("inf")},
    ],
)
def test_impossible_sensors_are_refused(changes: dict[str, object]) -> None:
    y = np.random.default_rng(1).normal(size=1000)
    arguments = {"dt_s": 0.01, "model": ModelKind.FIRST_ORDER, "theta": np.array([1.0, 0.5])} | changes
    with pytest.raises(InvalidData):
        fit_spectrum(y, **arguments)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    ("name", "step"), [*((name, 0.0) for name in CASES), ("pressure_line", 0.02), ("accelerometer", 0.02)]
)
@pytest.mark.parametrize("share", [0.05, 0.2, 0.75])
@pytest.mark.parametrize("ends", ["top", "bottom", "both"])
def test_a_saturated_record_is_named(name: str, share: float, ends: str, step: float) -> None:
    case = CASES[name]
    _, y = case.simulate(np.random.default_rng(5), 4096)
    low = np.quantile(y, share / 2) if ends != "top" else -np.inf
    high = np.quantile(y, 1 - share / 2) if ends != "bottom" else np.inf
    clipped = np.clip(y, low, high)
    if step:
        clipped = np.round(clipped / (step * np.std(y))) * step * np.std(y)
    with pytest.raises(InvalidData, match="saturated"):
        fit_spectrum(clipped, case.dt_s, case.kind, case.theta)


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("step", [0.002, 0.01, 0.05])
def test_a_coarse_record_is_not_saturated(name: str, step: float) -> None:
    case = CASES[name]
    for seed in range(5):
        _, y = case.simulate(np.random.default_rng(seed), 4096)
        size = step * float(np.std(y))
        found = fit_spectrum(np.round(y / size) * size, case.dt_s, case.kind, case.theta)
        assert found.variance == pytest.approx(case.spectrum.variance, rel=0.5)


@pytest.mark.parametrize("step", [0.0, 1e-3, 0.02])
@pytest.mark.parametrize("noise_std", [0.0, 0.005])
def test_a_record_at_rest_is_not_saturated(step: float, noise_std: float) -> None:
    """Shocks on a flat base, which is an end of the range."""
    t = np.arange(4096) * 1e-3
    shape = (t % 0.5) / 0.03 * np.exp(1 - (t % 0.5) / 0.03)
    y = shape + noise_std * np.random.default_rng(1).normal(size=t.size)
    y = np.round(y / step) * step if step else y
    fit_spectrum(y, 1e-3, ModelKind.FIRST_ORDER, np.array([1.0, 0.01]))


@pytest.mark.parametrize("factor", [1 / 5000, 0.01, 10.0, 300.0])
def test_a_noise_that_the_record_contradicts_is_named(factor: float) -> None:
    for case in CASES.values():
        _, y = case.simulate(np.random.default_rng(5), 16_384)
        with pytest.raises(InvalidData, match=r"times the stated one|no activity"):
            fit_spectrum(y, case.dt_s, case.kind, case.theta, factor * case.noise_std)


def test_a_noise_that_no_record_shows_is_believed() -> None:
    """A measurand that fills the band hides a noise far below it."""
    rng = np.random.default_rng(5)
    y = rng.normal(size=8192)
    found = fit_spectrum(
        np.convolve(y, [0.5, 0.3, 0.2], "same"), 0.01, ModelKind.FIRST_ORDER, np.array([1.0, 1e-4]), 1e-6
    )
    assert found.noise_std is not None
    assert found.noise_std < 1e-4

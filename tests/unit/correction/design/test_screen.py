"""Saturation of short records of quantised and noisy channels, of which a few samples at an end are chance."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.correction.design.screen import refuse_saturated
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray

SIZES = (150, 400, 1000)
LEAST = {150: 12, 400: 34, 1000: 36}  # of 40 records clipped by 3 %


def indication(seed: int, n: int, noise: float, step: float, clipped: float = 0.0) -> FloatArray:
    """Return n samples at 25 Hz of a thermocouple of 1.4 s in a measurand of 0.5 Hz, quantised."""
    rng = np.random.default_rng(seed)
    f = rng.uniform(0.01, 0.65, 96)
    a = rng.rayleigh(1, 96) / np.sqrt((1 + (f / 0.5) ** 8) * (1 + (2 * np.pi * f * 1.4) ** 2))
    t = np.arange(n)[:, None] / 25
    x = 5 * (a * np.cos(2 * np.pi * (f * t + rng.uniform(0, 1, 96)))).sum(axis=1) / np.sqrt(48)
    y = np.round((90 + x + noise * rng.normal(size=n)) / step) * step
    ceiling = float(np.quantile(y, 1 - clipped, method="nearest"))
    return np.asarray(np.minimum(y, ceiling), dtype=np.float64)


def refusals(n: int, noise: float, step: float, clipped: float = 0.0) -> int:
    n_refused = 0
    for seed in range(40):
        try:
            refuse_saturated(indication(seed, n, noise, step, clipped))
        except InvalidData:
            n_refused += 1
    return n_refused


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize("step", [0.001, 0.01, 0.05, 0.25])
def test_a_short_record_of_a_quantised_channel_is_not_saturated(n: int, noise: float, step: float) -> None:
    """Two equal samples at the highest level, or either side of a summit, are chance: up to half of such records."""
    assert refusals(n, noise, step) <= 1


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(("noise", "step"), [(0.0, 0.01), (0.02, 0.001), (0.02, 0.01)])
def test_what_is_clipped_by_three_per_cent_is_named(n: int, noise: float, step: float) -> None:
    assert refusals(n, noise, step, clipped=0.03) >= LEAST[n]


def test_a_record_of_one_level_has_no_end_of_a_range() -> None:
    refuse_saturated(np.full(200, 20.0))

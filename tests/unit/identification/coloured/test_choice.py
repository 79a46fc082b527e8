from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification.coloured import Autoregression, Relaxation, Residuals, noise_of
from dyncal.identification.coloured.choice import burg
from dyncal.models import model_of

_N, _DT_S = 3000, 0.01


def _runs(e: FloatArray) -> list[Residuals]:
    return [Residuals(np.arange(e.size, dtype=np.int64) * 10_000_000, e)]


def _filtered(seed: int, b: list[float], a: list[float], n: int = _N) -> FloatArray:
    moved: FloatArray = lfilter(b, a, np.random.default_rng(seed).normal(size=n + 500))[500:]
    return np.ascontiguousarray(moved)


@pytest.mark.parametrize("even", [True, False])
def test_white_residuals_stay_white(even: bool) -> None:
    for seed in range(5):
        assert noise_of(_runs(_filtered(seed, [1.0], [1.0])), _DT_S, even=even) is None


def test_an_autoregression_is_found_with_its_coefficients() -> None:
    found = noise_of(_runs(_filtered(1, [1.0], [1.0, -1.5, 0.7])), _DT_S, even=True)
    assert isinstance(found, Autoregression)
    np.testing.assert_allclose(found.a[:2], [1.5, -0.7], atol=0.05)


def test_relaxing_noise_is_found_at_any_instants() -> None:
    rng = np.random.default_rng(5)
    t_ns = np.cumsum(rng.integers(3_000_000, 17_000_000, _N))
    decay = np.exp(-np.diff(t_ns) * 1e-9 / 0.05)
    v = np.empty(_N)
    v[0] = rng.normal()
    for k in range(1, _N):
        v[k] = decay[k - 1] * v[k - 1] + np.sqrt(1 - decay[k - 1] ** 2) * rng.normal()
    found = noise_of([Residuals(t_ns, v + 0.3 * rng.normal(size=_N))], _DT_S, even=False)
    assert isinstance(found, Relaxation)
    assert found.rate_per_s == pytest.approx(20.0, rel=0.25)
    assert found.share == pytest.approx(0.09, rel=0.5)


def test_noise_at_the_input_is_no_noise_of_the_sensor() -> None:
    model = model_of(ModelKind.FIRST_ORDER)
    sensor = (model, model.to_internal(np.array([1.0, 0.5])))
    pole = float(np.exp(-_DT_S / 0.5))
    white = np.random.default_rng(9).normal(size=_N)
    assert (
        noise_of(_runs(_filtered(3, [1 - pole], [1.0, -pole]) + 0.05 * white), _DT_S, even=True, sensor=sensor) is None
    )
    assert noise_of(_runs(_filtered(3, [0.2], [1.0, -0.8]) + 0.05 * white), _DT_S, even=True, sensor=sensor) is not None


def test_too_few_residuals_say_nothing() -> None:
    assert noise_of(_runs(_filtered(3, [1.0], [1.0, -0.9], 30)), _DT_S, even=True) is None
    assert noise_of([], _DT_S, even=True) is None


def test_holes_cut_an_autoregression() -> None:
    e = _filtered(4, [1.0], [1.0, -0.8])
    t_ns = np.arange(_N, dtype=np.int64) * 10_000_000
    kept = np.setdiff1d(np.arange(_N), np.arange(40, _N, 97))
    found = noise_of([Residuals(t_ns[kept], e[kept])], _DT_S, even=True)
    assert isinstance(found, Autoregression)
    assert found.a[0] == pytest.approx(0.8, abs=0.05)


def test_burg_is_stable_on_a_pure_tone() -> None:
    tone = np.sin(0.3 * np.arange(400))
    a, variance = burg([tone], 2)[1]
    assert a[0] == pytest.approx(2 * np.cos(0.3), abs=0.02)
    assert np.all(np.abs(np.roots([1.0, *-a])) <= 1)
    assert variance < 1e-3

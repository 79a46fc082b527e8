from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.samples import FloatArray
from dyncal.identification import AlignedRecord
from dyncal.identification.interpolation import CONTEXT, Interpolation, refined_unevenly
from dyncal.identification.record_fit import InterSample
from dyncal.identification.record_fit.segments import take
from dyncal.identification.record_fit.smoothness import course_of_reference
from tests.unit.identification.record_fit.records import instants, walk


def _course(r: FloatArray, jitter: float = 0.0) -> InterSample:
    t = instants(r.size, 0.01, jitter)
    return course_of_reference(take(AlignedRecord(t, r, r)))


def test_a_rough_or_noisy_reference_is_met_by_lines() -> None:
    rng = np.random.default_rng(1)
    smooth = np.sin(2 * np.pi * 0.05 * np.arange(500))
    assert _course(walk(500, 0.95, rng)) is InterSample.LINEAR
    assert _course(np.repeat(rng.normal(size=50), 10)) is InterSample.LINEAR
    assert _course(smooth + 0.1 * rng.normal(size=500)) is InterSample.LINEAR


def test_a_smooth_reference_is_met_by_splines() -> None:
    k = np.arange(500)
    assert _course(np.sin(2 * np.pi * 0.05 * k)) is not InterSample.LINEAR
    assert _course(np.exp(-0.5 * ((k - 100.3) / 5) ** 2)) is not InterSample.LINEAR
    assert _course(np.sin(2 * np.pi * 0.15 * k)) is not InterSample.LINEAR


@pytest.mark.parametrize("n", [10, 60])
def test_too_few_values_are_met_by_lines(n: int) -> None:
    smooth = np.sin(2 * np.pi * 0.05 * np.arange(500))
    assert _course(smooth[:n]) is InterSample.LINEAR


@pytest.mark.parametrize("jitter", [0.05, 0.4, 0.49])
def test_a_smooth_reference_at_uneven_instants_is_met_by_splines(jitter: float) -> None:
    t = instants(500, 0.01, jitter)
    phase = 2 * np.pi * 5.0 * (t - t[0]) * 1e-9
    assert course_of_reference(take(AlignedRecord(t, phase, np.sin(phase)))) is not InterSample.LINEAR


def test_large_steps_are_met_by_lines() -> None:
    t = instants(500, 0.01)
    kept = np.delete(np.arange(500), [100, 101, 102, 300, 301, 302])
    uneven = t[kept] + np.round(np.random.default_rng(1).uniform(-2e6, 2e6, kept.size)).astype(np.int64)
    r = np.sin(2 * np.pi * 5.0 * (uneven - uneven[0]) * 1e-9)
    assert course_of_reference(take(AlignedRecord(uneven, r, r))) is InterSample.LINEAR


@pytest.mark.parametrize(("kind", "limit"), [(Interpolation.CUBIC, 1e-3), (Interpolation.QUINTIC, 5e-4)])
def test_splines_at_uneven_instants_have_the_integral_of_what_they_follow(kind: Interpolation, limit: float) -> None:
    t = instants(200, 0.01, 0.4)
    rate = 2 * np.pi * 6.0 * 1e-9
    knots, values = refined_unevenly(t - t[0], np.cos(rate * (t - t[0])), kind)
    assert knots.size == values.size == 2 * (200 - 2 * CONTEXT) - 1
    steps = np.diff(knots)
    lines = np.cumsum(steps * (values[1:] + values[:-1]) / 2)
    exact = (np.sin(rate * knots[1:]) - np.sin(rate * knots[0])) / rate
    # the values themselves, joined by lines: 1.2e-2
    np.testing.assert_allclose(lines * rate, exact * rate, atol=limit)
